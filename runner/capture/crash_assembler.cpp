#include "runner/capture/crash_assembler.h"

#include <algorithm>
#include <utility>

#include "runner/capture/pending_crash.h"
#include "runner/capture/record_values.h"

namespace crashcrawler {
namespace {

// On another processor a thread of the group may come by, and walk the map, while the one that begins the train is about
// to write its first record.
bool may_be_first(uint32_t type) {
  return type == CC_RECORD_PROCESS || type == CC_RECORD_THREAD || type == CC_RECORD_PATH ||
         type == CC_RECORD_MAPPING;
}

}  // namespace

CrashAssembler::CrashAssembler(CompletedHook completed, std::chrono::nanoseconds boot_to_wall)
    : completed_(std::move(completed)), boot_to_wall_(boot_to_wall) {}
CrashAssembler::~CrashAssembler() = default;

PendingCrash& CrashAssembler::pending_for(const cc_key& key) {
  const auto [place, is_new] = index_.try_emplace({key.tgid, key.start_ns}, order_.size());
  if (is_new) {
    order_.push_back(std::make_unique<PendingCrash>(key, boot_to_wall_));
  }
  return *order_[place->second];
}

void CrashAssembler::complete(PendingCrash& pending) {
  pending.finish();
  if (!pending.completed) {
    pending.completed = true;
    if (!pending.called_off) {
      completed_(pending.crash);
    }
    if (pending.called_off || pending.crash.abridged) {
      pending.let_go();
    }
  }
}

void CrashAssembler::feed(std::string_view record) {
  const std::optional<cc_record> header = as<cc_record>(record);
  if (!header || header->version != CC_RECORD_VERSION) {
    ++malformed_;
    return;
  }
  const size_t before = order_.size();
  PendingCrash& pending = pending_for(header->key);
  if (pending.completed) {
    pending.note("records arrived after the one that should have been the last");
  } else if (order_.size() > before && !may_be_first(header->type)) {
    pending.note("records arrived before the one that should have been the first");
  }
  if (header->size > record.size() || !pending.take(record)) {
    pending.note("a record was cut short");
  }
  if (header->type == CC_RECORD_EXIT) {
    complete(pending);
    fresh_.push_back(index_[{header->key.tgid, header->key.start_ns}]);
  }
}

std::vector<RawCrash> CrashAssembler::fresh_crashes() {
  std::ranges::sort(fresh_);
  std::vector<RawCrash> crashes;
  for (const size_t place : fresh_) {
    if (!order_[place]->called_off) {
      crashes.push_back(order_[place]->crash);
    }
  }
  fresh_.clear();
  return crashes;
}

std::vector<RawCrash> CrashAssembler::take() {
  std::vector<RawCrash> crashes;
  for (const std::unique_ptr<PendingCrash>& pending : order_) {
    if (!pending->completed) {
      pending->note("the process had not ended when the run did, or its last record is missing");
    }
    complete(*pending);  // also puts in place what came late
    if (!pending->called_off) {
      crashes.push_back(std::move(pending->crash));
    }
  }
  order_.clear();
  index_.clear();
  fresh_.clear();
  return crashes;
}

}  // namespace crashcrawler
