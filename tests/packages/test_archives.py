"""The tarball and the .deb of the build: made twice, the same bytes; what is in them.

    test_archives.py FOLDER    where they are left for the tests that install them
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

FOLDER = pathlib.Path(sys.argv[1])
PROGRAMS = ("bin/crashcrawler", "bin/crashcrawler-run", "libexec/crashcrawler/crashcrawler-probe")
SUPPORT = (
    "share/bash-completion/completions/crashcrawler", "share/bash-completion/completions/crashcrawler-run",
    "share/doc/crashcrawler/CHANGELOG.md", "share/doc/crashcrawler/LICENSE", "share/doc/crashcrawler/README.md",
    "share/doc/crashcrawler/docs/report.schema.json", "share/doc/crashcrawler/docs/frameworks.md",
    "share/doc/crashcrawler/docs/core-dump-cost.md",
    "share/fish/vendor_completions.d/crashcrawler.fish", "share/fish/vendor_completions.d/crashcrawler-run.fish",
    "share/man/man1/crashcrawler.1", "share/man/man1/crashcrawler-run.1",
    "share/zsh/site-functions/_crashcrawler", "share/zsh/site-functions/_crashcrawler-run")
TIME = "1700000000"  # of SOURCE_DATE_EPOCH
LARGEST_TARBALL = 10 << 20


def make_archives(folder, mask):
    """packaging/make-archives of this build, started under the given umask; the files by name."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": TIME}
    command = [harness.SOURCE / "packaging" / "make-archives", harness.BUILD, folder]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, umask=mask)
    if made.returncode != 0:
        raise AssertionError(made.stdout + made.stderr)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def needed_libraries(program):
    dynamic = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)


class Archives(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
        FOLDER.mkdir(parents=True)
        cls.files = make_archives(FOLDER, 0o022)
        cls.tarball = next(FOLDER.glob("*.tar.gz"))
        cls.deb = next(FOLDER.glob("*.deb"))
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        with tarfile.open(cls.tarball) as archive:
            cls.members = archive.getmembers()
            archive.extractall(cls.folder / "tarball")
        subprocess.run(["dpkg-deb", "-x", cls.deb, cls.folder / "deb"], check=True)
        cls.prefix = cls.folder / "tarball" / cls.tarball.name.removesuffix(".tar.gz")

    def test_twice_the_same_bytes(self):
        again = make_archives(self.folder / "again", 0o077)
        self.assertEqual(sorted(self.files), sorted(again))
        for name, content in self.files.items():
            self.assertTrue(content == again[name], f"{name} differs")

    def test_checksums(self):
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.files["SHA256SUMS"].count(b"\n"), 2)

    def test_files_of_the_tarball(self):
        files = {member.name.split("/", 1)[1] for member in self.members if member.isfile()}
        self.assertEqual(files, {*PROGRAMS, *SUPPORT})
        self.assertLess(self.tarball.stat().st_size, LARGEST_TARBALL)
        for member in self.members:
            self.assertEqual((member.uid, member.gid, member.mtime), (0, 0, int(TIME)), member.name)
            executable = member.isdir() or member.name.split("/", 1)[1] in PROGRAMS
            self.assertEqual(member.mode, 0o755 if executable else 0o644, member.name)

    def test_programs_of_the_tarball_need_no_library(self):
        for name in PROGRAMS:
            self.assertEqual(needed_libraries(self.prefix / name), [], name)
            headers = subprocess.run(["readelf", "-lS", self.prefix / name], capture_output=True, text=True, check=True)
            self.assertNotIn("INTERP", headers.stdout)
            self.assertNotIn(".debug_info", headers.stdout)

    def test_programs_do_not_know_the_source_folder(self):
        for root in (self.prefix, self.folder / "deb" / "usr"):
            for name in PROGRAMS:
                self.assertNotIn(str(harness.SOURCE).encode(), (root / name).read_bytes(), name)

    def test_the_tarball_runs_from_anywhere(self):
        for program in ("crashcrawler-run", "crashcrawler"):
            said = subprocess.run([self.prefix / "bin" / program, "--version"], capture_output=True, text=True, check=True)
            self.assertEqual(said.stdout, f"{program} {self.tarball.name.split('-')[1]}\n")

    def test_cmake_installs_the_same_files(self):
        prefix = self.folder / "installed"
        command = ["cmake", "--install", harness.BUILD, "--prefix", prefix]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
        self.assertEqual(files, {*PROGRAMS, *SUPPORT})

    def test_what_the_deb_depends_on(self):
        """Names that Debian 12, Debian 13 and Ubuntu 24.04 all have: none with a version of fmt, spdlog or Capstone."""
        fields = subprocess.run(["dpkg-deb", "-f", self.deb, "Depends"], capture_output=True, text=True, check=True).stdout
        names = [entry.split()[0] for entry in fields.split(", ")]
        self.assertIn("libbpf1", names)
        self.assertIn("libdw1", names)
        self.assertEqual([name for name in names if re.search(r"fmt|spdlog|capstone|boost|tinyxml", name)], [])

    def test_the_deb_has_no_maintainer_script(self):
        control = self.folder / "control"
        subprocess.run(["dpkg-deb", "-e", self.deb, control], check=True)
        self.assertEqual({path.name for path in control.iterdir()}, {"control", "md5sums"})

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("lintian is not installed")
        told = subprocess.run(["lintian", "--fail-on", "error", self.deb], capture_output=True, text=True)
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)


if __name__ == "__main__":
    harness.main(captures=False)
