#include "runner/capture/probe/relay.h"

#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "runner/capture/record_values.h"

namespace crashcrawler {
Relay::Whose Relay::whose(uint32_t container) {
  if (container == 0 || container == ours_) {
    return Whose::ours;
  }
  if (ours_ != 0 || others_.contains(container)) {
    return Whose::somebodys;
  }
  if (id_.empty()) {
    return Whose::unknown;
  }
  ours_ = hooks_.number_of(id_);
  if (ours_ != 0) {
    hooks_.choose(ours_);
  }
  if (container == ours_) {
    return Whose::ours;
  }
  others_.insert(container);
  return Whose::somebodys;
}

void Relay::take(std::string_view record) {
  const std::optional<cc_record> header = as<cc_record>(record);
  if (!header) {
    return;
  }
  // Also of a container that may be another's: it can be gone when that is known.
  if (header->type == CC_RECORD_NAMESPACE) {
    if (const auto told = as<cc_namespace>(record);
        told && told->ns_tgid != 0 && whose(header->key.container) != Whose::somebodys) {
      hooks_.hold_namespace(static_cast<int32_t>(told->ns_tgid), told->mnt_ns);
    }
    return;
  }
  switch (whose(header->key.container)) {
    case Whose::ours:
      pass(record, header->key.container);
      break;
    case Whose::somebodys:
      break;
    case Whose::unknown:
      if (bytes_ + record.size() > most_) {
        ++lost_;
      } else {
        bytes_ += record.size();
        held_back_.emplace_back(record);
      }
  }
}

void Relay::name_container(const std::string& id) {
  if (!id_.empty()) {
    return;
  }
  id_ = id;
  for (const std::string& record : std::exchange(held_back_, {})) {
    const uint32_t container = as<cc_record>(record)->key.container;
    if (whose(container) == Whose::ours) {
      pass(record, container);
    }
  }
  bytes_ = 0;
}

// Beyond us a key has no container.
void Relay::pass(std::string_view record, uint32_t container) {
  if (const auto process = as<cc_process>(record); process &&
                                                   process->header.type == CC_RECORD_PROCESS &&
                                                   !roots_sent_.contains(process->mnt_ns)) {
    if (const UniqueFd root = hooks_.open_root(process->mnt_ns)) {
      roots_sent_.insert(process->mnt_ns);
      hooks_.send_root(process->mnt_ns, root.get());
    }
  }
  if (container == 0) {
    hooks_.send(record);
    return;
  }
  std::string of_the_command(record);
  const uint32_t none = 0;
  std::memcpy(of_the_command.data() + offsetof(cc_record, key) + offsetof(cc_key, container), &none,
              sizeof none);
  hooks_.send(of_the_command);
}

std::string Relay::what_is_missing() const {
  if (id_.empty() || ours_ != 0 || hooks_.number_of(id_) != 0) {
    return "";
  }
  return "nothing was captured in the container " + id_.substr(0, 12) +
         ": its engine has not started it below a cgroup2 of this machine (an engine elsewhere, "
         "DOCKER_HOST, or one with "
         "cgroup v1)";
}

}  // namespace crashcrawler
