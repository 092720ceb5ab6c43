"""Every fixture, in one flavour, under another kernel: the same BPF object, the same expectations.

    test_kernel.py KERNEL PROGRAM...
"""

import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["CRASHCRAWLER_TEST_SOURCE"])
FIXTURE = SOURCE / "tests" / "integration" / "fixture.py"
FLAVOUR = "O2_pie"
SKIP = 77

# Inside the machine: one fixture after the other, and which of them failed.
SCRIPT = """
failed=0
for program in "$@"; do
  name=${program##*/fixture_}; behaviour=${name%_%FLAVOUR%}
  if /usr/bin/python3 %FIXTURE% "$behaviour" %FLAVOUR% "$program" > /tmp/fixture.log 2>&1; then
    echo "passed $behaviour"
  else
    failed=$((failed + 1)); echo "FAILED $behaviour"; cat /tmp/fixture.log
  fi
done
exit $((failed > 0))
""".replace("%FLAVOUR%", FLAVOUR).replace("%FIXTURE%", str(FIXTURE))


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def find_kernel_vm():
    beside = SOURCE.parent / "shared" / "tools" / "kernel-vm"
    return os.environ.get("KERNEL_VM") or shutil.which("kernel-vm") or (str(beside) if beside.exists() else None)


def main(kernel, programs):
    kernel_vm = find_kernel_vm()
    if kernel_vm is None:
        skip("there is no program kernel-vm to start another kernel with")
    if shutil.which("qemu-system-x86_64") is None:
        skip("qemu-system-x86_64 is not installed")
    if subprocess.run([kernel_vm, "fetch", kernel], stdout=subprocess.DEVNULL).returncode != 0:
        skip(f"the kernel {kernel} cannot be had")
    environment = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("CRASHCRAWLER_TEST_")]
    options = [word for pair in environment for word in ("-e", pair)]
    command = [kernel_vm, "run", "-k", kernel, "-t", "800", *options, "--", "bash", "-c", SCRIPT, "fixtures", *programs]
    status = subprocess.run(command).returncode
    print(f"kernel {kernel}: {len(programs)} fixtures, status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
