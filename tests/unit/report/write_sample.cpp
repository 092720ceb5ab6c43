// Writes the reports of the busiest and of the quietest session below the folder given, for check_schema.py.
#include <iostream>

#include "runner/report/report.h"
#include "tests/unit/report/sample.h"

int main(int argc, char** argv) {
  using namespace crashcrawler;
  if (argc != 2) {
    std::cerr << "usage: write_sample DIRECTORY\n";
    return 2;
  }
  const std::string directory = argv[1];
  for (const auto& [name, session] :
       {std::pair("/busy", busy_session()), std::pair("/quiet", quiet_session())}) {
    Result<void> done = prepare_output_directory(directory + name);
    if (done) {
      done = write_reports(session, directory + name);
    }
    if (!done) {
      std::cerr << done.error().message << "\n";
      return 1;
    }
    std::cerr << summary(session, directory + name, 70);
  }
  return 0;
}
