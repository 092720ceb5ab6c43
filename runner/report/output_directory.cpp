// The output directory may be any directory of the user's, "." included, and a report that deletes
// a stranger's junit.xml is worse than none. So a file is ours by what it says, not by its name:
//
//  * report.json and crashes/<id>.json carry "collector": {"name": "crashcrawler"} near their
//  beginning, junit.xml a
//    suite of that name. A file of one of our top-level names that does not is somebody else's, and
//    the run is refused before it starts, because writing would replace it.
//  * crashes/<id>.txt and <id>.core are ours when <id>.json is; <id>.json is therefore removed
//  last and written before the text,
//    so that a run killed in between leaves nothing that the next one does not recognise.
//  * crashes/<id>.core and <id>.repro.sh, which are written earlier, also have our mark: in the first note, in the first line of text.
//  * "<name>.tmp<number>" of a name of ours, empty or with our mark, is what a killed
//  write_file_atomically() leaves.
//
// Everything else in there stays. Links are never followed: who can write into the directory could
// point them anywhere.
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/report/core_notes.h"
#include "runner/report/report.h"
#include "runner/report/repro_script.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLookedAt = 4096;  // bytes in which a file of ours says that it is
constexpr const char* kAdvice = "; choose another directory with --output-dir";

Error error_at(const std::string& what, const std::string& path, const std::error_code& code) {
  return Error{what + " " + path + ": " + code.message() + kAdvice};
}

// The first bytes of a regular file; "" of anything else.
std::string beginning(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return "";
  }
  std::array<char, kLookedAt> bytes;
  const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
  return got > 0 ? std::string(bytes.data(), static_cast<size_t>(got)) : "";
}

bool contains(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

bool is_our_json(const std::string& path) {
  const std::string text = beginning(path);
  return text.starts_with("{") && contains(text, "\"schema_version\"") &&
         contains(text, "\"name\": \"crashcrawler\"");
}

bool is_our_xml(const std::string& path) {
  return contains(beginning(path), "<testsuites name=\"crashcrawler\"");
}

bool is_our_core(const std::string& path) {
  const std::string text = beginning(path);
  return text.starts_with(ELFMAG) && contains(text, kCoreMark);
}

bool is_our_script(const std::string& path) {
  return beginning(path).starts_with(kReproScriptMark);
}

bool is_empty_file(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

// "report.json.tmp4711" -> "report.json"; other names unchanged.
std::string without_temporary_suffix(const std::string& name) {
  const size_t at = name.rfind(".tmp");
  const bool temporary = at != std::string::npos && at + 4 < name.size() &&
                         name.find_first_not_of("0123456789", at + 4) == std::string::npos;
  return temporary ? name.substr(0, at) : name;
}

Result<void> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error("cannot remove " + path.string() + " of an earlier run");
  }
  return {};
}

// The entries of a directory; an error of reading it, or none.
Result<std::vector<fs::path>> entries_of(const std::string& directory) {
  std::vector<fs::path> entries;
  std::error_code code;
  fs::directory_iterator iterator(directory, code);
  for (; !code && iterator != fs::directory_iterator(); iterator.increment(code)) {
    entries.push_back(iterator->path());
  }
  if (code) {
    return error_at("cannot read", directory, code);
  }
  return entries;
}

Result<void> prove_writable(const std::string& directory) {
  // A file without a name (open(2), O_TMPFILE) leaves nothing behind when we are killed over it.
  if (UniqueFd(::open(directory.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600))) {
    return {};
  }
  const std::string probe = directory + "/.crashcrawler-writable.tmp" + std::to_string(::getpid());
  const UniqueFd fd(
      ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    return Error{errno_error("cannot create a file in " + directory).message +
                 "; make it writable for this user or choose another one with --output-dir"};
  }
  ::unlink(probe.c_str());
  return {};
}

Result<void> remove_old_crashes(const std::string& directory) {
  const std::string crashes = directory + "/crashes";
  std::error_code code;
  const fs::file_status status = fs::symlink_status(crashes, code);
  if (status.type() == fs::file_type::not_found) {
    return {};
  }
  if (status.type() != fs::file_type::directory) {
    return Error{crashes +
                 " is not a directory, but the reports go there; move it away or choose "
                 "another place with --output-dir"};
  }
  if (Result<void> writable = prove_writable(crashes); !writable) {
    return writable;
  }
  const Result<std::vector<fs::path>> entries = entries_of(crashes);
  if (!entries) {
    return entries.error();
  }
  std::vector<fs::path> records;
  for (const fs::path& entry : *entries) {
    const std::string name = without_temporary_suffix(entry.filename());
    const fs::path record = (fs::path(crashes) / name).replace_extension(".json");
    const fs::path extension = fs::path(name).extension();
    if (entry == record) {
      if (is_our_json(entry)) {
        records.push_back(entry);
      }
      continue;
    }
    const bool may_be_script = name.ends_with(".repro.sh");
    const bool unfinished =
        name != entry.filename() &&
        (extension == ".json" || extension == ".txt" || extension == ".core" || may_be_script) &&
        (is_empty_file(entry) || is_our_json(entry));
    const bool beside_record = (extension == ".txt" || extension == ".core") && is_our_json(record);
    const bool is_core = extension == ".core" && is_our_core(entry);
    if (unfinished || beside_record || is_core || (may_be_script && is_our_script(entry))) {
      if (Result<void> removed = remove_file(entry); !removed) {
        return removed;
      }
    }
  }
  for (const fs::path& record : records) {
    if (Result<void> removed = remove_file(record); !removed) {
      return removed;
    }
  }
  return {};
}

struct TopLevelFile {
  const char* name;
  bool (*is_ours)(const std::string&);
};

constexpr TopLevelFile kTopLevelFiles[] = {{"report.json", is_our_json}, {"junit.xml", is_our_xml}};

Result<void> refuse_foreign_reports(const std::string& directory) {
  for (const TopLevelFile& file : kTopLevelFiles) {
    const std::string path = directory + "/" + file.name;
    std::error_code code;
    const fs::file_type type = fs::symlink_status(path, code).type();
    const bool exists = type != fs::file_type::not_found;
    if (exists && (type != fs::file_type::regular || !file.is_ours(path))) {
      return Error{path +
                   " exists and was not written by crashcrawler; move it away or choose another "
                   "directory with --output-dir"};
    }
  }
  return {};
}

Result<void> remove_old_reports(const std::string& directory) {
  const Result<std::vector<fs::path>> entries = entries_of(directory);
  if (!entries) {
    return entries.error();
  }
  for (const fs::path& entry : *entries) {
    const std::string name = without_temporary_suffix(entry.filename());
    for (const TopLevelFile& file : kTopLevelFiles) {
      const bool unfinished = name != entry.filename() && is_empty_file(entry);
      if (name == file.name && (unfinished || file.is_ours(entry))) {
        if (Result<void> removed = remove_file(entry); !removed) {
          return removed;
        }
      }
    }
  }
  return {};
}

}  // namespace

Result<void> prepare_output_directory(const std::string& directory) {
  std::error_code code;
  fs::create_directories(directory, code);
  if (!fs::is_directory(directory)) {
    if (!code) {
      code = std::make_error_code(std::errc::not_a_directory);
    }
    return error_at("cannot create the output directory", directory, code);
  }
  if (Result<void> writable = prove_writable(directory); !writable) {
    return writable;
  }
  // Nothing is removed before it is certain that the run will not be refused.
  if (Result<void> foreign = refuse_foreign_reports(directory); !foreign) {
    return foreign;
  }
  if (Result<void> removed = remove_old_crashes(directory); !removed) {
    return removed;
  }
  return remove_old_reports(directory);
}

}  // namespace crashcrawler
