#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the simulator's checkers: for each planted bug (a line or two of production code behind #ifdef PLANTED_NAME) builds
the simulator with it and runs seeds until a checker notices. A bug that survives its seeds fails this program. What was
found last stands in bugs.txt; --usual tries only the bugs that are marked there, as every run of the tests does.

  tests/sim/bugs.py [--build DIR] [--seeds N] [--seconds N] [--usual | NAME ...]
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
USUAL_SEEDS = 12


def planted():
    """Names of the bugs, by the sources that carry them."""
    names = {}
    for folder in ("common", "services"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            for name in re.findall(r"^#ifn?def PLANTED_(\w+)", path.read_text(), re.M):
                names.setdefault(name, path.relative_to(ROOT).as_posix())
    return names


def table():
    """Rows of bugs.txt: name -> (checker, seed, whether it is tried in every run)."""
    rows = {}
    for line in (ROOT / "tests/sim/bugs.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            rows[words[0]] = (words[1], int(words[2]), words[3:] == ["usual"])
    return rows


def build(folder, name):
    """Only the sources that carry the bug are compiled."""
    command = ["cmake", "--build", folder, "--target", f"sim_bug_{name}", "-j2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: does not build\n{done.stdout[-4000:]}")
    return folder / "bin" / f"sim_bug_{name}"


def clean(folder, seed, seconds):
    """Whether the simulator without any bug passes the seed: only then has a checker noticed the bug and not something
    else."""
    command = [folder / "bin/sim", "--from", str(seed), "--seeds", "1", "--seconds", str(seconds)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def hunt(arguments, name):
    """Returns (checker, seeds it took), or None when nothing was noticed."""
    program = build(arguments.build, name)
    taken = 0
    while taken < arguments.seeds:
        command = [program, "--first", "--from", str(1 + taken), "--seeds", str(arguments.seeds - taken), "--seconds",
                   str(arguments.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = re.search(r"^found after (\d+) seeds by (.*)$", done.stdout, re.M)
        if not found:
            return None
        taken += int(found.group(1))
        if clean(arguments.build, taken, arguments.seconds):
            return found.group(2), taken
        print(f"seed {taken} fails without {name} too", flush=True)
    return None


def names_of(arguments, bugs):
    rows = table()
    unknown = sorted(rows.keys() - bugs.keys())
    if unknown:
        sys.exit(f"bugs.txt has bugs that no source carries: {' '.join(unknown)}")
    if arguments.usual:
        arguments.seeds = USUAL_SEEDS
        return [name for name in rows if rows[name][2]]
    return arguments.names or sorted(bugs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--usual", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    bugs = planted()
    passed = failed = 0
    for name in names_of(arguments, bugs):
        result = hunt(arguments, name)
        where = bugs.get(name, "?")
        if result:
            passed += 1
            print(f"caught  {name:34} by {result[0]:28} after {result[1]:4} seeds  ({where})", flush=True)
        else:
            failed += 1
            print(f"MISSED  {name:34} in {arguments.seeds} seeds  ({where})", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
