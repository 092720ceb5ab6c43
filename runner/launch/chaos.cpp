#include "runner/launch/chaos.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <vector>

#include "runner/base/address_randomization.h"
#include "runner/base/file.h"
#include "runner/launch/own_descriptors.h"

namespace crashcrawler {
namespace {

constexpr int kCpusOfAttempt = 2;     // at most, when it is confined at all
constexpr uint64_t kLookAgain = 100;  // microseconds

// splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): the standard library's distributions give other
// numbers elsewhere, and a seed is to mean the same everywhere.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }
  uint64_t below(uint64_t end) { return next() % end; }
  uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
  bool chance(uint64_t percent) { return below(100) < percent; }
  // Of all sizes alike: as often between 1 and 2 as between 512 and 1,024.
  uint64_t of_any_size(uint64_t least, uint64_t most) {
    uint64_t doublings = 0;
    while (least << (doublings + 1) <= most) {
      ++doublings;
    }
    const uint64_t low = least << below(doublings + 1);
    return std::min(most, low + below(low));
  }

 private:
  uint64_t state_;
};

void draw_stops(Dice& dice, ChaosSettings& settings) {
  settings.go_us = static_cast<uint32_t>(dice.of_any_size(8, 64));
  settings.stop_threads = dice.chance(75);
  settings.stop_us =
      static_cast<uint32_t>(dice.of_any_size(256, settings.stop_threads ? 2048 : 1024));
}

std::vector<int> usable_cpu_numbers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> numbers;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        numbers.push_back(cpu);
      }
    }
  }
  return numbers.empty() ? std::vector<int>{0} : numbers;
}

// `count` of `usable` from place `first` on, around the end.
cpu_set_t cpu_set(const std::vector<int>& usable, size_t first, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < count; ++i) {
    CPU_SET(usable[(first + static_cast<size_t>(i)) % usable.size()], &set);
  }
  return set;
}

int policy_of(Priority priority) {
  return priority == Priority::idle    ? SCHED_IDLE
         : priority == Priority::batch ? SCHED_BATCH
                                       : SCHED_OTHER;
}

uint64_t now_us() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(time.tv_nsec) / 1000;
}

// What a competitor is told; shared between it and us.
struct Order {
  std::atomic<uint32_t> number{0};  // odd: at work; changes with every order
  ChaosSettings settings;
  char cgroup[PATH_MAX] = {};
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

void wake(std::atomic<uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void wait_while(std::atomic<uint32_t>& word, uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}

// The process that takes a processor away, over and over.
class Competitor {
 public:
  Competitor(Order& order, int place) : order_(order), place_(place) {}

  [[noreturn]] void run() {
    for (;;) {
      const uint32_t number = order_.number.load();
      if (number % 2 == 0) {
        wait_while(order_.number, number);
      } else {
        compete(number);
      }
    }
  }

 private:
  bool is_current(uint32_t number) const { return order_.number.load() == number; }

  void compete(uint32_t number) {
    const ChaosSettings settings = order_.settings;
    const bool wanted =
        settings.go_us > 0 && place_ < settings.cpus && (place_ == 0 || !settings.stop_one_cpu);
    if (!wanted) {
      wait_while(order_.number, number);
      return;
    }
    placed_ = 0;
    const cpu_set_t own = cpu_set(all_, settings.first_cpu + static_cast<size_t>(place_), 1);
    ::sched_setaffinity(0, sizeof own, &own);
    Dice dice(settings.seed + static_cast<uint64_t>(place_));
    const uint64_t begun = now_us();
    if (dice.chance(25)) {
      leave_alone(number, dice.between(0, 20'000));
    }
    while (is_current(number)) {
      const uint64_t end = now_us() + dice.between(200'000, 1'000'000);
      while (is_current(number) && now_us() < end) {
        if (settings.stop_threads && !has_several_threads()) {
          rest(kLookAgain);
          continue;
        }
        if (place_ == 0 && settings.cpus > 1) {
          place_threads(settings, dice);
        }
        rest(dice.between(settings.go_us / 2, settings.go_us * 3 / 2));
        spin(number, dice.between(settings.stop_us / 2, settings.stop_us * 3 / 2));
      }
      if (is_current(number)) {
        // In proportion to what is over: short attempts are disturbed nearly all the time, long ones now and then, so that
        // they do not become much longer.
        leave_alone(number, 5'000 + (now_us() - begun) * dice.between(10, 100) / 100);
      }
    }
  }

  static void rest(uint64_t us) {
    const timespec time{0, static_cast<long>(us) * 1000};
    ::nanosleep(&time, nullptr);
  }

  void spin(uint32_t number, uint64_t us) const {
    const uint64_t end = now_us() + us;
    while (is_current(number) && now_us() < end) {
    }
  }

  void leave_alone(uint32_t number, uint64_t us) {
    const timespec time{static_cast<time_t>(us / 1'000'000),
                        static_cast<long>(us % 1'000'000) * 1000};
    ::syscall(SYS_futex, &order_.number, FUTEX_WAIT, number, &time, nullptr, 0);
  }

  // Of one process. What cannot be known is taken for granted.
  bool has_several_threads() const {
    return order_.cgroup[0] == '\0' ||
           numbers_in("cgroup.threads").size() > numbers_in("cgroup.procs").size();
  }

  // Each thread of the attempt to one of its processors, or now and then to all of them: it stops when that one is taken
  // away and the others go on. New threads are where their creator is.
  void place_threads(const ChaosSettings& settings, Dice& dice) {
    const std::vector<pid_t> threads = numbers_in("cgroup.threads");
    if (threads.size() == placed_ && !dice.chance(10)) {
      return;
    }
    placed_ = threads.size();
    for (const pid_t thread : threads) {
      const bool everywhere = dice.chance(20);
      const cpu_set_t set =
          everywhere
              ? cpu_set(all_, settings.first_cpu, settings.cpus)
              : cpu_set(all_, settings.first_cpu + dice.below(static_cast<uint64_t>(settings.cpus)),
                        1);
      ::sched_setaffinity(thread, sizeof set, &set);
    }
  }

  std::vector<pid_t> numbers_in(const char* file) const {
    std::vector<pid_t> all;
    if (order_.cgroup[0] != '\0') {
      const Result<std::string> text = read_file(std::string(order_.cgroup) + "/" + file);
      std::istringstream numbers(text ? *text : "");
      for (pid_t number = 0; numbers >> number;) {
        all.push_back(number);
      }
    }
    return all;
  }

  Order& order_;
  int place_;
  size_t placed_ = 0;  // so many threads had their processors chosen
  const std::vector<int> all_ = usable_cpu_numbers();
};

// A competitor is to run the moment it wakes up, also where the machine has other work: by a high priority, if we may have
// one (root, RLIMIT_NICE), and by a short slice (since Linux 6.12; struct sched_attr is in sched_setattr(2)).
void ask_for_precedence() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes{};
  attributes.size = sizeof attributes;
  attributes.runtime = 100'000;  // ns, the least there is
  attributes.nice = -20;
  if (::syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) {
    attributes.nice = ::getpriority(PRIO_PROCESS, 0);
    ::syscall(SYS_sched_setattr, 0, &attributes, 0);
  }
}

}  // namespace

std::string disk_of(dev_t device, const std::string& sysfs) {
  const std::string number = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  const std::string here = sysfs + "/dev/block/" + number;
  if (::access((here + "/partition").c_str(), F_OK) != 0) {
    return number;
  }
  // A link to .../block/sda/sda1 (sysfs(5)).
  Result<std::string> whole = read_file(here + "/../dev");
  return whole ? whole->substr(0, whole->find('\n')) : number;
}

int usable_cpus() {
  return static_cast<int>(usable_cpu_numbers().size());
}

ChaosSettings chaos_settings(uint64_t seed, int number, const ChaosMeans& means) {
  Dice mixer(seed + static_cast<uint64_t>(number) * 0x2545f4914f6cdd1d);
  Dice dice(mixer.next());
  ChaosSettings settings;
  settings.number = number;
  settings.seed = dice.next();
  settings.randomize_addresses = dice.chance(50);
  settings.malloc_perturb = dice.chance(50) ? static_cast<uint32_t>(dice.between(1, 255)) : 0;
  settings.timer_slack_us = dice.chance(25) ? static_cast<uint32_t>(dice.of_any_size(1, 1024)) : 0;
  const uint64_t cpus = static_cast<uint64_t>(std::max(means.cpus, 1));
  const uint64_t first_cpu = dice.below(cpus);
  switch (dice.below(8)) {
    case 0:  // at full speed
      break;
    case 1:  // threads one after the other, as on a small machine
      settings.cpus = 1;
      settings.priority = Priority::batch;
      settings.nice = static_cast<int>(dice.below(20));
      break;
    case 2:  // one of two processors is slow
      settings.cpus = std::min<int>(kCpusOfAttempt, static_cast<int>(cpus));
      settings.priority = Priority::idle;
      settings.stop_one_cpu = true;
      draw_stops(dice, settings);
      break;
    case 3:
      settings.cpus = 1;
      settings.nice = static_cast<int>(dice.between(10, 19));
      draw_stops(dice, settings);
      break;
    default:  // a slow machine with quick clocks
      settings.cpus = 1;
      settings.priority = Priority::idle;
      draw_stops(dice, settings);
      break;
  }
  settings.first_cpu = settings.cpus > 0 ? static_cast<uint32_t>(first_cpu) : 0;
  const uint64_t memory = dice.of_any_size(64, 1024), io = dice.of_any_size(1, 64);
  const bool press_memory = dice.chance(30), press_io = dice.chance(30);
  settings.memory_high = means.memory && press_memory ? memory << 20 : 0;
  settings.io_bytes_per_second = means.io && press_io ? io << 20 : 0;
  return settings;
}

void disturb_this_process(const ChaosSettings& settings) {
  if (settings.cpus > 0) {
    const cpu_set_t set = cpu_set(usable_cpu_numbers(), settings.first_cpu, settings.cpus);
    ::sched_setaffinity(0, sizeof set, &set);
  }
  if (settings.priority != Priority::normal) {
    const sched_param none{};
    ::sched_setscheduler(0, policy_of(settings.priority), &none);
  }
  if (settings.nice > 0) {
    ::setpriority(PRIO_PROCESS, 0, std::min(19, ::getpriority(PRIO_PROCESS, 0) + settings.nice));
  }
  if (settings.timer_slack_us > 0) {
    ::prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(settings.timer_slack_us) * 1000);
  }
  if (!settings.randomize_addresses) {
    fix_addresses();
  }
  if (settings.malloc_perturb > 0) {
    ::setenv("MALLOC_PERTURB_", std::to_string(settings.malloc_perturb).c_str(), 0);
  }
}

void press_cgroup(const std::string& cgroup, const std::string& directory,
                  ChaosSettings& settings) {
  if (settings.memory_high > 0 &&
      !write_control_file(cgroup + "/memory.high", std::to_string(settings.memory_high))) {
    settings.memory_high = 0;
  }
  if (settings.io_bytes_per_second > 0) {
    struct stat status {};
    const std::string most = std::to_string(settings.io_bytes_per_second);
    if (::stat(directory.c_str(), &status) != 0 ||
        !write_control_file(cgroup + "/io.max",
                            disk_of(status.st_dev) + " rbps=" + most + " wbps=" + most)) {
      settings.io_bytes_per_second = 0;
    }
  }
}

struct Competitors::State {
  Order* orders = nullptr;
  size_t count = 0;
  std::vector<pid_t> processes;

  ~State() {
    for (const pid_t pid : processes) {
      ::kill(pid, SIGKILL);
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    if (orders) {
      ::munmap(orders, count * sizeof(Order));
    }
  }
};

Competitors::Competitors(std::unique_ptr<State> state) : state_(std::move(state)) {}
Competitors::Competitors(Competitors&&) noexcept = default;
Competitors& Competitors::operator=(Competitors&&) noexcept = default;
Competitors::~Competitors() = default;

Result<Competitors> Competitors::start(int jobs) {
  auto state = std::make_unique<State>();
  state->count = static_cast<size_t>(jobs);
  void* shared = ::mmap(nullptr, state->count * sizeof(Order), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    return errno_error("cannot have memory for --chaos");
  }
  state->orders = static_cast<Order*>(shared);
  const pid_t wrapper = ::getpid();
  for (size_t job = 0; job < state->count; ++job) {
    new (&state->orders[job]) Order;
    for (int place = 0; place < kCpusOfAttempt; ++place) {
      const pid_t pid = ::fork();
      if (pid < 0) {
        return errno_error("cannot start a process for --chaos");
      }
      if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != wrapper) {
          ::_exit(0);
        }
        close_own_descriptors(-1);
        ::prctl(PR_SET_NAME, "chaos");
        ::prctl(PR_SET_TIMERSLACK, 1ul);
        ask_for_precedence();
        Competitor(state->orders[job], place).run();
      }
      state->processes.push_back(pid);
    }
  }
  return Competitors(std::move(state));
}

void Competitors::begin(int job, const ChaosSettings& settings, const std::string& cgroup) {
  Order& order = state_->orders[job];
  order.settings = settings;
  const size_t length = std::min(cgroup.size(), sizeof order.cgroup - 1);
  std::memcpy(order.cgroup, cgroup.data(), length);
  order.cgroup[length] = '\0';
  order.number += 1 + order.number % 2;  // to the next odd one
  wake(order.number);
}

void Competitors::end(int job) {
  Order& order = state_->orders[job];
  order.number += order.number % 2;
  wake(order.number);
}

}  // namespace crashcrawler
