// Whose processes the tests are, when root started us for somebody.
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "runner/base/program_output.h"
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

// A static program cannot load what nsswitch.conf(5) names, the modules of another C library: it reads /etc/passwd and
// /etc/group itself, and asks getent(1) for who is not there (LDAP, systemd).
void stay_with_files() {
  if (is_static_program()) {
    for (const char* const database : {"passwd", "group", "initgroups"}) {
      ::__nss_configure_lookup(database, "files");
    }
  }
}

std::vector<std::string> split(const std::string& line, char separator) {
  std::istringstream rest(line);
  std::vector<std::string> words;
  for (std::string word; std::getline(rest, word, separator);) {
    words.push_back(word);
  }
  return words;
}

// The first line that getent prints; "": it knows nobody, or is not there.
std::string getent(const char* database, const std::string& key) {
  const Result<ProgramOutput> answer = output_of({"/usr/bin/getent", database, key});
  return answer && answer->exit_status == 0 ? answer->text.substr(0, answer->text.find('\n')) : "";
}

TargetUser from_database(const passwd& entry) {
  return {entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell};
}

// passwd(5): name:password:uid:gid:gecos:home:shell
std::optional<TargetUser> from_getent(const std::string& key) {
  std::vector<std::string> fields = split(getent("passwd", key), ':');
  fields.resize(7);
  const std::optional<uid_t> uid = number(fields[2]);
  const std::optional<gid_t> gid = number(fields[3]);
  return uid && gid ? std::optional(TargetUser{*uid, *gid, fields[0], fields[5], fields[6]})
                    : std::nullopt;
}

std::optional<TargetUser> find_user(const std::string& name) {
  stay_with_files();
  const passwd* entry = ::getpwnam(name.c_str());
  return entry ? from_database(*entry) : is_static_program() ? from_getent(name) : std::nullopt;
}

std::optional<TargetUser> find_user(uid_t uid) {
  stay_with_files();
  const passwd* entry = ::getpwuid(uid);
  return entry                 ? from_database(*entry)
         : is_static_program() ? from_getent(std::to_string(uid))
                               : std::nullopt;
}

// Of the process; 0, or -1 with errno.
int take_groups(const TargetUser& user) {
  if (user.name.empty()) {
    return ::setgroups(1, &user.gid);
  }
  std::vector<gid_t> groups{user.gid};
  const std::string line = is_static_program() ? getent("initgroups", user.name) : "";
  std::istringstream rest(line.substr(std::min(line.find(' '), line.size())));
  for (gid_t group = 0; rest >> group;) {
    groups.push_back(group);
  }
  stay_with_files();
  return line.empty() ? ::initgroups(user.name.c_str(), user.gid)
                      : ::setgroups(groups.size(), groups.data());
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A number without an entry (usual in containers) is its own group and has the root folder as home.
TargetUser from_number(uid_t uid) {
  return find_user(uid).value_or(TargetUser{uid, uid, "", "/", ""});
}

}  // namespace

Result<std::optional<TargetUser>> target_user(const std::string& requested) {
  const uid_t we = ::geteuid();
  std::optional<TargetUser> user;
  if (!requested.empty()) {
    user = find_user(requested);
    if (const std::optional<uid_t> uid = number(requested); !user && uid) {
      user = from_number(*uid);
    }
    if (!user) {
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
  if (take_groups(user) != 0) {
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
