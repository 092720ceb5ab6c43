"""Runs programs that crash, each in its own folder, with core dumps on: run_all.py LIST, a JSON file of
[[folder, [program, argument...]], ...]. Prints "FOLDER: STATUS" for each. Ends with 0 whatever they end with."""

import concurrent.futures
import json
import pathlib
import resource
import subprocess
import sys

WORKERS = 2
SECONDS = 60

resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def run(job):
    folder, command = job
    try:
        return folder, subprocess.run(command, cwd=folder, capture_output=True, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        return folder, "timed out"


with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
    for folder, status in pool.map(run, json.loads(pathlib.Path(sys.argv[1]).read_text())):
        print(f"{folder}: {status}", flush=True)
