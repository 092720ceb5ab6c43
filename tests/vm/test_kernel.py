"""Every fixture, in one flavour, under another kernel: the same BPF object, the same expectations.

    test_kernel.py KERNEL BEHAVIOUR=PROGRAM...
"""

import sys

import machine

FIXTURE = machine.SOURCE / "tests" / "integration" / "fixture.py"
FLAVOUR = "O2_pie"

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
""".replace("%FLAVOUR%", FLAVOUR).replace("%FIXTURE%", str(FIXTURE)).replace("%SKIP%", str(machine.SKIP))


def main(kernel, fixtures):
    status = machine.run(kernel, 2000, ["bash", "-c", SCRIPT, "fixtures", *fixtures])
    print(f"kernel {kernel}: {len(fixtures)} fixtures, status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
