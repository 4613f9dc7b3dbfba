#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves with nm that the simulator runs the daemons' own code: its objects define nothing that the static libraries
define, and every function that it and a daemon both have from them has the same size in both.

  tests/sim/linked.py BUILD
"""
import pathlib
import subprocess
import sys

DAEMONS = ("millrace-controller", "millrace-storage", "millrace-coordinator", "millrace-registry")


def functions(path):
    """Global functions defined in a program, object or archive: name -> size."""
    done = subprocess.run(["nm", "--defined-only", "--extern-only", "-S", path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] == "T"}


def main():
    build = pathlib.Path(sys.argv[1])
    libraries = {}
    for archive in sorted(build.glob("libmr_*.a")) + sorted(build.glob("libsvc_*.a")):
        libraries.update(functions(archive))
    own = set()
    for thing in (build / "tests/sim/CMakeFiles/sim_parts.dir").glob("*.o"):
        own |= functions(thing).keys()
    simulator = functions(build / "bin/sim")
    wrong = sorted(own & libraries.keys())
    for name in wrong:
        print(f"the simulator has a {name} of its own")
    for daemon in DAEMONS:
        both = {name: size for name, size in functions(build / "bin" / daemon).items()
                if name in libraries and name in simulator}
        other = sorted(name for name, size in both.items() if simulator[name] != size)
        print(f"{daemon}: {len(both)} functions of the libraries also in the simulator, {len(other)} of another size")
        wrong += other if both else [f"nothing of {daemon}"]
    if not own or not libraries:
        wrong.append("no symbols found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
