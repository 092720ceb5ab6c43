// The processes of a run, followed by ptrace(2) from the held command on: the same records as crashcrawler-probe sends,
// without privilege. All of it happens in one thread, because only the one that has attached may ask.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/process_train.h"
#include "runner/capture/tracer/death.h"

namespace crashcrawler {

// What a tracer says besides records.
struct TracerVoice {
  RecordSink record;
  std::function<void(const std::string&)> note;  // what we do to the run that its user should know
  std::function<void()> check;  // asks to be told, by taken(), when all of a death has been taken
  std::function<bool()> has_room;  // for one more death; the reader may be slow, or stopped
};

class Tracer {
 public:
  using Clock = std::chrono::steady_clock;

  // `has_bpf`: BPF may be had here, as far as is known.
  Tracer(StackSizes sizes, TracerVoice voice, bool has_bpf);
  Tracer(const Tracer&) = delete;

  // Attaches to a process that is held before its exec. Error: why this machine does not allow it, and what to do.
  Result<void> follow(pid_t held);

  // Everything that has happened to the processes since; to be called when SIGCHLD comes, and when deadline() is over.
  void take_events();
  std::optional<Clock::time_point> deadline() const;

  // The oldest check has been answered.
  void taken();

  // The processes of the run that live.
  std::vector<pid_t> living() const;

  // Sends a train of each of them, children first. `wait`: sleeps until SIGCHLD comes or the time is over. Takes ten
  // seconds at most. Returns what is missing, in words.
  std::vector<std::string> look(const std::function<void(Clock::time_point)>& wait);

  // The run is over: what has not been sent of a death is.
  void finish();

  const cc_counters& counters() const { return counters_; }

 private:
  // A process as others of the run may have to name it when it is dead.
  struct Program {
    cc_key key{};
    std::string name;
    std::shared_ptr<const std::string> command;
  };
  using Ancestors = std::vector<std::shared_ptr<const Program>>;

  struct Parked {
    int request = 0;
    int signal = 0;
  };

  struct Thread {
    pid_t pid = 0;
    std::optional<Delivered> last;     // the newest signal that may end it
    std::optional<Delivered> handled;  // the newest core signal that did not
    uint64_t handled_count = 0;
    bool leaving = false;          // it has come to its exit
    std::optional<Parked> parked;  // stands still for look(), and how it was to go on
  };

  struct Death {
    std::unique_ptr<ProcessTrain> train;
    pid_t held = 0;  // the thread that stands at its exit
    int exit_code = 0;
    bool oom_killed = false;
    bool told = false;  // all that will be
    size_t threads = 1;
    std::set<pid_t> awaited;  // threads that have not come by
    Clock::time_point deadline;
  };

  struct Process {
    std::shared_ptr<Program> program;
    Ancestors ancestors;  // nearest first
    SenderRecord sender;  // of the newest signal that may end it or has stopped it
    int sender_signal = 0;
    Clock::time_point sender_time;
    bool is_core_signal_handled = false;  // by some thread of it
    bool stands = false;                  // look() is at work
    bool is_lost = false;                 // there was no room for its death
    std::vector<std::string>
        passed;  // records of threads that were at their end before the dying one
    std::unique_ptr<Death> death;
  };

  void take(pid_t tid, int status);
  void take_signal(pid_t tid, Thread& thread, int signal);
  void take_child(pid_t tid, Thread& thread, int event);
  void take_exec(pid_t tid);
  void take_exit(pid_t tid, Thread& thread);
  void take_end(pid_t tid, int status);

  Thread* find_or_enter(pid_t tid);
  void introduce(pid_t child, pid_t pid);
  Process& enter(pid_t pid, const Process* parent);
  Process* parent_of(pid_t pid);
  void resume(pid_t tid, int request, int signal = 0);
  void remember_sender(Process& process, const siginfo_t& info, pid_t receiver);
  void set_sender(Process& process, int signal, pid_t pid, uid_t user);
  void remember_overtaken(Process& process, pid_t tid);
  void assume_runner(Process& process);
  bool explains_kill(const Process& process) const;
  bool was_oom_killed();
  bool dies_by(const Thread& thread, int signal, const user_regs_struct& registers) const;
  bool is_for_another(pid_t tid, pid_t pid, int signal) const;
  void keep_passing(pid_t tid, Process& process, const user_regs_struct& registers);
  void begin_death(pid_t tid, Thread& thread, Process& process, int code,
                   const user_regs_struct& registers);
  void come_by(pid_t tid, Process& process);
  void end_when_all_came_by(Process& process);
  void tell_end(Death& death);
  void let_go(Process& process);
  bool stand_aside(pid_t tid, Process& process, const std::string& executable);
  void warn_of_lost_privilege(pid_t tid, const Process& process, const std::string& executable);
  void note_once(const std::string& kind, const std::string& text);
  std::vector<AncestorRecord> ancestor_records(const Process& process) const;
  void look_at(pid_t pid, Clock::time_point deadline,
               const std::function<void(Clock::time_point)>& wait,
               std::vector<std::string>& missing);

  StackSizes sizes_;
  TracerVoice voice_;
  bool has_bpf_;
  pid_t before_exec_ = 0;         // the held process until it begins the command
  bool serves_attempts_ = false;  // it has forked before that: it is the server of many attempts
  bool has_proc_;
  std::map<pid_t, Thread> threads_;
  std::set<pid_t>
      unannounced_;  // they stand at their first stop until somebody says whose child they are
  std::map<pid_t, Process> processes_;
  std::set<pid_t> dying_;  // those of them of which a thread is held at its exit
  std::map<pid_t, std::shared_ptr<const Program>> dead_;  // the newest of them
  std::deque<pid_t> graves_;                              // their order
  std::set<std::pair<pid_t, uint64_t>> apart_;            // not traced by us: pid and start
  std::deque<pid_t> checked_;                             // threads that wait for taken(); 0: gone
  bool is_answered_ = true;                               // checks are, or were when we last waited
  std::set<std::string> noted_;
  LeakCheck leak_check_;
  uint64_t oom_kills_ = 0;
  cc_counters counters_{};
};

}  // namespace crashcrawler
