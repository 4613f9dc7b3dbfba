#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Avro schemas: the same questions to Apache Avro (java/avro) and to common/schema (build/bin/schema_answers).

    avro.py [PAIRS] [--seed N] [--show N]

Each question is a pair of schemas, now and then with a schema they refer to. Compared are: which texts are refused, which
defaults do not fit, Schema.toString with references named and written out, Parsing Canonical Form, its three fingerprints,
and what SchemaCompatibility finds against reading the second with the first: types, places, messages, in order. The table
of tests/unit/schema/avro_cases.txt is asked too: each verdict there must be Apache Avro's. Then Apache Avro writes random
values of the schemas, binary and JSON, and common/schema reads each and writes it again.

Four things are ours on purpose. A record within one of its own name and half a surrogate pair are refused, where Avro 1.12.0
takes both. A default of a type in a circle beside a name said before its type is taken, where Avro trips over its own copy of
the types. An integer property beyond 64 bits is kept, where Avro refuses it outside of primitive types. The pairs avoid these,
but long runs meet one now and then. Doubles are printed as JDK 19 and later print them."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import avro_pairs  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE / "java/avro"
ANSWERS = HERE.parents[1] / "build/bin/schema_answers"
TABLE = HERE.parents[1] / "tests/unit/schema/avro_cases.txt"
PAIRS, VALUES = 12000, 3000
PARTS = ("reader", "writer", "verdict")


def missing():
    """What is needed and not here, or None."""
    if not ANSWERS.exists():
        return "build/bin/schema_answers is not built"
    if not (PROJECT / "target/lib").exists() or not (PROJECT / "target/classes").exists():
        return "setup.sh avro could not install Apache Avro here"
    return None


def answers(command, questions, folder, name):
    out = folder / name
    with open(questions, "rb") as given, open(out, "wb") as file, open(folder / f"{name}.log", "wb") as log:
        subprocess.run(command, stdin=given, stdout=file, stderr=log, check=True, timeout=3600)
    return out.read_text(encoding="utf-8").split("\n")[:-1]


def java(questions, folder, program="Answers"):
    return answers(["java", "-Xmx512m", "-cp", f"{PROJECT}/target/classes:{PROJECT}/target/lib/*", f"avro.{program}"],
                   questions, folder, program)


def ask(questions, folder):
    """The questions in a file."""
    path = folder / "questions"
    path.write_text("\n".join(json.dumps(one) for one in questions) + "\n")
    return path


def table(say=print):
    """The cases of the table that Apache Avro decides otherwise than it says."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    cases = [lines[i:i + 4] for i in range(0, len(lines), 4)]
    with tempfile.TemporaryDirectory(prefix="millrace-avro-") as name:
        folder = pathlib.Path(name)
        found = java(ask([{"reader": reader, "writer": writer} for _, reader, writer, _ in cases], folder), folder)
    wrong = [(case[0], said) for case, said in zip(cases, found)
             if (said.split("\t|\t")[2].replace("\t", " | ") or "ok") != case[3]]
    for reason, said in wrong:
        say(f"{reason}: Apache Avro says {said}")
    return {"table": "ok" if len(found) == len(cases) and not wrong else f"FAIL: {len(wrong)} of {len(cases)} cases"}


def different(theirs, ours):
    """Names of the parts of an answer that are not the same."""
    return [part for part, one, other in zip(PARTS, theirs.split("\t|\t"), ours.split("\t|\t")) if one != other]


def run(pairs=PAIRS, seed=1, show=10, say=print):
    """{step: "ok" or "FAIL: what"} for report.Outcome."""
    chance = random.Random(seed)
    asked = [avro_pairs.question(chance) for _ in range(pairs)]
    with tempfile.TemporaryDirectory(prefix="millrace-avro-") as name:
        folder = pathlib.Path(name)
        questions = ask(asked, folder)
        theirs = java(questions, folder)
        ours = answers([str(ANSWERS)], questions, folder, "ours")
    if not len(asked) == len(theirs) == len(ours):
        return {"lines": f"FAIL: {len(asked)} questions, {len(theirs)} and {len(ours)} answers"}
    wrong = [(q, one, other) for q, one, other in zip(asked, theirs, ours) if one != other]
    for question, one, other in wrong[:show]:
        say(f"{'+'.join(different(one, other))} differ\n  asked {json.dumps(question)}\n  Avro  {one}\n  ours  {other}")
    taken = sum("refused" not in one for one in theirs)
    apart = sum(bool(one.split("\t|\t")[2]) for one in theirs)
    say(f"avro: {pairs} pairs, {taken} of two valid schemas, {apart} of them incompatible, {len(wrong)} answered differently")
    return {"answers": "ok" if not wrong else f"FAIL: {len(wrong)} of {pairs} differ from Apache Avro's"}


def payloads(schemas=VALUES, seed=1, show=10, say=print):
    """Values that Apache Avro wrote and that we read or write otherwise."""
    chance = random.Random(seed)
    asked = [avro_pairs.question(chance) for _ in range(schemas)]
    with tempfile.TemporaryDirectory(prefix="millrace-avro-") as name:
        folder = pathlib.Path(name)
        # Java's JsonEncoder writes nothing for a record without fields that is a whole value.
        lines = [line for line in java(ask(asked, folder), folder, "Payloads")
                 if len(line) < 200000 and not line.endswith('"json":""}')]
        values = folder / "values"
        values.write_text("\n".join(lines) + "\n")
        said = answers([str(ANSWERS), "payloads"], values, folder, "ours")
    wrong = [(line, one) for line, one in zip(lines, said) if one != "ok"]
    for line, one in wrong[:show]:
        say(f"{one}: {line}")
    say(f"avro: {len(said)} values of Apache Avro's, {len(wrong)} read or written differently")
    good = len(said) == len(lines) > 0 and not wrong
    return {"values": "ok" if good else f"FAIL: {len(wrong)} of {len(lines)}, {len(said)} answers"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs", nargs="?", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    lack = missing()
    if lack:
        sys.exit(lack)
    results = {**table(), **run(options.pairs, options.seed, options.show),
               **payloads(options.pairs // 4, options.seed, options.show)}
    sys.exit(any(result != "ok" for result in results.values()))


if __name__ == "__main__":
    main()
