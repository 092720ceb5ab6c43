// The files of one session, in the order in which a run that is killed meanwhile can be cleaned up
// after: see output_directory.cpp.
#include "runner/report/report.h"

#include <filesystem>

#include "runner/base/file.h"
#include "runner/report/json_report.h"
#include "runner/report/text_report.h"

namespace crashcrawler {

Result<void> write_reports(const Session& session, const std::string& directory,
                           JunitProfile profile) {
  const std::string crashes = directory + "/crashes";
  std::error_code code;
  std::filesystem::create_directories(session.crashes.empty() ? directory : crashes, code);
  if (code) {
    return Error{"cannot create " + crashes + ": " + code.message()};
  }
  std::vector<std::string> records;
  for (const CrashReport& report : session.crashes) {
    const std::string path = crashes + "/" + report.id;
    records.push_back(crash_json(report, session));
    Result<void> written = write_file_atomically(path + ".json", records.back() + "\n");
    if (written) {
      written = write_file_atomically(path + ".txt", crash_text(report, session));
    }
    if (!written) {
      return written;
    }
  }
  Result<void> written =
      write_file_atomically(directory + "/junit.xml", junit_xml(session, directory, profile));
  if (written) {
    written = write_file_atomically(directory + "/report.json", report_json(session, records));
  }
  return written;
}

}  // namespace crashcrawler
