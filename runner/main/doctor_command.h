// crashcrawler doctor: what crashcrawler-run can capture on this machine, and what it is short of.
#pragma once

#include <string>

namespace crashcrawler {

struct DoctorOptions {
  std::string output_directory = "crashcrawler-out";
  std::string place;  // "docker", ...; empty: where we are
  bool json = false;
  bool die = false;  // be the process that dies on purpose
};

// Looks, tries, and prints to stdout. Returns the exit status: 0, 1 or 2 as in Diagnosis.
int doctor(const DoctorOptions& options);

}  // namespace crashcrawler
