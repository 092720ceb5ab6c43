// Stage 5: when are two crashes the same crash?
#pragma once

#include "runner/model/backtrace.h"
#include "runner/model/crash_report.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// The hash of the signal and the top five normalised frames of the crashing thread; the rules are
// in signature.cpp.
Signature sign(const RawCrash& crash, const Backtrace& backtrace);

}  // namespace crashcrawler
