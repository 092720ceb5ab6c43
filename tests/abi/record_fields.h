/* Every field of every record of bpf/crash_event.h: F(struct, field). Compiled as C, C++ and BPF; abi_test.cpp fails
 * when a field is in the header but not here. */
#pragma once
// clang-format off
#define RECORD_FIELDS(F) \
  F(cc_key, tgid) F(cc_key, container) F(cc_key, start_ns) \
  F(cc_record, type) F(cc_record, version) F(cc_record, size) F(cc_record, key) \
  F(cc_registers, r15) F(cc_registers, r14) F(cc_registers, r13) F(cc_registers, r12) \
  F(cc_registers, rbp) F(cc_registers, rbx) F(cc_registers, r11) F(cc_registers, r10) \
  F(cc_registers, r9) F(cc_registers, r8) F(cc_registers, rax) F(cc_registers, rcx) \
  F(cc_registers, rdx) F(cc_registers, rsi) F(cc_registers, rdi) F(cc_registers, orig_rax) \
  F(cc_registers, rip) F(cc_registers, cs) F(cc_registers, rflags) F(cc_registers, rsp) \
  F(cc_registers, ss) F(cc_registers, fs_base) F(cc_registers, gs_base) \
  F(cc_process, header) F(cc_process, time_ns) F(cc_process, cgroup_id) F(cc_process, tid) \
  F(cc_process, ns_tgid) F(cc_process, ns_tid) F(cc_process, inner_tgid) F(cc_process, uid) \
  F(cc_process, euid) F(cc_process, gid) F(cc_process, parent_tgid) F(cc_process, pid_level) \
  F(cc_process, mnt_ns) F(cc_process, signal) F(cc_process, cause) F(cc_process, siginfo) \
  F(cc_process, start_code) F(cc_process, end_code) F(cc_process, start_brk) F(cc_process, brk) \
  F(cc_process, start_stack) F(cc_process, arg_start) F(cc_process, arg_end) \
  F(cc_process, env_start) F(cc_process, env_end) F(cc_process, auxv) F(cc_process, auxv_words) \
  F(cc_process, memory_withheld) F(cc_process, session) F(cc_process, reserved) F(cc_process, comm) \
  F(cc_parent, header) F(cc_parent, parent) F(cc_parent, ns_tgid) F(cc_parent, distance) \
  F(cc_parent, comm) F(cc_parent, command_length) F(cc_parent, reserved) F(cc_parent, command) \
  F(cc_path, header) F(cc_path, inode) F(cc_path, device) F(cc_path, purpose) F(cc_path, flags) \
  F(cc_path, components) F(cc_path, length) F(cc_path, bytes) \
  F(cc_thread, header) F(cc_thread, tid) F(cc_thread, ns_tid) F(cc_thread, flags) \
  F(cc_thread, reserved) F(cc_thread, registers) F(cc_thread, comm) \
  F(cc_bytes, header) F(cc_bytes, address) F(cc_bytes, tid) F(cc_bytes, purpose) \
  F(cc_bytes, reserved) F(cc_bytes, length) F(cc_bytes, reserved2) F(cc_bytes, bytes) \
  F(cc_mapping, header) F(cc_mapping, start) F(cc_mapping, end) F(cc_mapping, file_offset) \
  F(cc_mapping, inode) F(cc_mapping, device) F(cc_mapping, flags) \
  F(cc_exit, header) F(cc_exit, time_ns) F(cc_exit, exit_code) F(cc_exit, lost_records) \
  F(cc_exit, threads) F(cc_exit, mappings) F(cc_exit, oom_killed) F(cc_exit, mappings_state) \
  F(cc_exit, environment) F(cc_exit, mappings_left_out) F(cc_exit, reserved) F(cc_exit, called_off) \
  F(cc_variable, header) F(cc_variable, length) F(cc_variable, reserved) F(cc_variable, text) \
  F(cc_first_signal, header) F(cc_first_signal, tid) F(cc_first_signal, signal) \
  F(cc_first_signal, count) F(cc_first_signal, place_only) F(cc_first_signal, handler) F(cc_first_signal, siginfo) F(cc_first_signal, registers) \
  F(cc_sender, header) F(cc_sender, sender) F(cc_sender, ns_tgid) F(cc_sender, uid) \
  F(cc_sender, signal) F(cc_sender, in_tree) F(cc_sender, comm) F(cc_sender, command_length) \
  F(cc_sender, namespace_end) F(cc_sender, command) \
  F(cc_container, id) F(cc_container, number) \
  F(cc_namespace, header) F(cc_namespace, ns_tgid) F(cc_namespace, mnt_ns) \
  F(cc_counters, deaths) F(cc_counters, lost_crashes) F(cc_counters, lost_records) F(cc_counters, unlisted) \


#define RECORD_STRUCTS(S) \
  S(cc_key) S(cc_record) S(cc_registers) S(cc_process) S(cc_parent) S(cc_path) \
  S(cc_thread) S(cc_bytes) S(cc_mapping) S(cc_exit) S(cc_first_signal) S(cc_sender) S(cc_variable) S(cc_container) S(cc_namespace) S(cc_counters)
// clang-format on
