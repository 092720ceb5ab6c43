#!/usr/bin/python3
"""That the lints find what they are for: each violation alone in an otherwise clean little tree."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import include_lint
import tree_lint

CLEAN = {
    "runner/base/result.h": "#pragma once\n#include <string>\n#include <sys/types.h>\n",
    "runner/model/run.h": '#pragma once\n#include "runner/base/result.h"\n',
    "runner/launch/start.h": '#pragma once\n#include "runner/model/run.h"\n#include "runner/base/result.h"\n',
    "runner/launch/start.cpp": '#include "runner/launch/start.h"\n#include <boost/process/child.hpp>\n',
    "runner/launch/CMakeLists.txt": "crashcrawler_stage(launch SOURCES start.cpp LINK Boost::filesystem)\n",
    "runner/capture/source.cpp": '#include "bpf/crash_event.h"\n#include "runner/model/run.h"\n',
    "runner/capture/CMakeLists.txt": "crashcrawler_stage(probe SOURCES probe/load.cpp LINK crashcrawler_bpf)\n",
    "runner/capture/probe/load.cpp": '#include <bpf/libbpf.h>\n#include "crash_probe.skel.h"\n',
    "runner/unwind/unwind.cpp": "#include <elf.h>\n#include <elfutils/libdwfl.h>\n#include <gelf.h>\n",
    "runner/report/xml_printer.cpp": "#include <boost/property_tree/ptree.hpp>\n",
    "runner/main/options.cpp": '#include <CLI/CLI.hpp>\n#include "runner/launch/start.h"\n',
    "runner/pipeline.cpp": '#include <spdlog/spdlog.h>\n#include "runner/launch/start.h"\n',
    "bpf/crash_event.h": "#ifndef EVENT_H\n#define EVENT_H\n#endif\n",
    "bpf/emit.bpf.h": '#pragma once\n#include "crash_event.h"\n#include <bpf/bpf_helpers.h>\n',
    "tests/unit/launch/start_test.cpp": '#include "runner/launch/start.h"\n#include <gtest/gtest.h>\n',
}
COMMANDS = ("fixtures/demo", "tests/run", "docker/install-dependencies", ".ci/run")


class LintTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, text in CLEAN.items():
            self.write(name, text)
        for name in COMMANDS:
            self.write(name, "#!/bin/sh\n").chmod(0o755)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def assert_clean(self, lint):
        self.assertEqual(list(lint.violations(self.root)), [])

    def assert_finds(self, lint, name, text):
        found = list(lint.violations(self.root))
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(name), found)
        self.assertIn(text, found[0])


class ExitStatus(LintTest):
    def test_tells_clean_from_not(self):
        for lint in (include_lint, tree_lint):
            command = [sys.executable, lint.__file__, self.root]
            self.assertEqual(subprocess.run(command).returncode, 0)
        self.write("runner/base/bare.h", "text \n")
        for lint in (include_lint, tree_lint):
            command = [sys.executable, lint.__file__, self.root]
            process = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(process.returncode, 1)
            self.assertTrue(process.stdout.startswith("runner/base/bare.h"))


class IncludeLint(LintTest):
    def assert_violation(self, name, line, text):
        before = CLEAN.get(name)
        self.write(name, (before or "") + line + "\n")
        self.assert_finds(include_lint, name, text)
        self.write(name, before) if before is not None else (self.root / name).unlink()

    def test_clean(self):
        self.assert_clean(include_lint)

    def test_stages_know_only_themselves_model_and_base(self):
        launch = '#include "runner/launch/start.h"'
        for stage in ("capture", "unwind", "attribute", "classify", "report"):
            self.assert_violation(f"runner/{stage}/sideways.cpp", launch, "may include from")
        self.assert_violation("runner/launch/start.cpp", '#  include "runner/capture/source.cpp"', "may include from")
        self.assert_violation("runner/launch/start.cpp", '#include "runner/pipeline.cpp"', "may include from")
        self.assert_violation("runner/launch/start.cpp", '#include "runner/main/options.cpp"', "may include from")

    def test_what_reads_results_sees_no_stage_but_the_words_of_reports(self):
        self.write("runner/report/text.h", "#pragma once\n")
        self.assert_violation("runner/results/a.cpp", '#include "runner/report/text.h"', "may include from")
        self.assert_violation("runner/export/a.cpp", '#include "runner/launch/start.h"', "may include from")
        self.write("runner/export/a.cpp", '#include "runner/report/text.h"\n')
        self.assert_clean(include_lint)

    def test_model_and_base_are_at_the_bottom(self):
        self.assert_violation("runner/model/run.h", '#include "runner/launch/start.h"', "may include from")
        self.assert_violation("runner/base/result.h", '#include "runner/model/run.h"', "may include from")
        for folder in ("model", "base"):
            self.assert_violation(f"runner/{folder}/own.cpp", "#include <fmt/format.h>", "standard library")

    def test_libraries_have_one_home(self):
        for name, header, library in (
                ("runner/capture/source.cpp", "bpf/libbpf.h", "libbpf"),
                ("runner/unwind/unwind.cpp", "bpf/bpf.h", "libbpf"),
                ("runner/capture/probe/load.cpp", "gelf.h", "libelf"),
                ("runner/report/junit.cpp", "elfutils/libdw.h", "libdw"),
                ("runner/pipeline.cpp", "dwarf.h", "libdw"),
                ("runner/attribute/a.cpp", "tinyxml2.h", "tinyxml2"),
                ("runner/attribute/a.cpp", "boost/property_tree/ptree.hpp", "Boost.PropertyTree"),
                ("runner/main/options.cpp", "boost/process.hpp", "Boost.Process"),
                ("runner/launch/start.cpp", "CLI/CLI.hpp", "CLI11"),
                ("runner/launch/start.cpp", "spdlog/spdlog.h", "spdlog")):
            self.assert_violation(name, f"#include <{header}>", f"{library} belongs to")

    def test_libraries_are_linked_by_their_home_alone(self):
        for name, target in (("launch", "PkgConfig::LIBDW"), ("report", "PkgConfig::LIBELF"),
                             ("unwind", "PkgConfig::LIBBPF"), ("unwind", "tinyxml2::tinyxml2"),
                             ("report", "Boost::filesystem"), ("launch", "Boost::boost"), ("launch", "CLI11::CLI11")):
            self.assert_violation(f"runner/{name}/CMakeLists.txt", f"target_link_libraries(x PUBLIC {target})", "links")

    def test_includes_are_from_the_root(self):
        self.assert_violation("runner/launch/start.cpp", '#include "start.h"', "from the root")
        self.assert_violation("tests/unit/launch/start_test.cpp", '#include "../start.h"', "from the root")

    def test_a_name_is_that_of_one_type(self):
        self.write("runner/base/mount.h", "#pragma once\nstruct Mount {\n  struct Inner {};\n};\nstruct Later;\n")
        for kind in ("struct Mount {", "class Mount final : public Base {", "enum class Mount : int {", "union Mount {"):
            self.assert_violation("runner/report/mount.h", "#pragma once\n" + kind, "another type in runner/base/mount.h")
            self.assert_violation("runner/capture/probe/mount.h", "#pragma once\n" + kind, "another type in")
        self.write("runner/report/others.h", "#pragma once\nstruct Mount;\nstruct Mounts {\n  struct Inner {};\n};\n")
        self.write("runner/capture/probe/own.h", "#pragma once\nclass Mounts {\n};\n")  # another program
        self.assert_clean(include_lint)

    def test_headers_are_guarded(self):
        self.assert_violation("runner/launch/bare.h", "struct Bare {};", "include guard")
        self.assert_violation("bpf/bare.bpf.h", "#ifndef A\n#define B\n#endif", "include guard")


class TreeLint(LintTest):
    def test_clean(self):
        self.assert_clean(tree_lint)

    def test_whitespace(self):
        for text, complaint in (("a \n", "a.txt:1: trailing"), ("a\n\t\n", "a.txt:2: trailing"),
                                ("a\r\n", "a.txt:1: carriage"), ("a", "a.txt: no newline")):
            self.write("a.txt", text)
            self.assert_finds(tree_lint, complaint, "")

    def test_binary_files_have_no_lines(self):
        self.write("a.bin", "\0 \r\n \n")
        self.assert_clean(tree_lint)

    def test_run_bits(self):
        self.write("script", "#!/bin/sh\n")
        self.assert_finds(tree_lint, "script", "no run bit")
        (self.root / "script").unlink()
        self.write("text", "text\n").chmod(0o755)
        self.assert_finds(tree_lint, "text", "chmod -x")

    def test_the_commands_of_the_readme(self):
        for name in COMMANDS:
            path = self.root / name
            path.unlink()
            self.assert_finds(tree_lint, name, "missing")
            self.write(name, "#!/bin/sh\n").chmod(0o755)

    def test_what_git_ignores_is_not_ours(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.write(".gitignore", "ignored.txt\n")
        self.write("ignored.txt", "a \n")
        self.assert_clean(tree_lint)
        self.write("untracked.txt", "a \n")
        self.assert_finds(tree_lint, "untracked.txt", "trailing")


if __name__ == "__main__":
    unittest.main()
