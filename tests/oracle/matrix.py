"""Which programs are built in which ways. A combination is a shape (a program of programs/) and a build (a compiler, its
options, and what is done to the program afterwards); its name is SHAPE.BUILD.

Building happens in a folder of its own: objects are compiled once for all builds that link or treat them differently,
and each combination gets a folder with the program (and what it needs), in which it is run and leaves its core.
"""

import concurrent.futures
import dataclasses
import fnmatch
import functools
import hashlib
import pathlib
import shutil
import subprocess

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
WORKERS = 2
SECONDS_TO_BUILD = 300  # for one command; a compiler that takes longer hangs


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    sources: tuple
    libraries: tuple = ()  # linked
    opened: bool = False  # gets the path of the library as its argument
    static: bool = True  # can be linked statically
    defines: tuple = ()
    builds: tuple = ("*",)  # patterns of names of builds

    @property
    def language(self):
        return {".cpp": "c++", ".rs": "rust", ".go": "go"}.get(pathlib.Path(self.sources[0]).suffix, "c")


@dataclasses.dataclass(frozen=True)
class Build:
    name: str
    compiler: str  # gcc, clang, rustc, go
    compile: tuple = ()
    link: tuple = ()
    after: str = ""  # the name of a function below that treats the linked program
    tools: tuple = ()  # that must be there
    own_objects: bool = False  # objects are changed, too

    @property
    def static(self):
        return any(option.startswith("-static") for option in self.link)


@dataclasses.dataclass(frozen=True)
class Combination:
    shape: Shape
    build: Build

    @property
    def name(self):
        return f"{self.shape.name}.{self.build.name}"


def shape(name, *sources, **more):
    return Shape(name, sources or (f"{name}.c",), **more)


SHAPES = {s.name: s for s in (
    shape("recursion"), shape("tail_call"), shape("noreturn_last"), shape("signal_frame"), shape("alternate_stack"),
    shape("second_stack", "signal_frame.c", defines=("-DSECOND_STACK",)),
    shape("alloca"), shape("longjmp"), shape("vdso"), shape("inlines"), shape("null_call"), shape("assertion"),
    shape("threads"),
    shape("plt", libraries=("library.c",)),
    shape("dlopened", opened=True, static=False),
    shape("dlclosed", opened=True, static=False),
    shape("assembly_with_cfi", "assembly.c", "assembly_with_cfi.S"),
    shape("assembly_without_cfi", "assembly.c", "assembly_without_cfi.S", defines=("-DWITHOUT_CFI",)),
    shape("uncaught", "uncaught.cpp"), shape("in_flight", "in_flight.cpp"), shape("templates", "templates.cpp"),
    shape("constructor", "constructor.cpp"),
    shape("rust", "rust.rs"), shape("rust_panic", "rust_panic.rs"),
    shape("go", "go/main.go"),
)}

# What shows how names and lines are found, in each way of keeping debug information.
SHAPES_OF_FORMATS = ("templates", "inlines", "signal_frame", "plt", "threads", "in_flight", "recursion")


def compiled_in_all_ways():
    frame_pointers = {"fp": "-fno-omit-frame-pointer", "nofp": "-fomit-frame-pointer"}
    for compiler in ("gcc", "clang"):
        for level in ("O0", "O1", "O2", "O3"):
            for name, option in frame_pointers.items():
                yield Build(f"{compiler}-{level}-{name}", compiler, ("-g", f"-{level}", option))


def formats():
    """Builds that differ in how the program is linked and where its debug information is."""
    for compiler, level in (("gcc", "-O2"), ("clang", "-O2")):
        def build(name, compile=("-g",), link=(), after="", tools=(), own_objects=False):
            return Build(f"{compiler}-{name}", compiler, (*compile, level), link, after, tools, own_objects)
        yield build("nopie", ("-g", "-fno-pie"), ("-no-pie",))
        yield build("static", ("-g", "-fno-pie"), ("-static",))
        yield build("static-pie", link=("-static-pie",))
        yield build("lto", ("-g", "-flto"), ("-flto",) if compiler == "gcc" else ("-flto", "-fuse-ld=lld"),
                    tools=() if compiler == "gcc" else ("ld.lld",))
        yield build("lld", link=("-fuse-ld=lld",), tools=("ld.lld",))
        yield build("stripped", after="strip")
        yield build("gnu_debugdata", after="keep_symbols_compressed", tools=("xz",))
        yield build("build_id", after="debug_file_by_build_id")
        yield build("debuglink", after="debug_file_by_link")
        yield build("zlib", ("-g", "-gz=zlib"), ("-gz=zlib",))
        yield build("zstd", after="compress_with_zstd")
        yield build("dwarf4", ("-gdwarf-4",))
        yield build("split", ("-g", "-gsplit-dwarf"))
        yield build("split_dwarf4", ("-gdwarf-4", "-gsplit-dwarf"))
        yield build("split_package", ("-gdwarf-4", "-gsplit-dwarf"), after="package_split_files", tools=("dwp",), own_objects=True)
        # dwz 0.15 does not know the forms of DWARF 5 that clang writes
        of_dwz = ("-g",) if compiler == "gcc" else ("-gdwarf-4",)
        yield build("dwz", of_dwz, after="share_with_dwz", tools=("dwz",))
        yield build("dwz_common", of_dwz, after="share_with_dwz_in_common_file", tools=("dwz",))


def of_other_languages():
    for level in ("0", "1", "3"):
        for mangling in ("legacy", "v0"):
            # which of the two is stable has changed over time
            yield "rust", Build(f"rustc-O{level}-{mangling}", "rustc", (
                "-g", f"-Copt-level={level}", "-Zunstable-options", f"-Csymbol-mangling-version={mangling}"))
        yield "rust_panic", Build(f"rustc-O{level}-abort", "rustc", ("-g", f"-Copt-level={level}", "-Cpanic=abort"))
    yield "go", Build("go", "go")
    yield "go", Build("go-N-l", "go", ("-gcflags=all=-N -l",))
    yield "go", Build("go-pie", "go", ("-buildmode=pie",))
    yield "go", Build("go-plain-dwarf", "go", ("-ldflags=-compressdwarf=false",))


def combinations():
    found = []
    for s in SHAPES.values():
        if s.language in ("c", "c++"):
            found += [Combination(s, build) for build in compiled_in_all_ways()
                      if any(fnmatch.fnmatch(build.name, pattern) for pattern in s.builds)]
    for name in SHAPES_OF_FORMATS:
        found += [Combination(SHAPES[name], build) for build in formats() if SHAPES[name].static or not build.static]
    found += [Combination(SHAPES[name], build) for name, build in of_other_languages()]
    return found


@functools.cache
def missing(build):
    """The programs that the build needs and this machine has not."""
    compiler = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}.get(build.compiler, (build.compiler,))
    return tuple(tool for tool in (*compiler, *build.tools) if not shutil.which(tool))


# --- building --------------------------------------------------------------------------------------------------------


def run(*command, cwd):
    result = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True,
                            timeout=SECONDS_TO_BUILD)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")


class Builder:
    """Builds combinations below `folder`. `debug_directory`: where debug files found by build-id go."""

    def __init__(self, folder, debug_directory):
        self.folder = folder
        self.debug_directory = debug_directory
        self.debug_files = {}  # path of a program or library -> that of the separate file
        self.objects = {}  # what is compiled -> the future of its path

    def build(self, combinations):
        """Command lines by name; each to be run in folder/NAME."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for combination in combinations:
                for key in self.compilations(combination):
                    if key not in self.objects:
                        self.objects[key] = pool.submit(self.compile, len(self.objects), *key)
            linked = {c.name: pool.submit(self.link, c) for c in combinations}
            return {name: future.result() for name, future in linked.items()}

    def compilations(self, combination):
        """(source, compiler, options, whose) for each object; `whose`: the only build that may use it, "" for all."""
        shape, build = combination.shape, combination.build
        if shape.language not in ("c", "c++"):
            return []
        own = combination.name if build.own_objects else ""
        keys = [(source, build.compiler, (*build.compile, *shape.defines), own) for source in shape.sources]
        keys += [(source, build.compiler, (*build.compile, "-fPIC"), own) for source in self.libraries(combination)]
        return keys

    @staticmethod
    def libraries(combination):
        return ("library.c",) if combination.shape.opened else combination.shape.libraries

    def compile(self, number, source, compiler, options, _):
        folder = self.folder / "objects" / str(number)  # of its own, because .dwo files lie beside objects
        folder.mkdir(parents=True)
        target = folder / (source.replace(".", "_") + ".o")
        driver = {"gcc": "g++", "clang": "clang++"}[compiler] if source.endswith(".cpp") else compiler
        run(driver, *options, "-I", PROGRAMS.parents[2], "-c", PROGRAMS / source, "-o", target, cwd=folder)
        return target

    def link(self, combination):
        shape, build = combination.shape, combination.build
        folder = self.folder / combination.name
        folder.mkdir()
        program = folder / shape.name
        if shape.language in ("rust", "go"):
            self.compile_program(combination, program)
            return [str(program)]
        objects = [self.objects[key].result() for key in self.compilations(combination)]
        own, library_objects = objects[:len(shape.sources)], objects[len(shape.sources):]
        driver = {"gcc": "g++", "clang": "clang++"}[build.compiler] if shape.language == "c++" else build.compiler
        # not made from the contents: what was stripped must not find the debug file of what was not
        options = (*build.compile, *build.link, "-pthread")
        files = [program]
        arguments = []
        if library_objects and build.static:
            own += library_objects
        elif library_objects:
            library = folder / "library.so"
            # not -static or -no-pie, which are the program's
            for_library = [o for o in options if o not in ("-no-pie", "-fno-pie")]
            run(driver, *for_library, build_id(library), "-shared", *library_objects, "-o", library, cwd=folder)
            files.append(library)
            if shape.opened:
                arguments.append(str(library))
            else:
                own += [library, f"-Wl,-rpath,{folder}"]
        run(driver, *options, build_id(program), *own, "-o", program, cwd=folder)
        if build.after:
            globals()[build.after](self, combination, files)
        return [str(program), *arguments]

    def compile_program(self, combination, program):
        source = PROGRAMS / combination.shape.sources[0]
        if combination.build.compiler == "rustc":
            run("env", "RUSTC_BOOTSTRAP=1", "rustc", *combination.build.compile, source, "-o", program, cwd=program.parent)
            return
        environment = {"GOCACHE": self.folder / "go-cache", "GOPATH": self.folder / "go-path", "CGO_ENABLED": "0",
                       "GOFLAGS": "-mod=mod"}
        run("env", *(f"{name}={value}" for name, value in environment.items()), "go", "build",
            *combination.build.compile, "-o", program, source, cwd=program.parent)


# --- what is done to linked programs ------------------------------------------------------------------------------------


def strip(builder, combination, files):
    for file in files:
        run("strip", "--strip-all", file, cwd=file.parent)


def build_id(file):
    return "-Wl,--build-id=0x" + hashlib.sha1(f"{file.parent.name}/{file.name}".encode()).hexdigest()


def take_debug_file(builder, file, target):
    builder.debug_files[str(file)] = str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", file, target, cwd=file.parent)
    run("strip", "--strip-all", file, cwd=file.parent)


def debug_file_by_build_id(builder, combination, files):
    for file in files:
        notes = subprocess.run(["readelf", "-n", file], capture_output=True, text=True, check=True).stdout
        build_id = notes.split("Build ID: ")[1].split()[0]
        take_debug_file(builder, file, builder.debug_directory / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug")


def debug_file_by_link(builder, combination, files):
    for file in files:
        debug = file.parent / ".debug" / f"{file.name}.debug"
        take_debug_file(builder, file, debug)
        run("objcopy", f"--add-gnu-debuglink={debug}", file, cwd=file.parent)


def keep_symbols_compressed(builder, combination, files):
    """Mini debug information: a symbol table, compressed by xz, in .gnu_debugdata (gdb's manual, "MiniDebugInfo")."""
    for file in files:
        mini = file.with_name(file.name + ".mini")
        run("objcopy", "--only-keep-debug", file, mini, cwd=file.parent)
        run("strip", "--strip-debug", mini, cwd=file.parent)
        run("strip", "--strip-all", file, cwd=file.parent)
        run("xz", mini, cwd=file.parent)
        run("objcopy", f"--add-section=.gnu_debugdata={mini}.xz", file, cwd=file.parent)
        mini.with_name(mini.name + ".xz").unlink()


def compress_with_zstd(builder, combination, files):
    for file in files:
        run("objcopy", "--compress-debug-sections=zstd", file, cwd=file.parent)


def package_split_files(builder, combination, files):
    """One FILE.dwp for each file, instead of the .dwo files of its objects."""
    for file in files:
        run("dwp", "-e", file, "-o", f"{file}.dwp", cwd=file.parent)
    for key in builder.compilations(combination):
        builder.objects[key].result().with_suffix(".dwo").unlink()


def share_with_dwz(builder, combination, files):
    for file in files:
        run("dwz", file, cwd=file.parent)


def share_with_dwz_in_common_file(builder, combination, files):
    # dwz makes a common file of two files or more
    twin = files[0].with_name(files[0].name + ".twin")
    shutil.copy(files[0], twin)
    run("dwz", "-m", files[0].parent / "common.debug", "-M", files[0].parent / "common.debug", *files, twin,
        cwd=files[0].parent)
    twin.unlink()
