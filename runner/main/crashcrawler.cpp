// crashcrawler: looks at what crashcrawler-run has written.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/main/doctor_command.h"
#include "runner/main/export_command.h"
#include "runner/main/repro_command.h"
#include "runner/report/repro_script.h"
#include "runner/report/text.h"
#include "runner/results/result_folder.h"
#include "runner/unwind/elf_image.h"

namespace crashcrawler {
namespace {

constexpr int kNotThere = 1, kUsageError = 2, kNoGdb = 127;
constexpr size_t kLongestLine = 300;

struct Options {
  std::string output_directory = "crashcrawler-out";
  std::string id;
  std::string sysroot, executable;
  bool print = false;
  std::vector<std::string> gdb_arguments;
  DoctorOptions doctor;
  ExportOptions to_export;
  ReproOptions repro;
};

Error not_there(const Error& error) {
  return {error.message, kNotThere};
}

Result<ListedCrash> chosen_crash(const Options& options) {
  const Result<std::vector<ListedCrash>> crashes = list_crashes(options.output_directory);
  return crashes ? find_crash(*crashes, options.id) : crashes.error();
}

Result<void> show_list(const Options& options) {
  const Result<std::vector<ListedCrash>> crashes = list_crashes(options.output_directory);
  if (!crashes) {
    return crashes.error();
  }
  size_t number = 0;
  for (const ListedCrash& crash : *crashes) {
    fmt::print("{:>4}  {}  {}{}\n", ++number, crash.id, brief(crash.cause, kLongestLine),
               crash.core.empty() ? "" : " [core]");
  }
  if (crashes->empty()) {
    fmt::print("no crashes\n");
  }
  return {};
}

Result<void> show(const Options& options) {
  if (options.id.empty()) {
    return show_list(options);
  }
  const Result<ListedCrash> crash = chosen_crash(options);
  if (!crash) {
    return crash.error();
  }
  const Result<std::string> text = text_of(options.output_directory, *crash);
  if (!text) {
    return text.error();
  }
  std::fputs(printable(*text, Lines::many).c_str(), stdout);
  return {};
}

// The file that gdb shall take for the program: the one that crashed, not what lies in its place by now.
Result<std::string> program_of(const ListedCrash& crash, const Options& options) {
  const std::string path =
      options.executable.empty() ? options.sysroot + crash.executable : options.executable;
  if (options.executable.empty() && !crash.executable.starts_with('/')) {
    return Error{"the report does not say which program it was; name it with --executable"};
  }
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return Error{errno_error("cannot open the program " + brief(path, kLongestLine)).message +
                 "; name it with --executable, or its root directory with --sysroot"};
  }
  const auto image = ElfImage::open(file.get(), path, DebugFileSearch());
  if (!image) {
    return image.error();
  }
  if (!crash.build_id.empty() && (*image)->build_id() != crash.build_id) {
    return Error{fmt::format(
        "{} has changed since the crash: its build-id is {}, then it was {}; "
        "name the old one with --executable",
        brief(path, kLongestLine), (*image)->build_id().empty() ? "absent" : (*image)->build_id(),
        brief(crash.build_id, kLongestLine))};
  }
  return path;
}

Result<void> start_gdb(const Options& options) {
  const Result<ListedCrash> crash = chosen_crash(options);
  if (!crash) {
    return crash.error();
  }
  const Result<std::string> core = core_of(options.output_directory, *crash);
  if (!core) {
    return core.error();
  }
  const Result<std::string> program = program_of(*crash, options);
  if (!program) {
    return program.error();
  }
  // libthread_db reads the memory of the C library, which is not in the core: not found, it costs one line of warning
  // instead of ten, and gdb does without.
  std::vector<std::string> command{"gdb", "-q", "-iex",
                                   "set libthread-db-search-path /nonexistent"};
  if (!options.sysroot.empty()) {
    command.insert(command.end(), {"-iex", "set sysroot " + options.sysroot, "-iex",
                                   "set debug-file-directory " + options.sysroot +
                                       "/usr/lib/debug:/usr/lib/debug"});
  }
  command.insert(command.end(), options.gdb_arguments.begin(), options.gdb_arguments.end());
  command.insert(command.end(), {*program, *core});
  if (options.print) {
    for (const std::string& word : command) {
      fmt::print("{}{}", &word == &command.front() ? "" : " ", shell_quoted(word));
    }
    fmt::print("\n");
    return {};
  }
  std::vector<char*> words;
  for (std::string& word : command) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  ::execvp(words.front(), words.data());
  return Error{errno_error("cannot start gdb").message + "; install it, or see --print", kNoGdb};
}

void declare_doctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Say what crashcrawler-run can capture here, and what it is short of");
  command->add_flag("--json", options.json, "For programs, by docs/doctor.schema.json");
  command
      ->add_option("--output-dir", options.output_directory,
                   "Where the reports are to go (default: crashcrawler-out)")
      ->type_name("DIR");
  command
      ->add_option(
          "--for", options.place,
          "The place whose words mend it: docker, podman, kubernetes, github, gitlab, plain "
          "(default: where this is)")
      ->type_name("PLACE")
      ->check(CLI::IsMember({"docker", "podman", "kubernetes", "github", "gitlab", "plain"}));
  command->add_flag("--die", options.die)->group("");
  command->footer(
      "A process that dies on purpose is captured, as crashcrawler-run would.\n"
      "Exit status: 0 full capture: BPF, in a cgroup, and every check is ok; 1 crashes are "
      "captured, but\n"
      "something is limited or missing; 2 nothing is captured, or crashcrawler-run would not start "
      "the command.");
}

void declare_options(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "crashcrawler " CRASHCRAWLER_VERSION);
  app.footer(
      "Exit status: 0; 1 when what was asked for is not there or not to be trusted; 2 for a wrong "
      "command line;\n127 when gdb cannot be started; else that of gdb. See also doctor --help and "
      "repro --help.");
  declare_doctor(app, options.doctor);

  CLI::App* show_command =
      app.add_subcommand("show", "Print a crash, or, without an ID, the list of crashes");
  CLI::App* gdb_command =
      app.add_subcommand("gdb", "Start gdb on the core of a crash and the program that crashed");
  for (CLI::App* command : {show_command, gdb_command}) {
    command
        ->add_option("--output-dir", options.output_directory,
                     "Where the reports are (default: crashcrawler-out)")
        ->type_name("DIR");
    command->footer("Exit status: see crashcrawler --help");
  }
  show_command->add_option("ID", options.id, "Number, id, or the beginning of an id")
      ->type_name("");
  gdb_command->add_option("ID", options.id, "Number, id, or the beginning of an id")
      ->type_name("")
      ->required();
  gdb_command
      ->add_option("gdb-arguments", options.gdb_arguments, "After --: more arguments for gdb")
      ->type_name("");
  gdb_command
      ->add_option("--sysroot", options.sysroot,
                   "Where the root directory of the crashed process is now, for containers")
      ->type_name("DIR");
  gdb_command->add_option("--executable", options.executable, "Where its program is now")
      ->type_name("FILE");
  gdb_command->add_flag("--print", options.print, "Print the command line instead of running it");
  declare_export(app, options.to_export);
  declare_repro(app, options.repro);
}

Result<int> run(int argc, char** argv) {
  Options options;
  CLI::App app("Looks at what crashcrawler-run has written.", "crashcrawler");
  declare_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  if (app.got_subcommand("doctor")) {
    return doctor(options.doctor);
  }
  if (app.got_subcommand("repro")) {
    return run_repro(options.repro);
  }
  if (app.got_subcommand("export")) {
    const Result<void> exported = run_export(options.to_export);
    return exported ? Result<int>(0) : not_there(exported.error());
  }
  const Result<void> done = app.got_subcommand("show") ? show(options) : start_gdb(options);
  if (!done) {
    return done.error().exit_status == kNoGdb ? done.error() : not_there(done.error());
  }
  return 0;
}

}  // namespace
}  // namespace crashcrawler

int main(int argc, char** argv) {
  using namespace crashcrawler;
  const Result<int> status = run(argc, argv);
  if (!status) {
    std::fprintf(stderr, "crashcrawler: %s\n", status.error().message.c_str());
    return status.error().exit_status;
  }
  return *status;
}
