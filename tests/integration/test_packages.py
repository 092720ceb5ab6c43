"""Which package and version each mapped file is: against dpkg -S, and in root trees whose databases the real tools of
other distributions made (rpmbuild and rpm, pacman; Debian 12 has no apk: that tree is written in its documented format).
And what becomes of a library that is replaced under the program that has it mapped."""

import json
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

SOURCES = harness.SOURCE / "tests" / "integration" / "packages"
FLAGS = ["-g", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]
LIBRARY = "libshelf.so.1.4"
GONE = "root directory was gone"  # with a process that nothing holds, as ptrace(2) does, it may be


def call(*command, **arguments):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **arguments)
    if done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build_library(path, *options):
    call("cc", *FLAGS, "-fPIC", "-shared", "-Wl,-soname,libshelf.so.1", f"-Wl,--version-script={SOURCES}/shelf.map",
         *options, SOURCES / "shelf.c", "-o", path)


def build_program(path, library, rpath):
    """Bound at its start: who looks up symbols in an overwritten library dies in the loader already."""
    call("cc", *FLAGS, SOURCES / "use_shelf.c", library, "-Wl,-z,now", f"-Wl,-rpath,{rpath}", "-o", path)


def build_both(folder):
    """Program and library in one folder. Returns the program."""
    build_library(folder / LIBRARY)
    (folder / "libshelf.so.1").symlink_to(LIBRARY)
    build_program(folder / "use_shelf", folder / LIBRARY, "$ORIGIN")
    return folder / "use_shelf"


def require(test, *programs):
    for program in programs:
        if not shutil.which(program):
            test.skipTest(f"{program} is not installed")


class OneRun(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def crash(self, command, *options, **arguments):
        """Runs a command that crashes once; returns its crash and keeps its report."""
        self.outcome = harness.run(command, self.folder, *options, **arguments)
        self.report = self.outcome.report()
        harness.validate(self.report)
        self.assertEqual(len(self.report["crashes"]), 1, self.outcome)
        return self.report["crashes"][0]

    def module(self, crash, name):
        found = [module for module in crash["modules"] if pathlib.Path(module["filename"]).name == name]
        self.assertEqual(len(found), 1, [module["filename"] for module in crash["modules"]])
        return found[0]

    def text(self, crash):
        return (self.outcome.output_dir / "crashes" / f"{crash['id']}.txt").read_text()


class DpkgOfThisMachine(OneRun):
    def owner(self, path):
        """(package, version, architecture) by dpkg -S of the path or its usr-merge alias; None: of no package."""
        aliases = [path, path.removeprefix("/usr")] if path.startswith("/usr/") else [path, "/usr" + path]
        for name in aliases:
            answer = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True).stdout
            keys = [line.split(": ")[0] for line in answer.splitlines() if not line.startswith("diversion")]
            if keys:
                shown = call("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}", keys[0])
                return tuple(shown.split(" "))
        return None

    def test_every_module_of_a_large_program(self):
        require(self, "dpkg")
        crash = self.crash(["/usr/bin/python3", "-c",
                            "import bz2, ctypes, hashlib, json, lzma, ssl, xml.parsers.expat; ctypes.string_at(0)"])
        owned = 0
        for module in crash["modules"]:
            path = module["filename"]
            expected = self.owner(path) if path.startswith("/") else None
            package = module.get("package", {})
            self.assertEqual((package.get("name"), package.get("version"), package.get("architecture")),
                             expected or (None, None, None), path)
            if expected:
                owned += 1
                self.assertEqual(package["source"], "/var/lib/dpkg/status")
                self.assertEqual((module["version"], module["version_source"]), (expected[1], "deb"))
        self.assertGreaterEqual(owned, 8)
        self.assertEqual(self.report.get("soft_errors", []), [])


class BuiltFromSource(OneRun):
    def test_its_version_is_seen_in_one_glance(self):
        require(self, "git")
        tree = self.folder / "tree"
        (tree / "build").mkdir(parents=True)
        (tree / "shelf.c").write_text("int first;\n")
        git = ["git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@example.org"]
        call(*git, "init")
        call(*git, "add", "shelf.c")
        call(*git, "commit", "-m", "first")
        call(*git, "tag", "v1.4.2")
        (tree / "shelf.c").write_text("int changed;\n")
        (tree / "build" / "shelf.pc").write_text("v=1.4\nVersion: ${v}.2\nLibs: -L/opt/lib -lshelf\n")
        (tree / "build" / "sub").mkdir()
        crash = self.crash([build_both(tree / "build" / "sub")])

        module = self.module(crash, LIBRARY)
        self.assertNotIn("package", module)
        self.assertEqual((module["version"], module["version_source"]), ("1.4.2", "pkg_config"))
        self.assertEqual([(version["source"], version["version"]) for version in module["versions"]],
                         [("pkg_config", "1.4.2"), ("file_name", "1.4"), ("symbol_versions", "SHELF_1.2"),
                          ("git", "v1.4.2-dirty")])
        self.assertEqual(module["soname"], "libshelf.so.1")
        self.assertTrue(module["build_id"])
        self.assertTrue(any("GCC" in compiler or "clang" in compiler for compiler in module["compilers"]))
        self.assertIn(f"{LIBRARY}", self.text(crash))
        self.assertIn("1.4.2 by shelf.pc, 1.4 by its name, SHELF_1.2 by its symbols, v1.4.2-dirty by git",
                      self.text(crash))

    def test_a_package_note_goes_first(self):
        note = {"type": "rpm", "name": "shelf", "version": "1.4-3.fc40", "architecture": "x86_64"}
        program = build_both(self.folder)
        probe = subprocess.run(["ld", "--help"], capture_output=True, text=True).stdout
        if "--package-metadata" not in probe:
            self.skipTest("the linker knows no --package-metadata")
        build_library(self.folder / LIBRARY, "-Xlinker", f"--package-metadata={json.dumps(note)}")
        package = self.module(self.crash([program]), LIBRARY)["package"]
        self.assertEqual(package, {**note, "source": ".note.package"})


class ChangedFiles(OneRun):
    def library_of(self, how):
        program = build_both(self.folder)
        build_library(self.folder / "new.so", "-DOTHER")
        library = self.folder / LIBRARY
        crash = self.crash([program, *([how, library, self.folder / "new.so"] if how else [])])
        frames = harness.flatten(harness.crashed_thread(crash))
        self.assertTrue(harness.is_function(frames[0], "write_through_null"), frames[0])
        self.assertEqual([frame for frame in frames if "wrong" in frame.get("function", "")], [])
        inside = [frame for frame in frames if frame.get("module") == str(library)]
        self.assertTrue(inside, frames)
        return self.module(crash, LIBRARY), inside, crash

    def test_an_untouched_one_has_names(self):
        module, inside, _ = self.library_of(None)
        self.assertEqual((module["deleted"], module["changed_on_disk"]), (False, False))
        self.assertTrue(harness.is_function(inside[0], "shelf_walk"), inside)

    def check(self, how, deleted, changed, why):
        module, inside, crash = self.library_of(how)
        self.assertEqual((module["deleted"], module["changed_on_disk"]), (deleted, changed))
        self.assertEqual([frame for frame in inside if "function" in frame or "file" in frame], [])
        self.assertNotIn("build_id", module)
        self.assertTrue(any(LIBRARY in error and why in error for error in crash["soft_errors"]), crash["soft_errors"])
        self.assertIn("(changed on disk)" if changed else "(deleted)", self.text(crash))

    def test_one_that_another_was_renamed_over(self):
        self.check("rename", True, True, "another file lies there now")

    def test_one_that_was_unlinked(self):
        self.check("unlink", True, False, "No such file")

    def test_one_that_was_truncated(self):
        self.check("truncate", False, True, "shorter now")

    def test_one_that_was_overwritten_in_place(self):
        options = os.statvfs(self.folder).f_flag
        if options & os.ST_NOATIME:
            self.skipTest(f"{self.folder} keeps no access times")
        self.check("overwrite", False, True, "written to after it had been mapped")

    def test_a_program_that_is_overwritten_between_two_crashes(self):
        """The bytes that the first one ran are gone; the second one's are there."""
        first = build_both(self.folder)
        other = self.folder / "other"
        call("cc", *FLAGS, "-Dvisit=call_back", SOURCES / "use_shelf.c", self.folder / LIBRARY, "-Wl,-rpath,$ORIGIN",
             "-o", other)
        # file times have the grain of the kernel's tick, so the second is written in a later one
        run = harness.run(["sh", "-c", f"{first}; sleep 0.05; cat {other} >{first}; {first}"], self.folder)
        one, two = run.report()["crashes"]
        self.assertTrue(one["modules"][0]["changed_on_disk"])
        self.assertNotIn("function", harness.crashed_thread(one)["frames"][0])
        self.assertFalse(two["modules"][0]["changed_on_disk"])
        functions = [frame.get("function", "") for frame in harness.flatten(harness.crashed_thread(two))]
        self.assertIn("call_back", functions)


@unittest.skipIf(os.geteuid() != 0, "chroot(2) needs root")
class OtherRoots(OneRun):
    """A crash in a root of its own, with a package database of another distribution, whose packages brought the files."""

    def make_tree(self, libraries):
        """program, library, libc and loader as files of a root. Returns {path: package}."""
        self.files = self.folder / "files"
        self.root = self.folder / "root"
        self.root.mkdir()
        for folder in ("usr/bin", libraries, "lib64"):
            (self.files / folder).mkdir(parents=True)
        build_library(self.files / libraries / "libshelf.so.1")
        build_program(self.files / "usr/bin/use_shelf", self.files / libraries / "libshelf.so.1", f"/{libraries}")
        owners = {"usr/bin/use_shelf": "shelf-tools", f"{libraries}/libshelf.so.1": "shelf"}
        for line in call("ldd", "/bin/true").splitlines():
            for word in line.split():
                if word.startswith("/"):
                    name = pathlib.Path(word).name
                    place = "lib64" if name.startswith("ld-") else libraries
                    shutil.copy(word, self.files / place / name)
                    owners[f"{place}/{name}"] = "glibc"
        return owners

    def install_by_rpm(self):
        require(self, "rpm", "rpmbuild")
        owners = self.make_tree("usr/lib64")
        for package in sorted(set(owners.values())):
            paths = [path for path, owner in owners.items() if owner == package]
            spec = self.folder / f"{package}.spec"
            spec.write_text("\n".join([
                f"Name: {package}", "Version: 1.4", "Release: 3", *(["Epoch: 2"] if package == "shelf" else []),
                "Summary: test", "License: MIT", "AutoReqProv: no", "%global __os_install_post %{nil}",
                "%global debug_package %{nil}", "%global _build_id_links none", "%description", "test", "%install",
                *[f"install -D -m 755 {self.files}/{path} %{{buildroot}}/{path}" for path in paths], "%files",
                *[f"/{path}" for path in paths], ""]))
            call("rpmbuild", "--define", f"_topdir {self.folder}/rpm", "-bb", spec)
        call("rpm", "--root", self.root, "--dbpath", "/var/lib/rpm", "--nodeps", "--nosignature", "-i",
             *sorted((self.folder / "rpm" / "RPMS").rglob("*.rpm")))
        return {path: ("rpm", owner, "2:1.4-3" if owner == "shelf" else "1.4-3", "x86_64", "/var/lib/rpm/rpmdb.sqlite")
                for path, owner in owners.items()}

    def install_by_pacman(self):
        require(self, "pacman")
        owners = self.make_tree("usr/lib")
        archives = []
        for package in sorted(set(owners.values())):
            information = self.folder / ".PKGINFO"
            information.write_text(f"pkgname = {package}\npkgbase = {package}\npkgver = 2:1.4-3\npkgdesc = test\n"
                                   "url = https://example.org\nbuilddate = 1700000000\npackager = test\nsize = 1\n"
                                   "arch = x86_64\nlicense = MIT\n")
            archives.append(self.folder / f"{package}-2:1.4-3-x86_64.pkg.tar")
            with tarfile.open(archives[-1], "w") as archive:
                archive.add(information, ".PKGINFO")
                for path, owner in owners.items():
                    if owner == package:
                        archive.add(self.files / path, path)
        (self.root / "var/lib/pacman").mkdir(parents=True)
        configuration = self.folder / "pacman.conf"
        configuration.write_text("[options]\nArchitecture = x86_64\nSigLevel = Never\nLocalFileSigLevel = Never\n")
        call("pacman", "--config", configuration, "--root", self.root, "--dbpath", self.root / "var/lib/pacman",
             "--cachedir", self.folder / "cache", "--logfile", self.folder / "log", "--hookdir", self.folder / "hooks",
             "--gpgdir", self.folder / "gpg", "--noconfirm", "-Udd", *archives)
        return {path: ("alpm", owner, "2:1.4-3", "x86_64", f"/var/lib/pacman/local/{owner}-2:1.4-3/desc")
                for path, owner in owners.items()}

    def install_like_apk(self, libraries="usr/lib"):
        owners = self.make_tree(libraries)
        shutil.copytree(self.files, self.root, dirs_exist_ok=True)
        paragraphs = []
        for package in sorted(set(owners.values())):
            files = [f"F:{pathlib.Path(path).parent}\nR:{pathlib.Path(path).name}\na:0:0:755\n"
                     for path, owner in owners.items() if owner == package]
            paragraphs.append(f"C:Q1x=\nP:{package}\nV:1.4-r3\nA:x86_64\nS:1\n{''.join(files)}\n")
        (self.root / "lib/apk/db").mkdir(parents=True)
        (self.root / "lib/apk/db/installed").write_text("".join(paragraphs))
        return {path: ("apk", owner, "1.4-r3", "x86_64", "/lib/apk/db/installed") for path, owner in owners.items()}

    def check(self, expected, command, root_name):
        """The crash of `command` in the tree: each of its modules belongs to the package that installed it."""
        crash = self.crash(command)
        packages = {}
        for module in crash["modules"]:
            if module["filename"].startswith("/"):
                path = module["filename"].removeprefix(str(self.root)).lstrip("/")
                packages[path] = tuple(module.get("package", {}).get(key)
                                       for key in ("type", "name", "version", "architecture", "source"))
        # What lies in a namespace of its own is named by that as long as somebody lives there, which may be a moment longer.
        packages = {path: (*package, re.sub(r"^mnt:\[\d+\]", root_name, source or "")) for path, (*package, source) in packages.items()}
        self.assertEqual(packages, {path: (*package, root_name + source) for path, (*package, source) in expected.items()})
        self.assertEqual(self.report.get("soft_errors", []), [])
        functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
        self.assertEqual(functions[:4], ["write_through_null", "visit", "shelf_walk", "shelf_visit"])
        return crash

    def in_chroot(self, expected):
        self.check(expected, ["chroot", self.root, "/usr/bin/use_shelf"], str(self.root))

    def test_rpm(self):
        expected = self.install_by_rpm()
        database = self.root / "var/lib/rpm/rpmdb.sqlite"
        before = {path: path.stat().st_mtime_ns for path in database.parent.iterdir()}
        self.in_chroot(expected)
        self.assertEqual({path: path.stat().st_mtime_ns for path in database.parent.iterdir()}, before)

    def test_pacman(self):
        self.in_chroot(self.install_by_pacman())

    def test_apk(self):
        self.in_chroot(self.install_like_apk())

    def test_a_mount_namespace_in_which_nobody_lives_any_more(self):
        expected = self.install_like_apk()
        self.check(expected, ["unshare", "--mount", f"--root={self.root}", "/usr/bin/use_shelf"], str(self.root))

    def test_a_root_inside_of_a_mount_namespace_in_which_others_have_ours(self):
        """The shell that waits sees other files at the paths of the program. Their packages are not those of what has crashed."""
        expected = self.install_like_apk("usr/lib/x86_64-linux-gnu")
        inside = self.folder / "inside"
        inside.mkdir()
        crash = self.crash(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {inside}; cp -r {self.root}/. {inside}; "
                            f"chroot {inside} /usr/bin/use_shelf; exit $?"])
        modules = {module["filename"].lstrip("/"): module for module in crash["modules"] if module["filename"].startswith("/")}
        self.assertEqual(set(modules), set(expected))
        gone = [error for error in crash["soft_errors"] if GONE in error]
        for path, module in modules.items():
            self.assertFalse(module["changed_on_disk"] or module["deleted"], path)
            if gone:
                self.assertNotIn("package", module)
            else:
                self.assertEqual(tuple(module["package"][key] for key in ("type", "name", "version")), expected[path][:3])
        self.assertLessEqual(len(gone), 0 if harness.COLLECTOR == "ptrace" else 1)

    def test_what_is_the_same_file_in_our_root_is_asked_there(self):
        """Its own root has no database. Whether that was gone before anybody could look is chance, and makes no difference."""
        require(self, "dpkg")
        program, root = self.folder / "program", self.folder / "root"
        root.mkdir()
        call("cc", *FLAGS, SOURCES / "use_shelf.c", SOURCES / "shelf.c", "-o", program)
        mounts = "; ".join(f"mkdir {root}/{name}; mount --bind /{name} {root}/{name}" for name in ("usr", "lib", "lib64"))
        crash = self.crash(["unshare", "--mount", "sh", "-ec", f"mount -t tmpfs none {root}; {mounts}; cp {program} {root}; "
                            f"exec chroot {root} /program"])
        library = self.module(crash, "libc.so.6")
        name, version, _ = DpkgOfThisMachine.owner(self, library["filename"])
        self.assertEqual([library.get("package", {}).get(key) for key in ("type", "name", "version")], ["deb", name, version])
        self.assertNotIn("package", self.module(crash, "program"))
        gone = [error for error in crash["soft_errors"] if GONE in error]
        self.assertLessEqual(len(gone), 0 if harness.COLLECTOR == "ptrace" else 1)

    def test_a_container_that_lives(self):
        require(self, "bwrap")
        self.install_like_apk()
        crash = self.crash(["bwrap", "--bind", self.root, "/", "--proc", "/proc", "--unshare-pid", "/usr/bin/use_shelf"])
        package = self.module(crash, "libshelf.so.1")["package"]
        self.assertEqual((package["type"], package["name"]), ("apk", "shelf"))

    def test_a_root_that_is_gone_at_the_end_is_said_so(self):
        self.install_like_apk()
        crash = self.crash(["sh", "-c", f"chroot {self.root} /usr/bin/use_shelf; rm -rf {self.root}"])
        self.assertNotIn("package", self.module(crash, "libshelf.so.1"))
        self.assertTrue(any(str(self.root) in error and "gone" in error for error in self.report["soft_errors"]),
                        self.report.get("soft_errors"))

    def test_broken_databases_are_said_so(self):
        self.install_like_apk()
        for path, content in (("var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0" + bytes(range(256)) * 64),
                              ("var/lib/dpkg/status", b"\xff\0rubbish\n" * 1000),
                              ("var/lib/pacman/local/x-1/files", b"%FILES%\nusr/lib/libshelf.so.1\n"),
                              ("lib/apk/db/installed", b"\0\xff" * 1000)):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)
        (self.root / "var/lib/dpkg/info").symlink_to("info")
        crash = self.crash(["chroot", self.root, "/usr/bin/use_shelf"])
        self.assertNotIn("package", self.module(crash, "libshelf.so.1"))
        problems = "\n".join(self.report["soft_errors"])
        for part in ("/var/lib/rpm/rpmdb.sqlite", "/var/lib/dpkg/info", "/var/lib/pacman/local/x-1/desc",
                     "/lib/apk/db/installed"):
            self.assertIn(str(self.root) + part, problems)


if __name__ == "__main__":
    harness.main()
