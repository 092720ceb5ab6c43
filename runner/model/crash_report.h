// One crash with everything that is known about it: what the report writers take.
#pragma once

#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct Signature {
  std::string algorithm;  // names the rules, so that hashes are compared only with their like
  std::string hash;       // lower-case hex
  std::vector<std::string> frames;  // the normalised frames that went in, top first
};

struct CrashReport {
  std::string id;  // "0001-null_write-SIGSEGV": unique in the run, only [A-Za-z0-9._-]
  RawCrash raw;    // stack bytes have been dropped
  Backtrace backtrace;
  Signature signature;
};

}  // namespace crashcrawler
