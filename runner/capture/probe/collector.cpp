// Four checked steps (open, set, load, attach), and on failure words a person can act on: the
// kernel answers nearly everything with EPERM, so what is missing is looked up here, not guessed
// from the errno.
#include "runner/capture/probe/collector.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "crash_probe.skel.h"
#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/environment_names.h"

namespace crashcrawler {
namespace {

// libbpf explains itself through a callback without context: its warnings, for the error message. Of a verifier log,
// thousands of lines in one message, the first line and the end tell.
std::string libbpf_words;

int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
  constexpr size_t kShort = 400, kEnd = 250, kKept = 2000;
  if (level != LIBBPF_WARN) {
    return 0;
  }
  std::string words(64 << 10, '\0');
  const int length = std::vsnprintf(words.data(), words.size(), format, arguments);
  words.resize(
      std::clamp<size_t>(length < 0 ? 0 : static_cast<size_t>(length), 0, words.size() - 1));
  if (words.size() > kShort) {
    words = words.substr(0, words.find('\n')) + "\n..." + words.substr(words.size() - kEnd);
  }
  libbpf_words += words;
  if (libbpf_words.size() > kKept) {
    libbpf_words.erase(0, libbpf_words.size() - kKept);
  }
  return length;
}

std::string kernel_release() {
  utsname kernel{};
  return ::uname(&kernel) == 0 ? kernel.release : "unknown";
}

Error load_error(int code) {
  // Which helpers there are depends on it: without those that read memory the verifier says EINVAL.
  const Result<std::string> lockdown = read_file("/sys/kernel/security/lockdown");
  if (lockdown && lockdown->find("[confidentiality]") != std::string::npos) {
    return {
        "the kernel is locked down for confidentiality, which forbids BPF to read memory; boot it "
        "with lockdown=integrity or none"};
  }
  if (code == -EPERM) {
    return {
        "the kernel does not let this process load BPF programs; run as root, or with CAP_BPF, "
        "CAP_PERFMON and "
        "a writable cgroup2 (docker run --cap-add BPF --cap-add PERFMON), or allow sudo without a "
        "password"};
  }
  if (code == -EMFILE || code == -ENFILE) {
    return {"there are not enough file descriptors to load the BPF programs (" +
            std::string(std::strerror(-code)) + "); raise the limit, with ulimit -n 64 or more"};
  }
  return {"the BPF programs do not load on this kernel, " + kernel_release() +
          "; crashcrawler needs Linux 6.1 or newer. The kernel says: " + std::strerror(-code) +
          (libbpf_words.empty() ? "" : "\n" + libbpf_words)};
}

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};

// Linux 6.16 gave sched_process_exit() a second argument, group_dead, when it moved it to before
// exit_mm(): the argument tells that the memory map can be walked there. (The prototype counts the
// private data pointer too.)
bool exit_tracepoint_has_map(const btf* kernel) {
  const int id = btf__find_by_name_kind(kernel, "btf_trace_sched_process_exit", BTF_KIND_TYPEDEF);
  const btf_type* type = id > 0 ? btf__type_by_id(kernel, id) : nullptr;
  type = type ? btf__type_by_id(kernel, type->type) : nullptr;  // the pointer
  type = type ? btf__type_by_id(kernel, type->type) : nullptr;  // the function
  return type && btf_is_func_proto(type) && btf_vlen(type) >= 3;
}

// Whether the kernel lets a program be loaded that is hooked to its function `btf_id`. Some have functions, but nothing may be
// hooked to them; then a whole object with such a program would not load.
bool can_hook(int btf_id) {
  const bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
                              {.code = BPF_JMP | BPF_EXIT}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY,
              .attach_btf_id = static_cast<__u32>(btf_id));
  const UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "can_hook", "Dual MIT/GPL", nothing,
                                       std::size(nothing), &options));
  return program.get() >= 0;
}

// Makes on_sigreturn ready to be loaded, if this kernel has what it is hooked to: the system call of 64-bit programs, of
// which only one of the two functions behind the table is in BTF (arch/x86/include/asm/syscall_wrapper.h).
void choose_sigreturn(crash_probe& programs) {
  const std::unique_ptr<btf, FreeBtf> kernel(btf__load_vmlinux_btf());
  bool found = false;
  for (const char* const name : {"__do_sys_rt_sigreturn", "__x64_sys_rt_sigreturn"}) {
    const int id = kernel && !found ? btf__find_by_name_kind(kernel.get(), name, BTF_KIND_FUNC) : 0;
    found = found || (id > 0 && can_hook(id) &&
                      bpf_program__set_attach_target(programs.progs.on_sigreturn, 0, name) == 0);
  }
  bpf_program__set_autoload(programs.progs.on_sigreturn, found);
  bpf_program__set_autoattach(programs.progs.on_sigreturn, false);
}

// Which of the exit programs this kernel can run. Returns what is missing, in words; empty:
// nothing.
std::string choose_exit_programs(crash_probe& programs) {
  const std::unique_ptr<btf, FreeBtf> kernel(btf__load_vmlinux_btf());
  const bool walkable =
      kernel && btf__find_by_name_kind(kernel.get(), "bpf_iter_task_vma_new", BTF_KIND_FUNC) > 0;
  if (walkable && exit_tracepoint_has_map(kernel.get())) {
    bpf_program__set_autoload(programs.progs.on_exit_with_map, true);
    return "";
  }
  bpf_program__set_autoload(programs.progs.on_exit, true);
  if (walkable) {
    bpf_program__set_autoload(programs.progs.on_do_exit, true);
    return "";
  }
  if (kernel && btf__find_by_name_kind(kernel.get(), "maple_arange_64", BTF_KIND_STRUCT) > 0) {
    bpf_program__set_autoload(programs.progs.on_do_exit_by_tree, true);
    return "";
  }
  return "this kernel cannot walk the memory map of a dying process: no modules, no symbols";
}

// Some kernels have the function but let nothing be hooked to it (no ftrace); then a handler that leaves by siglongjmp(3)
// is not told from one that has returned.
void watch_returns_of_handlers(crash_probe& programs) {
  if (!bpf_program__autoload(programs.progs.on_sigreturn)) {
    return;
  }
  programs.links.on_sigreturn = bpf_program__attach(programs.progs.on_sigreturn);
  if (programs.links.on_sigreturn) {
    programs.bss->sees_returns = 1;
  }
}

uint32_t pid_namespace_inode() {
  struct stat status {};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? static_cast<uint32_t>(status.st_ino) : 0;
}

// Runs remember_place() in this process.
Result<void> remember_place(const crash_probe& programs) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  if (bpf_prog_test_run_opts(bpf_program__fd(programs.progs.remember_place), &options) != 0) {
    return errno_error("cannot tell the BPF programs which root directory is ours");
  }
  return {};
}

bool looks_outside(const CollectorOptions& options) {
  return options.attached_cgroup >= 0 || options.watch_containers;
}

// What is watched besides the command. To be called before they are loaded.
void choose_outside(crash_probe& programs, const CollectorOptions& options) {
  programs.rodata->is_attached = options.attached_cgroup >= 0;
  programs.rodata->watches_containers = options.watch_containers;
  programs.rodata->outside_is_allowed = options.outside_is_allowed;
  bpf_program__set_autoload(programs.progs.on_cgroup_mkdir, options.watch_containers);
  bpf_program__set_autoload(programs.progs.on_cgroup_attach, options.watch_containers);
  bpf_program__set_autoload(programs.progs.remember_place, looks_outside(options));
  bpf_program__set_autoattach(programs.progs.remember_place, false);
}

Result<void> watch_cgroup(const crash_probe& programs, uint32_t which, int directory) {
  if (bpf_map_update_elem(bpf_map__fd(programs.maps.watched_cgroups), &which, &directory,
                          BPF_ANY) != 0) {
    return errno_error("cannot watch the cgroup");
  }
  return {};
}

// Whom the run belongs to: the held process is still his own. Unknown: nobody's memory is shown (overflowuid, 65534).
uint32_t owner_of(pid_t held) {
  constexpr uint32_t kNobody = 65534;
  struct stat status {};
  return ::stat(("/proc/" + std::to_string(held)).c_str(), &status) == 0 ? status.st_uid : kNobody;
}

Result<void> ask_for_variables(const crash_probe& programs) {
  const uint32_t wanted = 1;
  for (const std::string_view name : kEnvironmentNames) {
    char key[CC_VARIABLE_NAME] = {};
    static_assert(std::ranges::all_of(
        kEnvironmentNames, [](std::string_view one) { return one.size() < CC_VARIABLE_NAME; }));
    name.copy(key, sizeof key - 1);
    if (bpf_map_update_elem(bpf_map__fd(programs.maps.variable_names), key, &wanted, BPF_ANY) !=
        0) {
      return errno_error("cannot tell the BPF programs which environment variables to keep");
    }
  }
  return {};
}

// tree.bpf.h
constexpr uint32_t kRunCgroup = 0, kAttachedCgroup = 1;

struct mark {
  uint32_t container, is_command;
};

int hand_on(void* sink, void* data, size_t size) {
  // the ring hands out what was reserved; the record itself says how much of it counts
  auto record = static_cast<const cc_record*>(data);
  if (size >= sizeof(cc_record) && record->size <= size) {
    (*static_cast<RecordSink*>(sink))({static_cast<const char*>(data), record->size});
  }
  return 0;
}

}  // namespace

struct Collector::State {
  RecordSink sink;
  crash_probe* programs = nullptr;
  ring_buffer* ring = nullptr;
  std::string degraded;

  ~State() {
    ring_buffer__free(ring);
    crash_probe__destroy(programs);
  }
};

Collector::Collector(std::unique_ptr<State> state) : state_(std::move(state)) {}
Collector::Collector(Collector&&) noexcept = default;
Collector& Collector::operator=(Collector&&) noexcept = default;
Collector::~Collector() = default;

Result<Collector> Collector::start(const CollectorOptions& options, RecordSink sink) {
  libbpf_set_print(keep_words);
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return Error{
        "this kernel does not show its types (no /sys/kernel/btf/vmlinux); it has to be built with "
        "CONFIG_DEBUG_INFO_BTF=y, and /sys has to be mounted"};
  }
  auto state = std::make_unique<State>();
  state->sink = std::move(sink);

  state->programs = crash_probe__open();
  if (!state->programs) {
    return load_error(-errno);
  }
  state->programs->rodata->caller_pid_namespace = pid_namespace_inode();
  state->programs->rodata->caller_uid = owner_of(options.held);
  state->programs->rodata->crash_stack_bytes = options.crash_stack_bytes;
  state->programs->rodata->thread_stack_bytes = options.thread_stack_bytes;
  state->programs->rodata->keep_list = options.cgroup.empty() && !options.only_attached;
  choose_outside(*state->programs, options);
  bpf_map__set_max_entries(state->programs->maps.ring, options.ring_bytes);
  state->degraded = choose_exit_programs(*state->programs);
  choose_sigreturn(*state->programs);
  if (const int code = crash_probe__load(state->programs); code != 0) {
    return load_error(code);
  }

  if (const Result<void> asked = ask_for_variables(*state->programs); !asked) {
    return asked.error();
  }
  if (!options.cgroup.empty()) {
    UniqueFd cgroup(::open(options.cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (const Result<void> watched = watch_cgroup(*state->programs, kRunCgroup, cgroup.get());
        !watched) {
      return watched.error().in(options.cgroup);
    }
  }
  if (options.attached_cgroup >= 0) {
    if (const Result<void> watched =
            watch_cgroup(*state->programs, kAttachedCgroup, options.attached_cgroup);
        !watched) {
      return watched.error();
    }
  }
  if (looks_outside(options)) {
    if (const Result<void> placed = remember_place(*state->programs); !placed) {
      return placed.error();
    }
  }
  UniqueFd held(static_cast<int>(::syscall(SYS_pidfd_open, options.held, 0)));
  const int held_fd = held.get();
  const mark marked{.container = 0, .is_command = 1};
  if (!held ||
      (!options.only_attached && bpf_map_update_elem(bpf_map__fd(state->programs->maps.descendants),
                                                     &held_fd, &marked, BPF_ANY) != 0)) {
    return errno_error("cannot watch the process " + std::to_string(options.held));
  }
  state->ring =
      ring_buffer__new(bpf_map__fd(state->programs->maps.ring), hand_on, &state->sink, nullptr);
  if (!state->ring) {
    return errno_error("cannot map the ring of the BPF programs");
  }
  if (const int code = crash_probe__attach(state->programs); code != 0) {
    return load_error(code);
  }
  watch_returns_of_handlers(*state->programs);
  return Collector(std::move(state));
}

int Collector::poll_fd() const {
  return ring_buffer__epoll_fd(state_->ring);
}

const std::string& Collector::degraded() const {
  return state_->degraded;
}

void Collector::drain() {
  ring_buffer__consume(state_->ring);
}

cc_counters Collector::counters() const {
  cc_counters counters{};
  const uint32_t zero = 0;
  bpf_map_lookup_elem(bpf_map__fd(state_->programs->maps.counters), &zero, &counters);
  return counters;
}

std::vector<int32_t> Collector::members() const {
  std::vector<int32_t> pids;
  const int map = bpf_map__fd(state_->programs->maps.members);
  uint32_t key = 0, next = 0, pid = 0;
  for (int found = bpf_map_get_next_key(map, nullptr, &next); found == 0;
       found = bpf_map_get_next_key(map, &key, &next)) {
    key = next;
    if (bpf_map_lookup_elem(map, &key, &pid) == 0) {
      pids.push_back(static_cast<int32_t>(pid));
    }
  }
  return pids;
}

uint32_t Collector::number_of_container(const std::string& id) const {
  const int map = bpf_map__fd(state_->programs->maps.containers);
  uint64_t key = 0, next = 0;
  for (int found = bpf_map_get_next_key(map, nullptr, &next); found == 0;
       found = bpf_map_get_next_key(map, &key, &next)) {
    key = next;
    cc_container container{};
    if (bpf_map_lookup_elem(map, &key, &container) == 0 &&
        id == std::string_view(container.id, sizeof container.id)) {
      return container.number;
    }
  }
  return 0;
}

void Collector::choose_container(uint32_t number) {
  state_->programs->bss->own_container = number;
}

uint64_t Collector::missed_runs() const {
  uint64_t missed = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->programs->obj) {
    bpf_prog_info info{};
    uint32_t size = sizeof info;
    const int fd = bpf_program__fd(program);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0) {
      missed += info.recursion_misses;
    }
  }
  return missed;
}

}  // namespace crashcrawler
