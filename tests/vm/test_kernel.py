"""Every fixture, in one flavour, under another kernel: the same BPF object, the same expectations.

    test_kernel.py KERNEL BEHAVIOUR=PROGRAM...
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

# Inside the machine: one fixture after the other, which of them failed, and which need something that is not there.
SCRIPT = """
failed=0
for fixture in "$@"; do
  behaviour=${fixture%%=*}
  /usr/bin/python3 %FIXTURE% "$behaviour" %FLAVOUR% "${fixture#*=}" > /tmp/fixture.log 2>&1
  case $? in
    0) echo "passed $behaviour" ;;
    %SKIP%) echo "skipped $behaviour: $(cat /tmp/fixture.log)" ;;
    *) failed=$((failed + 1)); echo "FAILED $behaviour"; cat /tmp/fixture.log ;;
  esac
done
exit $((failed > 0))
""".replace("%FLAVOUR%", FLAVOUR).replace("%FIXTURE%", str(FIXTURE)).replace("%SKIP%", str(SKIP))


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def find_kernel_vm():
    beside = SOURCE.parent / "shared" / "tools" / "kernel-vm"
    return os.environ.get("KERNEL_VM") or shutil.which("kernel-vm") or (str(beside) if beside.exists() else None)


def main(kernel, fixtures):
    kernel_vm = find_kernel_vm()
    if kernel_vm is None:
        skip("there is no program kernel-vm to start another kernel with")
    if shutil.which("qemu-system-x86_64") is None:
        skip("qemu-system-x86_64 is not installed")
    if subprocess.run([kernel_vm, "fetch", kernel], stdout=subprocess.DEVNULL).returncode != 0:
        skip(f"the kernel {kernel} cannot be had")
    environment = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("CRASHCRAWLER_TEST_")]
    options = [word for pair in environment for word in ("-e", pair)]
    command = [kernel_vm, "run", "-k", kernel, "-t", "800", *options, "--", "bash", "-c", SCRIPT, "fixtures", *fixtures]
    status = subprocess.run(command).returncode
    print(f"kernel {kernel}: {len(fixtures)} fixtures, status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
