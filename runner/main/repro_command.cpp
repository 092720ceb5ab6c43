// What is done is planned in runner/repro/; here files are read and programs started. crashcrawler-run does the rest: what it
// writes about the new run is read as any report is.
#include "runner/main/repro_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "runner/base/program_output.h"
#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/launch/foreground.h"
#include "runner/report/text.h"
#include "runner/repro/container.h"
#include "runner/repro/plan.h"
#include "runner/repro/recorded_crash.h"
#include "runner/repro/recurrence.h"
#include "runner/results/result_folder.h"
#include "runner/unwind/elf_image.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr int kCameBack = 0, kDidNot = 1, kNotTried = 2;
constexpr int kEngineFailed = 125;
constexpr size_t kLongestPath = 300, kLongestComplaint = 1000;  // characters
constexpr size_t kLargestReport = size_t{1} << 30;

// A file of a name is replaced, never written over: so these tell one from the next.
struct FileStamp {
  ino_t inode = 0;
  int64_t seconds = 0, nanoseconds = 0;

  bool operator==(const FileStamp&) const = default;
};

FileStamp stamp_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return {};
  }
  return {status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

struct Task {
  RecordedCrash crash;
  AttemptsToMake attempts;
  std::string output;       // absolute
  FileStamp report_before;  // that is in `output` already

  bool has_new_report() const {
    const FileStamp now = stamp_of(output + "/report.json");
    return now != FileStamp() && now != report_before;
  }
};

void say(const std::string& line) {
  fmt::print("crashcrawler: {}\n", line);
  std::fflush(stdout);  // before a program that writes there, too
}

void say(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    say(line);
  }
}

Places places_here() {
  const auto is = [](const std::string& path, mode_t type) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IFMT) == type;
  };
  return {[=](const std::string& path) { return is(path, S_IFDIR); },
          [=](const std::string& path) { return is(path, S_IFREG); }};
}

std::optional<std::string> build_id_at(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    return std::nullopt;
  }
  const auto image = ElfImage::open(file.get(), path, DebugFileSearch());
  return image ? (*image)->build_id() : "";
}

// Stacks are most of a report, and not needed.
bool is_needed(int, Json::parse_event_t event, Json& parsed) {
  return event != Json::parse_event_t::key || (parsed != "threads" && parsed != "modules");
}

Result<RecordedCrash> read_crash(const ReproOptions& options) {
  const Result<std::vector<ListedCrash>> crashes = list_crashes(options.output_directory);
  if (!crashes) {
    return crashes.error();
  }
  const Result<ListedCrash> listed = find_crash(*crashes, options.id);
  if (!listed) {
    return listed.error();
  }
  const Result<Json> report = read_report(options.output_directory, is_needed, kLargestReport);
  if (!report) {
    return report.error();
  }
  const Result<Json> record = record_of(options.output_directory, *listed);
  if (!record) {
    return record.error();
  }
  return recorded_crash(*report, *record);
}

// The folder for the new reports, absolute; another one than that which is read.
Result<std::string> output_for(const ReproOptions& options, const std::string& id) {
  std::error_code code;
  const fs::path from = fs::weakly_canonical(options.output_directory, code);
  const fs::path to = options.new_output.empty() ? from / "repro" / id
                                                 : fs::weakly_canonical(options.new_output, code);
  if (to == from) {
    return Error{
        "the new reports would take the place of those that are read; choose another folder "
        "with --output"};
  }
  fs::create_directories(to, code);
  if (code || ::access(to.c_str(), W_OK) != 0) {
    return Error{"cannot write to " + brief(to.string(), kLongestPath) +
                 "; choose another folder with --output"};
  }
  return to.string();
}

Result<Task> task_of(const ReproOptions& options) {
  Result<RecordedCrash> crash = read_crash(options);
  if (!crash) {
    return crash.error();
  }
  Result<std::string> output = output_for(options, crash->id);
  if (!output) {
    return output.error();
  }
  const AttemptsToMake attempts = attempts_to_make(*crash, options.repeat);
  const FileStamp before = stamp_of(*output + "/report.json");
  return Task{std::move(*crash), attempts, std::move(*output), before};
}

// Error: the program is another one, or is not here although it has to be.
Result<void> check_files(const Task& task, const ReproOptions& options) {
  const FilesNow files = compare_files(task.crash, build_id_at);
  const bool image_may_have_it = options.docker && files.program_is_missing;
  if (!options.docker) {  // an image has libraries of its own
    say(files.others);
  }
  if (files.program_problem.empty() || image_may_have_it) {
    return {};
  }
  if (options.force) {
    say(files.program_problem);
    return {};
  }
  return Error{
      files.program_problem +
      (files.program_is_missing
           ? "; build it there, name an image that has it with --docker IMAGE, or try without "
             "it with --force"
           : "; build what it was, or try with this one with --force")};
}

Result<std::string> find_wrapper() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  const std::string beside = self.parent_path() / "crashcrawler-run";
  if (code || ::access(beside.c_str(), X_OK) != 0) {
    return Error{"crashcrawler-run is not beside this program: " + beside};
  }
  return beside;
}

Result<ForegroundEnd> run_here(const Task& task) {
  const std::string& folder = task.crash.working_directory;
  if (!places_here().is_folder(folder)) {
    return Error{"the folder in which the command ran is not here: " + brief(folder, kLongestPath) +
                 "; make it, or name an image that has it with --docker IMAGE"};
  }
  const Result<std::string> wrapper = find_wrapper();
  if (!wrapper) {
    return wrapper.error();
  }
  ForegroundProgram program{{*wrapper}, folder, task.crash.inherited};
  const auto arguments = wrapper_arguments(task.crash, task.attempts, task.output);
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  return run_in_foreground(program);
}

bool has_image(const std::string& image) {
  const auto told = output_of({"docker", "image", "inspect", "--format", "{{.Id}}", image});
  return told && told->exit_status == 0;
}

// The engine's word on cgroups: "2" or "1". Error: there is no engine to ask.
Result<std::string> ask_engine() {
  constexpr int kNoSuchProgram = 127;
  const auto told = output_of({"docker", "info", "--format", "{{.CgroupVersion}}"});
  if (told && told->exit_status == kNoSuchProgram) {
    return Error{"docker is not installed"};
  }
  if (!told || told->exit_status != 0) {
    // In words of its own: most often that the user may not write to the engine's socket.
    const std::string why = complaint_of({"docker", "container", "ls", "--quiet"});
    return Error{"docker reaches no engine" +
                 (why.empty() ? "; `docker info` says why" : ": " + brief(why, kLongestComplaint))};
  }
  return told->text.substr(0, 1);
}

// Which image, and that it can be used.
Result<std::string> choose_image(const Task& task, const std::string& asked) {
  constexpr const char* kOurs = "crashcrawler";
  const std::string& recorded = task.crash.container_image;
  std::string image = !asked.empty() ? asked : recorded;
  if (image.empty()) {
    if (!has_image(kOurs)) {
      return Error{
          "which image it is to be run in is not known, and the engine has none with the name "
          "crashcrawler; build one as docker/README.md says, or name one with --docker IMAGE"};
    }
    image = kOurs;
  }
  if (image.starts_with('-')) {
    return Error{"this is no name of an image: " + brief(image, kLongestPath)};
  }
  const auto told = output_of({"docker", "run", "--rm", "--network", "none", "--entrypoint",
                               "crashcrawler-run", image, "--version"});
  if (!told || told->exit_status == kEngineFailed) {
    return Error{"the engine runs no container of the image " + brief(image, kLongestPath) +
                 "; `docker run --rm " + brief(image, kLongestPath) + "` says why"};
  }
  if (told->exit_status != 0) {
    return Error{"the image " + brief(image, kLongestPath) +
                 " has no crashcrawler-run; docker/README.md says how to make one that has"};
  }
  return image;
}

// Of that name none is left, however it ended.
void remove_container(const std::string& name) {
  ignore(output_of({"docker", "rm", "--force", "--volumes", name}));
}

Result<ForegroundEnd> run_container(const Container& container, const Task& task) {
  ForegroundProgram docker{docker_command(container, task.crash), "", {}};
  const auto arguments = wrapper_arguments(task.crash, task.attempts, task.output);
  docker.arguments.insert(docker.arguments.end(), arguments.begin(), arguments.end());
  Result<ForegroundEnd> end = run_in_foreground(docker);
  remove_container(container.name);
  return end;
}

std::string names_of(const std::vector<BindMount>& mounts) {
  std::vector<std::string> names;
  for (const BindMount& mount : mounts) {
    names.push_back(brief(mount.path, kLongestPath));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<ForegroundEnd> run_in_docker(const Task& task, const std::string& asked) {
  const Result<std::string> cgroup_version = ask_engine();
  if (!cgroup_version) {
    return cgroup_version.error();
  }
  const Result<std::string> image = choose_image(task, asked);
  if (!image) {
    return image.error();
  }
  Container container;
  container.image = *image;
  container.name = fmt::format("crashcrawler-repro-{}", ::getpid());
  container.mounts = mounts_of(task.crash, task.output, places_here());
  container.captures_with_bpf = ::geteuid() == 0;
  container.has_cgroup2 = *cgroup_version == "2";
  container.has_debug_files = places_here().is_folder("/usr/lib/debug");
  if (::geteuid() != 0) {
    container.user = {::geteuid(), ::getegid()};
  }
  say("in a container of the image " + brief(*image, kLongestPath));
  const auto refused = [&](const Result<ForegroundEnd>& end) {
    return end && end->status == kEngineFailed && end->interrupted_by == 0 &&
           !task.has_new_report();
  };
  Result<ForegroundEnd> end = run_container(container, task);
  if (refused(end) && container.has_debug_files) {
    say("once more, without /usr/lib/debug, which the engine may not see");
    container.has_debug_files = false;
    end = run_container(container, task);
  }
  if (refused(end) && container.captures_with_bpf) {
    say("once more, without the capabilities for BPF");
    container.captures_with_bpf = false;
    end = run_container(container, task);
  }
  if (refused(end)) {
    return Error{"the engine started no container, for the reason above. It must see " +
                 names_of(container.mounts) +
                 "; an engine on another machine, or in a container of its own, may not"};
  }
  return end;
}

// What the new reports say.
Result<int> judge(const Task& task, const ForegroundEnd& end) {
  const Result<Json> report = read_report(task.output, is_needed, kLargestReport);
  if (!task.has_new_report() || !report) {
    return Error{fmt::format("crashcrawler-run ended with {} and wrote no report", end.status)};
  }
  const Recurrence recurrence = recurrence_of(*report, task.crash.fingerprint);
  if (!recurrence.same_id.empty()) {
    const Result<Json> record = record_of(task.output, ListedCrash{.id = recurrence.same_id});
    if (record) {
      say(different_files(task.crash, *record));
    }
  }
  if (recurrence.backend == "ptrace") {
    say("captured by ptrace(2)");
  }
  say(in_words(recurrence, task.crash.fingerprint, task.output));
  if (!recurrence.same_id.empty()) {
    return kCameBack;
  }
  if (!recurrence.is_complete || recurrence.attempts == 0) {
    return Error{"but nobody was watching all the time, so this says nothing"};
  }
  if (end.interrupted_by != 0 || recurrence.was_interrupted) {
    return Error{"interrupted before all attempts were made"};
  }
  return kDidNot;
}

Result<int> repro(const ReproOptions& options) {
  const Result<Task> task = task_of(options);
  if (!task) {
    return task.error();
  }
  if (const Result<void> checked = check_files(*task, options); !checked) {
    return checked.error();
  }
  if (task->crash.chaos && !options.repeat) {
    say(fmt::format("attempts with --chaos={} from {} on, at most {}", task->crash.chaos->seed,
                    task->crash.chaos->number, task->attempts.number));
  }
  const Result<ForegroundEnd> end =
      options.docker ? run_in_docker(*task, *options.docker) : run_here(*task);
  if (!end) {
    return end.error();
  }
  return judge(*task, *end);
}

}  // namespace

void declare_repro(CLI::App& app, ReproOptions& options) {
  constexpr int kMost = 1'000'000;
  CLI::App* command = app.add_subcommand(
      "repro", "Run the command of a crash again and say whether the same crash comes back");
  command->add_option("ID", options.id, "Number, id, or the beginning of an id")
      ->type_name("")
      ->required();
  command
      ->add_option("--output-dir", options.output_directory,
                   "Where the reports are (default: crashcrawler-out)")
      ->type_name("DIR");
  command
      ->add_option("--output", options.new_output,
                   "Where the new reports go (default: repro/ID in the other)")
      ->type_name("DIR");
  command
      ->add_option(
          "--repeat", options.repeat,
          "Make N attempts (default: 1, or, when it came in one of many attempts, enough to see "
          "it again, ending with that)")
      ->type_name("N")
      ->check(CLI::Range(1, kMost).description(""));
  command
      ->add_option_function<std::string>(
          "--docker", [&](const std::string& image) { options.docker = image; },
          "In a container of this image (default: the one that the run was in, else crashcrawler)")
      ->type_name("[IMAGE]")
      ->expected(0, 1)
      ->default_str("");
  command->add_flag("--force", options.force,
                    "Try although the program has changed or is not here");
  command->footer(
      "It runs what the report says, so the report must be one that you trust.\n"
      "Exit status: 0 the same crash came back; 1 it did not; 2 it could not be tried.");
}

int run_repro(const ReproOptions& options) {
  const Result<int> status = repro(options);
  if (!status) {
    std::fprintf(stderr, "crashcrawler: %s\n", status.error().message.c_str());
    return kNotTried;
  }
  return *status;
}

}  // namespace crashcrawler
