// Whose processes the tests are, when root started us for somebody.
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>

#include "runner/launch/held_command.h"

namespace crashcrawler {
namespace {

std::optional<uid_t> number(const std::string& text) {
  uid_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  // uid -1 means "do not change" to setresuid(2)
  return whole && value != static_cast<uid_t>(-1) ? std::optional(value) : std::nullopt;
}

TargetUser from_database(const passwd& entry) {
  return {entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell};
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A number without an entry (usual in containers) is its own group and has the root folder as home.
TargetUser from_number(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry ? from_database(*entry) : TargetUser{uid, uid, "", "/", ""};
}

}  // namespace

Result<std::optional<TargetUser>> target_user(const std::string& requested) {
  const uid_t we = ::geteuid();
  std::optional<TargetUser> user;
  if (!requested.empty()) {
    if (const passwd* entry = ::getpwnam(requested.c_str())) {
      user = from_database(*entry);
    } else if (const std::optional<uid_t> uid = number(requested)) {
      user = from_number(*uid);
    } else {
      return Error{"--user: there is no user '" + requested +
                   "' on this machine (see getent passwd)"};
    }
    if (we != 0 && user->uid != we) {
      return Error{"--user " + requested +
                   ": only root can run a command as somebody else; start crashcrawler-run "
                   "with sudo, or leave --user out"};
    }
  } else if (we == 0) {
    if (const std::optional<uid_t> uid = number(variable("SUDO_UID"))) {
      user = from_number(*uid);
      user->gid = number(variable("SUDO_GID")).value_or(user->gid);
    }
  }
  if (user && user->uid == we) {
    return std::optional<TargetUser>();
  }
  return user;
}

Result<void> become(const TargetUser& user) {
  const std::string who = user.name.empty() ? std::to_string(user.uid) : user.name;
  // Groups first: without root there is no changing them.
  const int groups =
      user.name.empty() ? ::setgroups(1, &user.gid) : ::initgroups(user.name.c_str(), user.gid);
  if (groups != 0) {
    return errno_error("cannot take the groups of user " + who);
  }
  if (::setresgid(user.gid, user.gid, user.gid) != 0) {
    return errno_error("cannot take the group of user " + who);
  }
  if (::setresuid(user.uid, user.uid, user.uid) != 0) {
    return errno_error("cannot become user " + who);
  }
  if (user.uid != 0 && ::setuid(0) == 0) {
    return Error{"giving up root for user " + who + " had no effect (securebits set?)"};
  }
  const std::pair<const char*, const std::string&> variables[] = {
      {"HOME", user.home}, {"USER", user.name}, {"LOGNAME", user.name}, {"SHELL", user.shell}};
  for (const auto& [name, value] : variables) {
    if (!value.empty()) {
      ::setenv(name, value.c_str(), 1);
    }
  }
  return {};
}

}  // namespace crashcrawler
