# SPDX-License-Identifier: Apache-2.0
"""What scripts/break and scripts/break-layers share: each gives run() a table of mutants, one wrong line each.

A mutant is (name, file, from, to, tests): `from` stands once in the file and is replaced by `to`; one of the tests must
then fail. Nothing of the tree in build/check changes: the mutated file is compiled beside it, and the tests are linked
again with its objects before the libraries, so that a mutant costs one file and its tests."""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build/check")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def test_source(test):
    found = glob.glob(f"{ROOT}/tests/**/test_{test}.c", recursive=True)
    return (found or glob.glob(f"{ROOT}/tests/**/test_{test}.sh", recursive=True) or [None])[0]


def program_of(test):
    return f"test_{test}" if test_source(test).endswith(".c") else "metatrain"


def complaint(mutant):
    """Why a mutant cannot be made, or nothing."""
    name, file, before, _, tests = mutant
    if not os.path.exists(os.path.join(ROOT, file)):
        return f"{name}: there is no {file}"
    if read(file).count(before) != 1:
        return f"{name}: {file} has {before!r} {read(file).count(before)} times, expected once"
    missing = [t for t in tests.split() if not test_source(t)]
    return f"{name}: there is no test {missing[0]}" if missing else None


def command_output(*command):
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])}: {done.stdout}{done.stderr}")
    return done.stdout


class Tree:
    """The commands of build/check: how it compiles each file, links each program and runs each test."""

    def __init__(self, tests):
        self.programs = {program_of(t) for t in tests}
        if not os.path.exists(f"{BUILD}/build.ninja"):
            subprocess.run(["cmake", "--preset", "check"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        command_output("cmake", "--build", ".", "--target", *self.programs)
        with open(f"{BUILD}/compile_commands.json", encoding="utf-8") as f:
            self.compiles = json.load(f)
        self.links = {p: command_output("ninja", "-t", "commands", "-s", p) for p in self.programs}
        listed = json.loads(command_output("ctest", "--show-only=json-v1"))["tests"]
        self.runs = {t["name"]: t for t in listed}

    def run(self, test, folder):
        """Whether a test passes with the program that is in a folder, and what it prints."""
        program = program_of(test)
        command = [f"SCRATCH={folder}/scratch" if c.startswith("SCRATCH=") else
                   re.sub(rf"{re.escape(BUILD)}/{program}$", f"{folder}/{program}", c)
                   for c in self.runs[test]["command"]]
        limit = next(p["value"] for p in self.runs[test]["properties"] if p["name"] == "TIMEOUT")
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=limit)
        except subprocess.TimeoutExpired:
            return False, f"no end after {limit} s"
        return done.returncode in (0, 77), done.stdout + done.stderr

    def compile(self, folder, file):
        """Objects of a file of folder/source, which is like the clone; of a header, those of the sources beside it that
        include it."""
        text = f'"{file.partition("/")[2]}"'
        sources = [file] if file.endswith(".c") else [
            f for f in glob.glob(f"{os.path.dirname(file)}/*.c", root_dir=ROOT) if text in read(f)]
        objects = []
        for entry in self.compiles:
            source = os.path.relpath(entry["file"], ROOT)
            if source not in sources:
                continue
            command, output = re.fullmatch(r"(.*) -o (\S+) -c \S+", entry["command"]).groups()
            out = f"{folder}/{output.replace('/', '_')}"
            mine = f"{folder}/source/{source}" if source == file else entry["file"]
            command = command.replace(" -I", f" -I{folder}/source/{file.partition('/')[0]} -I", 1)
            command += f" -Wno-error -o {out} -c {mine}"
            done = subprocess.run(command, shell=True, cwd=BUILD, capture_output=True, text=True)
            if done.returncode:
                return None, done.stderr
            objects.append(out)
        return objects, ""

    def link(self, folder, program, objects):
        line = self.links[program]
        ours = [o for o in objects if "double" not in o or "libtasks_double" in line]
        line = line.replace(f" -o {program} ", f" {' '.join(ours)} -o {folder}/{program} ")
        subprocess.run(line, shell=True, cwd=BUILD, check=True, stdout=subprocess.DEVNULL)
        for beside in ("configs", "scripts"):
            if not os.path.lexists(f"{folder}/{beside}"):
                os.symlink(f"{ROOT}/{beside}", f"{folder}/{beside}")


def first_failure(output):
    """The case of a C test, or what a shell test prints."""
    found = re.search(r"^\[FAIL\] (\w+::\w+)|^FAIL: (.*)", output, re.M)
    return (found[1] or found[2])[:70] if found else output.strip().splitlines()[-1][:70] if output.strip() else "fails"


def verdict(tree, folder, mutant):
    """Whether a mutant is found, and a line that says by what."""
    _, file, before, after, tests = mutant
    os.makedirs(os.path.dirname(f"{folder}/source/{file}"))
    with open(f"{folder}/source/{file}", "w", encoding="utf-8") as f:
        f.write(read(file).replace(before, after))
    objects, errors = tree.compile(folder, file)
    if not objects:
        return False, f"does not build: {errors}"
    for test in tests.split():
        if not os.path.exists(f"{folder}/{program_of(test)}"):
            tree.link(folder, program_of(test), objects)
        passes, output = tree.run(test, folder)
        if not passes:
            return True, f"red: {test}: {first_failure(output)}"
    return False, f"GREEN: no test of {tests} sees it"


def run(about, table):
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="?", default="", metavar="WORD", help="only the mutants whose name contains it")
    parser.add_argument("--check", action="store_true", help="only look whether each mutant can be made; builds nothing")
    options = parser.parse_args()
    table = [m for m in table if options.word in m[0]]
    complaints = [c for c in map(complaint, table) if c]
    if complaints or not table:
        sys.exit("\n".join(complaints) or f"no mutant is named like {options.word}")
    if options.check:
        return
    tests = sorted({t for m in table for t in m[4].split()})
    tree, top, red = Tree(tests), f"{BUILD}/mutants", 0
    sound = [next((t, m[1], m[2], m[2], t) for m in table if t in m[4].split()) for t in tests]
    shutil.rmtree(top, ignore_errors=True)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = pool.map(lambda numbered: verdict(tree, f"{top}/{numbered[0]}", numbered[1]), enumerate(sound + table))
        for mutant, (found, text) in zip(sound, results):
            if found or "GREEN" not in text:
                sys.exit(f"fails before anything is broken: {text}")
        for mutant, (found, text) in zip(table, results):
            print(f"{mutant[0]:<76.76} {text}", flush=True)
            red += found
    print(f"{red} of {len(table)} mutants are red")
    shutil.rmtree(top, ignore_errors=True)
    sys.exit(red < len(table))
