#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the simulator's checkers: builds it once per planted bug (a line or two of production code behind #ifdef
PLANTED_NAME) and runs seeds until a checker notices. A bug that survives its seeds fails this program.

  tests/sim/bugs.py [--seeds N] [--seconds N] [NAME ...]
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def planted():
    """Names of the bugs, by the sources that carry them."""
    names = {}
    for folder in ("common", "services"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            for name in re.findall(r"^#ifn?def PLANTED_(\w+)", path.read_text(), re.M):
                names.setdefault(name, path.relative_to(ROOT).as_posix())
    return names


def build(name):
    """One tree goes from bug to bug, since only the sources that carry one are compiled anew."""
    folder = ROOT / "build-bug"
    configure = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, f"-DMILLRACE_PLANTED_BUG={name}",
                 "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    for command in (configure, ["cmake", "--build", folder, "--target", "sim", "-j2"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{name}: does not build\n{done.stdout[-4000:]}")
    return folder / "bin" / "sim"


def clean(seed, seconds):
    """Whether the tree without any bug passes the seed: only then has a checker noticed the bug and not something else."""
    command = [ROOT / "build/bin/sim", "--from", str(seed), "--seeds", "1", "--seconds", str(seconds)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def hunt(name, seeds, seconds):
    """Returns (checker, seeds it took), or None when nothing was noticed."""
    program = build(name)
    taken = 0
    while taken < seeds:
        command = [program, "--first", "--from", str(1 + taken), "--seeds", str(seeds - taken), "--seconds", str(seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = re.search(r"^found after (\d+) seeds by (.*)$", done.stdout, re.M)
        if not found:
            return None
        taken += int(found.group(1))
        if clean(taken, seconds):
            return found.group(2), taken
        print(f"seed {taken} fails without {name} too", flush=True)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    bugs = planted()
    passed = failed = 0
    for name in arguments.names or sorted(bugs):
        result = hunt(name, arguments.seeds, arguments.seconds)
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
