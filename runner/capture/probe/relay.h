// Which records leave the probe: those of the command's tree and of what it is attached to at once, of containers only those
// of the command's own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

struct RelayHooks {
  std::function<void(std::string_view record)> send;
  // The container's number; 0: no such container has begun.
  std::function<uint32_t(const std::string& id)> number_of;
  std::function<void(uint32_t number)> choose;  // this one is ours: called once
  std::function<void(int32_t pid, uint32_t mount_namespace)> hold_namespace;
  std::function<UniqueFd(uint32_t mount_namespace)> open_root;
  std::function<void(uint32_t mount_namespace, int root)> send_root;
};

class Relay {
 public:
  // `most` bytes of records are held back, those beyond are lost (lost()).
  Relay(RelayHooks hooks, size_t most) : hooks_(std::move(hooks)), most_(most) {}

  // A record from the kernel. Of a container it is held back while nobody has said which one is ours.
  void take(std::string_view record);

  // The container that the command has started; the first word counts.
  void name_container(const std::string& id);

  // Records that were held back and had no room.
  uint64_t lost() const { return lost_; }

  // "": nothing is wrong. Else in words that the container that was named has not been seen.
  std::string what_is_missing() const;

 private:
  enum class Whose { ours, somebodys, unknown };
  Whose whose(uint32_t container);
  void pass(std::string_view record, uint32_t container);

  RelayHooks hooks_;
  size_t most_;
  std::string id_;  // empty: not known yet
  uint32_t ours_ = 0;
  std::set<uint32_t> others_;
  std::vector<std::string> held_back_;
  size_t bytes_ = 0;
  uint64_t lost_ = 0;
  std::set<uint32_t> roots_sent_;
};

}  // namespace crashcrawler
