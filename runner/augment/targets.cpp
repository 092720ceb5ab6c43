// What --augment-junit names may hold any crash of the run; what a command line names belongs to that process, and only the
// process's own file is made when it is missing.
#include "runner/augment/targets.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "runner/augment/replace_file.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;  // that globs may name
constexpr size_t kMostParents = 32;  // folders above a test's in which ctest's files are looked for

const char* framework_of(Writer writer) {
  switch (writer) {
    case Writer::googletest:
      return "googletest";
    case Writer::catch2:
      return "catch2";
    case Writer::doctest:
      return "doctest";
    case Writer::boost_test:
      return "boost.test";
    case Writer::pytest:
      return "pytest";
    case Writer::ctest:
      break;
  }
  return "ctest";
}

class Finder {
 public:
  Finder(const Session& session, const std::set<size_t>& real, const AugmentOptions& options,
         const AugmentWords& words, std::vector<std::string>& problems)
      : session_(session), real_(real), options_(options), words_(words), problems_(problems) {}

  Targets find() {
    for (const size_t crash : real_) {
      find_files_of(crash);
    }
    find_named_files();
    return std::move(targets_);
  }

 private:
  bool is_wanted(const std::string& path) const {
    return options_.by_itself || std::ranges::any_of(options_.globs, [&](const std::string& glob) {
             const std::string whole = absolute(glob, session_.command.working_directory);
             return ::fnmatch(whole.c_str(), path.c_str(), FNM_PATHNAME) == 0;
           });
  }

  void add_file(const std::string& path, Writer writer, size_t crash, bool own) {
    if (!is_wanted(path)) {
      return;
    }
    Target& file = targets_[path];
    file.writer = file.writer && !own ? file.writer : writer;
    file.crashes.insert(crash);
    if (own) {
      file.own.insert(crash);
    }
  }

  void find_files_of(size_t index) {
    const CrashReport& crash = session_.crashes[index];
    for (const ReportFile& file : report_files(crash.raw.arguments, crash.raw.environment)) {
      const bool is_known = !crash.test.framework.empty() && crash.test.framework != "ctest";
      // Variables are inherited by programs that know nothing of them, so the test's framework decides.
      const bool own = file.writer == Writer::ctest ||
                       crash.test.framework == framework_of(file.writer) ||
                       (file.writer == Writer::pytest && !is_known);
      if (!own && is_known) {
        continue;  // options of the same name mean another thing elsewhere
      }
      const std::string path = file.writer == Writer::ctest
                                   ? place_of(file, crash.raw)
                                   : absolute(file.path, crash.raw.working_directory);
      add_file(file.in_folder ? first_free(path, program_of(crash.raw)) : path, file.writer, index,
               own);
    }
    std::vector<const std::vector<std::string>*> command_lines{&session_.command.arguments};
    for (const Ancestor& ancestor : crash.raw.ancestors) {
      command_lines.push_back(&ancestor.arguments);
    }
    for (const auto* arguments : command_lines) {
      for (const ReportFile& file : report_files(*arguments, {})) {
        if (!file.in_folder) {
          add_file(place_of(file, crash.raw), file.writer, index, false);
        }
      }
    }
  }

  // GoogleTest takes the first name that is free: program.xml, program_1.xml, ... (FilePath::GenerateUniqueFileName).
  static std::string first_free(const std::string& folder, const std::string& program) {
    std::string path = absolute(program + ".xml", folder);
    std::error_code ignored;
    for (int i = 1; i < 1000 && fs::exists(path, ignored); ++i) {
      path = absolute(fmt::format("{}_{}.xml", program, i), folder);
    }
    return path;
  }

  // The file of a process above the crashed one. Its folder is not known: the first one around the crash in which
  // there is such a file.
  std::string place_of(const ReportFile& file, const RawCrash& crash) const {
    std::string first = session_.command.working_directory;
    std::error_code ignored;
    for (const std::string& folder : folders_around(session_, crash)) {
      std::string path = absolute(file.path, absolute(file.directory, folder));
      if (fs::exists(fs::symlink_status(path, ignored))) {
        return path;
      }
      // there is none yet: below the folder that ctest works in
      if (file.writer == Writer::ctest && file.directory.empty() &&
          !fs::is_directory(first + "/Testing/Temporary", ignored) &&
          fs::is_directory(folder + "/Testing/Temporary", ignored)) {
        first = folder;
      }
    }
    return absolute(file.path, absolute(file.directory, first));
  }

  void find_named_files() {
    for (const std::string& pattern : options_.globs) {
      const std::string whole = absolute(pattern, session_.command.working_directory);
      glob_t found{};
      const int status = ::glob(whole.c_str(), GLOB_NOSORT, nullptr, &found);
      const size_t count = status == 0 ? found.gl_pathc : 0;
      for (size_t i = 0; i < std::min(count, kMostFiles); ++i) {
        const std::string path = absolute(found.gl_pathv[i], "/");
        if (path.ends_with(kOriginalSuffix)) {
          continue;
        }
        Target& file = targets_[path];
        file.named = true;
        file.crashes.insert(real_.begin(), real_.end());
      }
      ::globfree(&found);
      if (count > kMostFiles) {
        problems_.push_back(fmt::format("--augment-junit {} names {} files; only {} were looked at",
                                        words_.line(pattern, kLongestPath), count, kMostFiles));
      }
      const bool expected = std::ranges::any_of(targets_, [&](const auto& entry) {
        return ::fnmatch(whole.c_str(), entry.first.c_str(), FNM_PATHNAME) == 0;
      });
      if (!expected) {
        problems_.push_back("--augment-junit " + words_.line(pattern, kLongestPath) +
                            " names no file");
      }
    }
  }

  const Session& session_;
  const std::set<size_t>& real_;
  const AugmentOptions& options_;
  const AugmentWords& words_;
  std::vector<std::string>& problems_;
  Targets targets_;
};

}  // namespace

std::string absolute(const std::string& path, const std::string& directory) {
  return (fs::path(directory) / path).lexically_normal();
}

std::string program_of(const RawCrash& crash) {
  const std::string name = fs::path(crash.executable).filename();
  return name.empty() ? crash.name : name;
}

// Nobody says it, so all folders around that of the process are.
std::vector<std::string> folders_around(const Session& session, const RawCrash& crash) {
  std::vector<std::string> folders{session.command.working_directory};
  fs::path here = crash.working_directory;
  for (size_t i = 0; i < kMostParents && here.has_relative_path(); ++i, here = here.parent_path()) {
    folders.push_back(here);
  }
  return folders;
}

Targets find_targets(const Session& session, const std::set<size_t>& real,
                     const AugmentOptions& options, const AugmentWords& words,
                     std::vector<std::string>& problems) {
  return Finder(session, real, options, words, problems).find();
}

}  // namespace crashcrawler
