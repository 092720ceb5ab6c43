"""The image: what it is made of, and a crash in a privileged container of it.

    test_image.py PORTABLE_CRASH
"""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import docker
import harness

PROGRAM = pathlib.Path(sys.argv[1])
LARGEST_LAYER = 25 << 20  # bytes, what the image adds to its base


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()

    def inspect(self, image):
        return json.loads(self.engine.docker("image", "inspect", image).stdout)[0]

    def test_it_is_its_base_and_one_layer(self):
        image, base = self.inspect(docker.IMAGE), self.inspect(docker.BASE)
        layers = image["RootFS"]["Layers"]
        self.assertEqual(layers[:-1], base["RootFS"]["Layers"])
        added = image["Size"] - base["Size"]
        print(f"added to the base: {added / 1e6:.1f} MB in one layer")
        self.assertLess(added, LARGEST_LAYER)

    def test_the_entry_point_is_the_wrapper(self):
        said = self.engine.run("--version")
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertTrue(said.stdout.startswith("crashcrawler-run "), said.stdout)
        self.assertIn("Usage: crashcrawler-run", self.engine.run().stdout)

    def test_a_crash_in_a_privileged_container(self):
        with harness.TemporaryFolder() as folder:
            shutil.copy(PROGRAM, folder)
            done = self.engine.run("--", f"./{PROGRAM.name}", options=["--privileged", "-v", f"{folder}:/shared", "-w", "/shared"])
            subprocess.run([*harness.privilege(), "chmod", "-R", "a+rwX", folder], check=True)
            self.assertEqual(done.returncode, 134, done.stdout + done.stderr)
            report = json.loads((folder / "crashcrawler-out" / "report.json").read_text())
            installed = self.engine.run("-c", "dpkg-query -W -f '${Version}' libc6", options=["--entrypoint", "sh"]).stdout
        harness.validate(report)
        self.assertEqual(report["collector"]["health"]["degraded"], [])
        crash, = report["crashes"]
        functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
        self.assertEqual(functions[-3:], ["check_total", "run_suite", "start_of_program"])
        package, = [module["package"] for module in crash["modules"] if module.get("soname") == "libc.so.6"]
        self.assertEqual((package["name"], package["version"]), ("libc6", installed))


if __name__ == "__main__":
    harness.main()
