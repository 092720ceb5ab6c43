// Names as they stand in the libraries' symbol tables and debug information. The allocator's static
// functions are among them because a C library without symbols does not show them: free() is the
// name that always stands there.
#include "runner/classify/machinery.h"

#include <algorithm>
#include <iterator>

namespace crashcrawler {
namespace {

constexpr std::string_view kMachinery[] = {
    // sending a signal to oneself, and the trampoline of its delivery
    "raise",
    "gsignal",
    "abort",
    "kill",
    "tgkill",
    "killpg",
    "pthread_kill",
    "__pthread_kill",
    "__pthread_kill_implementation",
    "__pthread_kill_internal",
    "pthread_sigqueue",
    "sigqueue",
    "__restore_rt",
    "__restore",
    "__kernel_rt_sigreturn",
    "<signal handler called>",
    // failed assertions
    "__assert",
    "__assert_fail",
    "__assert_fail_base",
    "__assert_perror_fail",
    "__libc_fatal",
    "__libc_message",
    "__libc_message_impl",
    "__libc_assert_fail",
    "__malloc_assert",
    // the allocator's checks
    "malloc_printerr",
    "malloc_printerr_tail",
    "_int_free",
    "_int_free_merge_chunk",
    "_int_free_create_chunk",
    "_int_free_chunk",
    "_int_malloc",
    "_int_realloc",
    "_int_memalign",
    "unlink_chunk",
    "malloc_consolidate",
    "sysmalloc",
    "tcache_double_free_verify",
    // -fstack-protector, _FORTIFY_SOURCE
    "__stack_chk_fail",
    "__stack_chk_fail_local",
    "__fortify_fail",
    "__fortify_fail_abort",
    "__chk_fail",
    // C++ exceptions without a handler, and calls that cannot be
    "std::terminate",
    "std::unexpected",
    "std::abort",
    "std::__terminate",
    "std::__glibcxx_assert_fail",
    "std::__replacement_assert",
    "__cxxabiv1::__terminate",
    "__cxxabiv1::__unexpected",
    "__cxa_throw",
    "__cxa_rethrow",
    "std::rethrow_exception",
    "__cxa_pure_virtual",
    "__cxa_deleted_virtual",
    "__cxa_call_terminate",
    "__cxa_call_unexpected",
    "__gnu_cxx::__verbose_terminate_handler",
    "demangling_terminate_handler",
    "abort_message",
    "__clang_call_terminate",
    // Rust
    "rust_panic",
    "rust_begin_unwind",
    "std::process::abort",
};

constexpr std::string_view kMachineryPrefixes[] = {
    "_Unwind_",           "__gxx_personality_", "std::__throw_",
    "std::panicking::",   "core::panicking::",  "std::sys::backtrace::__rust_end_short_backtrace",
    "__rust_start_panic", "panic_abort::"};

}  // namespace

bool is_raising_machinery(std::string_view name) {
  const auto starts_name = [&](std::string_view prefix) { return name.starts_with(prefix); };
  return std::find(std::begin(kMachinery), std::end(kMachinery), name) != std::end(kMachinery) ||
         std::any_of(std::begin(kMachineryPrefixes), std::end(kMachineryPrefixes), starts_name);
}

}  // namespace crashcrawler
