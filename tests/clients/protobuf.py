#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Apicurio Registry (java/protobuf) says about the pairs of tests/unit/protobuf/cases.txt.

    protobuf.py [--write]

Compares its verdicts with the lines "apicurio: ..." of the table; --write puts them there. The table's own verdicts are
Confluent's, which the unit tests hold common/schema to; how the two differ is told by the summary."""
import argparse
import base64
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE / "java/protobuf"
TABLE = HERE.parents[1] / "tests/unit/protobuf/cases.txt"
MARK = "apicurio: "


def missing():
    """What is needed and not here, or None."""
    ready = (PROJECT / "target/lib").exists() and (PROJECT / "target/classes").exists()
    return None if ready else "setup.sh protobuf could not install Apicurio's checker here"


def cases():
    """[{name: value}] of the table, with what its lines begin with."""
    found = []
    for block in TABLE.read_text().split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines() if not line.startswith("#")]
        if lines:
            found.append(dict(lines))
    return found


def verdicts(table):
    lines = "".join(" ".join(base64.b64encode(case[side].encode()).decode() for side in ("writer", "reader")) + "\n"
                    for case in table)
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{PROJECT}/target/classes:{PROJECT}/target/lib/*", "protobuf.Answers"],
                          input=lines, capture_output=True, text=True, check=True, timeout=300)
    said = done.stdout.split("\n")[:-1]
    # A text that imports another cannot be judged alone, whatever is said about it.
    return ["cannot tell" if "import " in case["writer"] + case["reader"] else one for case, one in zip(table, said)]


def write(said):
    lines, answers = TABLE.read_text().splitlines(), iter(said)
    TABLE.write_text("\n".join(MARK + next(answers) if line.startswith(MARK) else line for line in lines) + "\n")


def run(say=print):
    """{step: "ok" or "FAIL: what"} for report.Outcome."""
    table = cases()
    said = verdicts(table)
    wrong = [(case["writer"], one) for case, one in zip(table, said) if case["apicurio"] != one]
    for writer, one in wrong:
        say(f"{writer}: Apicurio says {one}")
    fits = {"compatible": True, "incompatible": False}
    judged = [(case["verdict"] == "ok", fits[one]) for case, one in zip(table, said) if one in fits]
    say(f"protobuf: {len(table)} cases, Apicurio judges {len(judged)}, {sum(a == b for a, b in judged)} of them as Confluent, "
        f"{sum(a and not b for a, b in judged)} more strictly, {sum(b and not a for a, b in judged)} less")
    return {"table": "ok" if len(said) == len(table) and not wrong else f"FAIL: {len(wrong)} of {len(table)} cases"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lack = missing()
    if lack:
        sys.exit(lack)
    if options.write:
        write(verdicts(cases()))
    sys.exit(run()["table"] != "ok")


if __name__ == "__main__":
    main()
