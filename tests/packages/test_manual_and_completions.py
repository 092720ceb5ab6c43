"""Every option of --help is in the manual page and in the completions of three shells, and none that is not.

    test_manual_and_completions.py BUILD    the folder with man/ and completions/
"""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

BUILD = pathlib.Path(sys.argv[1])
PROGRAMS = {"crashcrawler-run": harness.RUN, "crashcrawler": harness.RUN.with_name("crashcrawler")}
COMMANDS = re.compile(r"^Subcommands:\n((?:  .*\n)+)", re.MULTILINE)


def help_of(program, *command):
    return subprocess.run([PROGRAMS[program], *command, "--help"], capture_output=True, text=True, check=True).stdout


def commands_of(program):
    found = COMMANDS.search(help_of(program))
    return re.findall(r"^  ([a-z-]+)", found[1], re.MULTILINE) if found else []


def options(text):
    """As --help lists them."""
    return {name for line in re.findall(r"^  (-.*?)(?: |$)", text, re.MULTILINE)
            for name in re.findall(r"-[a-z](?=,)|--[a-z-]+", line)}


def manual(program):
    """The options that each part of the manual page describes, by the name of the part: a command, else ""."""
    described, part, tag = {"": set()}, "", False
    for line in (BUILD / "man" / f"{program}.1").read_text().replace("\\-", "-").splitlines():
        if line.startswith(".SH"):
            part = ""
        elif line.startswith(".SS ") and line[4:] in commands_of(program):
            part = line[4:]
            described[part] = set()
        elif tag:
            described[part] |= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line))
        tag = line == ".TP"
    return described


def bash(program, *words):
    """What bash offers for the last of the words."""
    script = f"source {BUILD}/completions/bash/{program}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); " \
             f"_{program.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(subprocess.run(["bash", "-c", script, "bash", program, *words], capture_output=True, text=True,
                              check=True).stdout.split())


def fish(program, line):
    script = f"source {BUILD}/completions/fish/{program}.fish; complete -C '{program} {line}'"
    told = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True).stdout
    return {offer.split("\t")[0] for offer in told.splitlines()}


class Manual(unittest.TestCase):
    def test_options_are_those_of_help(self):
        for program in PROGRAMS:
            described = manual(program)
            self.assertEqual(set(described), {"", *commands_of(program)}, program)
            for command, names in described.items():
                self.assertEqual(names, options(help_of(program, *filter(None, [command]))), f"{program} {command}")

    def test_macros(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        for program in PROGRAMS:
            told = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", BUILD / "man" / f"{program}.1"],
                                  capture_output=True, text=True)
            self.assertEqual((told.returncode, told.stdout), (0, ""), program)

    def test_groff(self):
        if not shutil.which("man"):
            self.skipTest("man is not installed")
        for program in PROGRAMS:
            told = subprocess.run(["man", "--warnings", "-l", BUILD / "man" / f"{program}.1"], capture_output=True, text=True)
            self.assertEqual((told.returncode, told.stderr), (0, ""), program)
            self.assertIn("EXIT STATUS", told.stdout)


class Bash(unittest.TestCase):
    def test_options(self):
        self.assertEqual(bash("crashcrawler-run", "-") - {"--"}, options(help_of("crashcrawler-run")))
        self.assertEqual(bash("crashcrawler", "-"), options(help_of("crashcrawler")))
        for command in commands_of("crashcrawler"):
            self.assertEqual(bash("crashcrawler", command, "-"), options(help_of("crashcrawler", command)))

    def test_arguments(self):
        self.assertEqual(bash("crashcrawler-run", "--leftovers", ""), {"leave", "wait", "kill"})
        self.assertEqual(bash("crashcrawler-run", "--linger", ""), set())
        self.assertEqual(bash("crashcrawler", ""), {*commands_of("crashcrawler"), *options(help_of("crashcrawler"))})

    def test_the_command_is_completed_as_such(self):
        for words in (("--", "crashcrawler-r"), ("--grace", "2s", "crashcrawler-r"), ("-v", "--", "ech")):
            script_finds = {"crashcrawler-r": "", "ech": "echo"}[words[-1]]
            self.assertTrue(not script_finds or script_finds in bash("crashcrawler-run", *words), words)


class Zsh(unittest.TestCase):
    def test_options(self):
        for program in PROGRAMS:
            text = (BUILD / "completions" / "zsh" / f"_{program}").read_text()
            parts = {"": text} if program == "crashcrawler-run" else {"": text.split("case ")[0]}
            for command in commands_of(program):
                parts[command] = re.search(rf"^      {command}\)\n(.*?);;", text, re.MULTILINE | re.DOTALL)[1]
            for command, part in parts.items():
                offered = set(re.findall(r"^ +'\*(--?[a-z-]+)=?\[", part, re.MULTILINE))
                self.assertEqual(offered, options(help_of(program, *filter(None, [command]))), f"{program} {command}")

    def test_syntax(self):
        if not shutil.which("zsh"):
            self.skipTest("zsh is not installed")
        for program in PROGRAMS:
            subprocess.run(["zsh", "-n", BUILD / "completions" / "zsh" / f"_{program}"], check=True)


class Fish(unittest.TestCase):
    def setUp(self):
        if not shutil.which("fish"):
            self.skipTest("fish is not installed")

    def long_options(self, program, *command):
        return {name for name in options(help_of(program, *command)) if name.startswith("--")}

    def test_options(self):
        self.assertEqual(fish("crashcrawler-run", "--"), self.long_options("crashcrawler-run"))
        self.assertEqual(fish("crashcrawler", "--"), self.long_options("crashcrawler"))
        for command in commands_of("crashcrawler"):
            self.assertEqual(fish("crashcrawler", f"{command} --"), self.long_options("crashcrawler", command))

    def test_arguments(self):
        self.assertEqual(fish("crashcrawler-run", "--leftovers "), {"leave", "wait", "kill"})
        self.assertLessEqual(set(commands_of("crashcrawler")), fish("crashcrawler", ""))

    def test_the_command_is_completed_as_such(self):
        self.assertEqual(fish("crashcrawler-run", "--grace 2s -- echo --bes"), set())
        self.assertNotIn("--best-effort", fish("crashcrawler-run", "echo --"))


if __name__ == "__main__":
    harness.main(captures=False)
