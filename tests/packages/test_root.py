"""The tarball or the .deb in a minimal Debian or Ubuntu that has nothing of ours.

    test_root.py make SUITE ROOT
    test_root.py tarball|deb SUITE ROOT ARCHIVES PORTABLE_CRASH
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

KIND, SUITE, ROOT = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
IN_ROOT = pathlib.Path(__file__).with_name("in_root")
PREFIX = "/opt/moved/here" if KIND == "tarball" else "/usr"

INSTALL = {
    "tarball": f"mkdir -p {PREFIX} && tar -xzf /shared/*.tar.gz -C {PREFIX} --strip-components=1",
    "deb": """apt-get update >log 2>&1 || { cat log; exit 77; }
        apt-get install -y --no-install-recommends /shared/*.deb >>log 2>&1 || { cat log; exit 1; }""",
}

# One run of the wrapper, in a folder of its own with what it said, its status and its reports.
SCENARIO = """scenario() {
  mkdir -m 777 "$1" && (cd "$1" && shift && status=0 &&
    { PREFIX/bin/crashcrawler-run "$@" >stdout 2>stderr || status=$?; echo $status >status; })
}
""".replace("PREFIX", PREFIX)

SCENARIOS = f"""
dpkg-query --show --showformat '${{Version}}' libc6 >version
scenario crash -- ../portable_crash
{PREFIX}/bin/crashcrawler show --output-dir crash/crashcrawler-out 1 >shown
scenario known_user --user games -- sh -c 'id; echo $HOME'
scenario unknown_user --user nobody-of-that-name -- id
export DEBUGINFOD_URLS=http://127.0.0.1:9
scenario debuginfod --debuginfod -- ../portable_crash
"""

# A directory service without its server: getent(1) as it would answer with one. /etc/passwd has nobody of that name.
DIRECTORY_SERVICE = r"""cat >/usr/bin/getent <<'END'
#!/bin/sh
case "$1 $2" in
  'passwd remote' | 'passwd 4711') echo 'remote:x:4711:4712:Some One,,,:/home/remote:/bin/sh' ;;
  'initgroups remote') echo 'remote                4712 4713' ;;
  *) exit 2 ;;
esac
END
scenario remote_name --user remote -- sh -c 'id; echo $HOME'
scenario remote_number --user 4711 -- sh -c 'id; echo $HOME'
"""


def make():
    if harness.privilege() is None:
        harness.skip("neither root nor a sudo that works without a password")
    if not shutil.which("debootstrap", path=os.environ["PATH"] + ":/usr/sbin"):
        harness.skip("debootstrap is not installed")
    sys.exit(subprocess.run([*harness.privilege(), IN_ROOT, "make", SUITE, ROOT]).returncode)


class InRoot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (ROOT / "complete").exists():
            raise unittest.SkipTest(f"there is no {SUITE}; the test packages.root.{SUITE} says why")
        cls.shared = cls.enterClassContext(harness.TemporaryFolder())
        cls.shared.chmod(0o777)
        archives, crash = map(pathlib.Path, sys.argv[4:])
        shutil.copy(next(archives.glob("*.tar.gz" if KIND == "tarball" else "*.deb")), cls.shared)
        shutil.copy(crash, cls.shared)
        script = "\n".join([INSTALL[KIND], SCENARIO, SCENARIOS, DIRECTORY_SERVICE if KIND == "tarball" else ""])
        command = [*harness.privilege(), IN_ROOT, "run", ROOT, cls.shared, "sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True)
        # what root has written there is ours to read and to remove
        subprocess.run([*harness.privilege(), "chown", "-R", f"{os.geteuid()}", cls.shared], check=True)
        if done.returncode == harness.SKIP:
            raise unittest.SkipTest(f"apt of {SUITE} has no mirror: {done.stdout.strip()[-200:]}")
        if done.returncode != 0:
            raise AssertionError(f"{SUITE}: status {done.returncode}\n{done.stdout}{done.stderr}")

    def said(self, scenario):
        folder = self.shared / scenario
        return int((folder / "status").read_text()), (folder / "stdout").read_text(), (folder / "stderr").read_text()

    def crash_of(self, scenario):
        report = json.loads((self.shared / scenario / "crashcrawler-out" / "report.json").read_text())
        harness.validate(report)
        crash, = report["crashes"]
        return crash

    def test_a_crash_is_reported_with_the_packages_of_that_system(self):
        self.assertEqual(self.said("crash")[0], 134, self.said("crash"))
        crash = self.crash_of("crash")
        self.assertEqual(crash["crash_info"]["signal"]["name"], "SIGABRT")
        frames = harness.flatten(harness.crashed_thread(crash))
        ours = [frame.get("function") for frame in frames][-3:]
        self.assertEqual(ours, ["check_total", "run_suite", "start_of_program"])
        self.assertEqual([frame["trust"] for frame in frames[1:] if frame["trust"] != "cfi"], [])
        self.assertIn("abort", [frame.get("function") for frame in frames])
        libc, = [module for module in crash["modules"] if re.search(r"/libc[.-]", module["filename"])]
        self.assertEqual(libc["package"]["name"], "libc6")
        self.assertEqual(libc["package"]["version"], (self.shared / "version").read_text())
        self.assertEqual(crash["soft_errors"], [])

    def test_it_is_shown(self):
        shown = (self.shared / "shown").read_text()
        self.assertIn("portable_crash died of SIGABRT", shown)
        self.assertIn("check_total", shown)

    def test_a_user_of_the_system(self):
        self.assertEqual(self.said("known_user"), (0, "uid=5(games) gid=60(games) groups=60(games)\n/usr/games\n", ""))

    if KIND == "tarball":  # the C library of the .deb asks by itself

        def test_a_user_of_a_directory_service(self):
            """The static program must not load the modules of nsswitch.conf, so it asks getent."""
            remote = (0, "uid=4711 gid=4712 groups=4712,4713\n/home/remote\n", "")
            self.assertEqual(self.said("remote_name"), remote)
            self.assertEqual(self.said("remote_number"), remote)

    def test_a_user_that_nobody_knows(self):
        status, _, stderr = self.said("unknown_user")
        self.assertEqual(status, harness.HARNESS_FAILED)
        self.assertIn("there is no user 'nobody-of-that-name'", stderr)

    def test_without_debuginfod_it_says_so(self):
        missing = "the program debuginfod-find" if KIND == "tarball" else "neither libdebuginfod.so.1 nor the program"
        crash = self.crash_of("debuginfod")
        self.assertTrue([error for error in crash["soft_errors"] if missing in error], crash["soft_errors"])


if __name__ == "__main__":
    if KIND == "make":
        make()
    harness.main()
