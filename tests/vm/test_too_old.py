"""A kernel below 6.1. Where BPF is asked for: one message that says so, exit status 125, and nothing was started. Else crashes
are captured by ptrace(2).

    test_too_old.py KERNEL WRAPPER
"""

import sys

import machine

SCRIPT = """
cd /tmp || exit 99
"$1" --collector=bpf --output-dir out -- touch started 2> message; status=$?
cat message
[ "$status" = 125 ] || { echo "exit status $status, not 125"; exit 1; }
[ ! -e started ] || { echo "the command was started"; exit 1; }
[ "$(grep -c '^crashcrawler' message)" = 1 ] || { echo "not one message"; exit 1; }
grep -q 'Linux 6.1' message || { echo "it does not say which kernel is needed"; exit 1; }
"$1" --collector=bpf --best-effort --output-dir out -- touch started 2> message || { cat message; echo "--best-effort does not run it"; exit 1; }
[ -e started ] || { echo "--best-effort did not start the command"; exit 1; }
"$1" --output-dir out -- sh -c 'kill -SEGV $$' 2> message; status=$?
cat message
[ "$status" = 139 ] || { echo "exit status $status, not 139"; exit 1; }
grep -q '^crashcrawler: 1 crash ' message || { echo "the crash was not captured by ptrace"; exit 1; }
grep -q '"backend":"ptrace"\|"backend": "ptrace"' out/report.json || { echo "the report does not say by what"; exit 1; }
"""


def main(kernel, wrapper):
    status = machine.run(kernel, 200, ["bash", "-c", SCRIPT, "too_old", wrapper])
    print(f"kernel {kernel}: status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
