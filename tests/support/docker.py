"""A Docker engine for tests, and the image of docker/Dockerfile in it.

    docker.py start ARCHIVES ROOT    CTest's fixture: an engine, the base image of ROOT, the image of the tarball in ARCHIVES
    docker.py tools ARCHIVES         after it: the same image with what fixtures need, which apt brings; a visible skip without
    docker.py stop                   ends the engine if `start` began it

The engine is the one that `docker` reaches already; else, for root, the program docker-engine is asked for one (in PATH, named by
the environment variable DOCKER_ENGINE, or in ../shared/tools beside the checkout), whose files go below the build folder.
It has to see our temporary folders, not the checkout. No registry is asked. A test says `engine = docker.connect()` and is skipped
where there is none.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness

IMAGE = "crashcrawler-test"  # docker/Dockerfile with BASE
BASE = "local/debian:bookworm"
TOOLS = "crashcrawler-test-tools"  # BASE with PACKAGES
IMAGE_WITH_TOOLS = "crashcrawler-test-with-tools"  # docker/Dockerfile with TOOLS
PACKAGES = ("binutils", "bubblewrap", "cmake", "gdb", "libasan8", "libc6-dbg", "libc6-i386", "liblsan0", "libstdc++6", "libtsan2",
            "libubsan1", "python3-jsonschema", "strace")
RUNTIME_FAILED = "read init-p: connection reset by peer"  # runc's own first process has died before the container's
STATE = harness.BUILD / "tests" / "docker"
STARTED = STATE / "started"  # DOCKER_HOST of the engine that we have started
MISSING = STATE / "missing"  # why there is none


class SharedFolder(harness.TemporaryFolder):
    """One in which the root of a container may write, also when the test is an ordinary user's."""

    def __enter__(self):
        self.path.chmod(0o777)
        return self.path

    def __exit__(self, *error):
        subprocess.run([*harness.privilege(), "chmod", "-R", "a+rwX", self.path], check=True)
        super().__exit__(*error)


class Engine:
    def __init__(self, host=None):
        self.environment = {**os.environ, **({"DOCKER_HOST": host} if host else {}), "LC_ALL": "C"}

    def docker(self, *arguments, check=True, **popen_arguments):
        """`docker ARGUMENT...`; its output is kept as text. AssertionError with what it said when it fails."""
        arguments = ["docker", *map(str, arguments)]
        popen_arguments = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **popen_arguments}
        done = subprocess.run(arguments, env=self.environment, **popen_arguments)
        if RUNTIME_FAILED in str(done.stderr):  # rare, and there was no container
            print(f"once more, because the engine's own runtime has failed: {done.stderr.strip()}", flush=True)
            done = subprocess.run(arguments, env=self.environment, **popen_arguments)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout or ''}{done.stderr or ''}")
        return done

    def works(self):
        return shutil.which("docker") is not None and self.docker("info", check=False).returncode == 0

    def run(self, *command, options=(), image=IMAGE):
        """A container without network for one command, the arguments of the entry point; it is gone afterwards."""
        return self.docker("run", "--rm", "--network", "none", *options, image, *command, check=False)

    def copy_into(self, container, *paths):
        """Files and folders, at their own paths, also such as the engine does not see."""
        names = [str(path).lstrip("/") for path in paths]
        tar = subprocess.Popen(["tar", "-C", "/", "-c", *names], stdout=subprocess.PIPE)
        self.docker("cp", "-", f"{container}:/", stdin=tar.stdout)
        tar.stdout.close()
        if tar.wait() != 0:
            raise AssertionError(f"tar of {names} failed")

    def import_base(self, root):
        """BASE from the root folder of a Debian (tests/packages/in_root make), unless it is there."""
        if self.has(BASE):
            return
        tar = subprocess.Popen([*harness.privilege(), "tar", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "-c", "."],
                               stdout=subprocess.PIPE)
        self.docker("import", "-", BASE, stdin=tar.stdout)
        tar.stdout.close()
        if tar.wait() != 0:
            raise AssertionError(f"tar of {root} failed")

    def has(self, image):
        return self.docker("image", "inspect", image, check=False).returncode == 0

    def build(self, tarball, image=IMAGE, base=BASE):
        """`image` from a tarball of packaging/make-archives, as docker/README.md says."""
        with tempfile.TemporaryDirectory(dir=STATE) as context:
            shutil.copy(tarball, context)
            self.docker("build", "--network", "host", "-t", image, "-f", harness.SOURCE / "docker" / "Dockerfile",
                        "--build-arg", f"BASE={base}", "--build-arg", f"TARBALL={tarball.name}", context)

    def build_tools(self):
        """TOOLS. What apt said when it cannot be had, else None. In an engine of our own it is there the next time."""
        install = f"apt-get -o Dpkg::Options::=--force-unsafe-io install -y --no-install-recommends {' '.join(PACKAGES)}"
        with tempfile.TemporaryDirectory(dir=STATE) as context:
            file = pathlib.Path(context) / "Dockerfile"
            file.write_text(f"FROM {BASE}\nRUN apt-get update && {install} && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives\n")
            built = self.docker("build", "--network", "host", "-t", TOOLS, context, check=False)
        return None if built.returncode == 0 else (built.stdout + built.stderr).strip()[-500:]


def why_none():
    """None: there is an engine, with IMAGE and BASE in it."""
    if MISSING.exists():
        return MISSING.read_text()
    return None if STARTED.exists() else "no Docker engine was started: the test docker.start says why"


def connect():
    """The engine. Where there is none the calling test or class is skipped."""
    reason = why_none()
    if reason:
        raise unittest.SkipTest(reason)
    return Engine(STARTED.read_text() or None)


def find_docker_engine():
    beside = harness.SOURCE.parent / "shared" / "tools" / "docker-engine"
    return os.environ.get("DOCKER_ENGINE") or shutil.which("docker-engine") or (str(beside) if beside.exists() else None)


def docker_engine(*arguments):
    environment = {**os.environ, "DOCKER_ENGINE_DIR": str(STATE / "engine")}
    return subprocess.run([find_docker_engine(), *arguments], env=environment, stdout=subprocess.PIPE, text=True)


def missing(reason):
    MISSING.write_text(reason)
    harness.skip(reason)


def start(archives, root):
    STATE.mkdir(parents=True, exist_ok=True)
    STARTED.unlink(missing_ok=True)
    MISSING.unlink(missing_ok=True)
    if not (root / "complete").exists():
        missing("there is no Debian to make the base image of; the test packages.root.bookworm says why")
    engine = Engine()
    if engine.works():
        STARTED.write_text("")
    elif not shutil.which("docker"):
        missing("docker is not installed")
    elif find_docker_engine() is None:
        missing("docker reaches no engine, and there is no program docker-engine to start one with")
    elif os.geteuid() != 0:
        missing("docker reaches no engine, and only root can start one")
    else:
        told = docker_engine("start", "26", "v2")
        if told.returncode != 0:
            docker_engine("stop")
            missing("docker-engine could not start an engine")
        host = told.stdout.strip().splitlines()[-1].removeprefix("export DOCKER_HOST=")
        STARTED.write_text(host)
        engine = Engine(host)
    engine.import_base(root / "system")
    with harness.TemporaryFolder() as folder:
        (folder / "file").touch()
        tried = engine.run("/shared/file", image=BASE, options=("--entrypoint", "ls", "-v", f"{folder}:/shared"))
    if tried.returncode != 0:
        stop()
        missing(f"the engine runs no containers here, or does not see our temporary folders: {tried.stderr.strip()}")
    engine.build(next(archives.glob("*.tar.gz")))


def tools(archives):
    reason = why_none()
    if reason:
        harness.skip(reason)
    engine = connect()
    reason = engine.build_tools()
    if reason:
        harness.skip(f"apt brings no tools into an image: {reason}")
    engine.build(next(archives.glob("*.tar.gz")), IMAGE_WITH_TOOLS, TOOLS)


def stop():
    """Also after a `start` that failed."""
    if STARTED.exists():
        ours = STARTED.read_text()
        engine = Engine(ours or None)
        for image in (IMAGE, IMAGE_WITH_TOOLS, *([] if ours else [TOOLS, BASE])):
            engine.docker("image", "rm", "--force", image, check=False)
        engine.docker("image", "prune", "--force", "--filter", "label=crashcrawler.stage", check=False)
        if ours:
            docker_engine("stop")
        STARTED.unlink()


if __name__ == "__main__":
    {"start": start, "tools": tools, "stop": stop}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
