#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""JSON schemas: the same questions to Apicurio (java/jsonschema) and to common/schema (build/bin/json_answers).

    json_schemas.py [PAIRS] [--seed N] [--show N]

Each question is a pair of schemas: can the first read what the second wrote? First the table of
tests/unit/schema/json_cases.txt: in the brackets of each case stands what Apicurio says of it, which is asked again here.
Then random pairs (json_pairs.py). Our verdicts are meant to be Confluent's, whose comparison is not to be had as a package;
Apicurio's is another one on the same parser, and where its rules are known to be others, DIFFERENT and STRICTER say so. What
neither explains is a fault."""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import json_pairs  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE / "java/jsonschema"
ANSWERS = HERE.parents[1] / "build/bin/json_answers"
TABLE = HERE.parents[1] / "tests/unit/schema/json_cases.txt"
PAIRS = 12000

PATTERNS = "the schemas under patternProperties are compared"
CRITERION = "oneOf, anyOf and allOf are not taken for another even with one branch"
MODEL = "a property beside patterns, or of any value, is judged otherwise"
BRANCHES = "branches that fit are not always found"

# What Apicurio refuses and we, like Confluent, take: what it finds (or where), and why.
DIFFERENT = {
    "/patternProperties/": PATTERNS,
    "COMBINED_TYPE_CRITERION_": CRITERION,
    "COMBINED_TYPE_ALL_OF_SIZE_INCREASED": "a branch written twice counts twice",
    "COMBINED_TYPE_SUBSCHEMA_NOT_COMPATIBLE": BRANCHES,
    "SUBSCHEMA_TYPE_CHANGED": "a type may not become a choice that has it, nor an allOf one of its branches",
    "OBJECT_TYPE_PROPERTY_SCHEMAS_": MODEL,
    "OBJECT_TYPE_REQUIRED_PROPERTIES_MEMBER_ADDED": "a default does not make up for being required",
    # Found inside of what is compared by one of the rules above, and told as a change of the whole.
    "NOT_TYPE_SCHEMA_COMPATIBLE_": BRANCHES,
    "OBJECT_TYPE_ADDITIONAL_PROPERTIES_": BRANCHES,
    "ARRAY_TYPE_SCHEMA_OF_ADDITIONAL_ITEMS_CHANGED": BRANCHES,
    "ARRAY_TYPE_ITEM_SCHEMAS_": BRANCHES,
}

# What we, like Confluent, refuse and Apicurio takes, by our code.
STRICTER = {
    "COMBINED_TYPE_SUBSCHEMAS_CHANGED": "branches are not compared where oneOf becomes anyOf",
    "SUM_TYPE_NARROWED": "branches are not counted where oneOf becomes anyOf",
    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL": "patterns alone do not close an object",
    "MINIMUM_": "a minimum below an exclusive one does not count",
    "NOT_TYPE_EXTENDED": "what is not is compared both ways",
}


def missing():
    """What is needed and not here, or None."""
    if not ANSWERS.exists():
        return "build/bin/json_answers is not built"
    if not (PROJECT / "target/lib").exists() or not (PROJECT / "target/classes").exists():
        return "setup.sh jsonschema could not install Apicurio's library here"
    return None


def answers(command, questions, folder, name):
    out = folder / name
    with open(questions, "rb") as given, open(out, "wb") as file, open(folder / f"{name}.log", "wb") as log:
        subprocess.run(command, stdin=given, stdout=file, stderr=log, check=True, timeout=3600)
    return out.read_text(encoding="utf-8").split("\n")[:-1]


def with_draft(text):
    """Without "$schema" Apicurio takes draft 4, and we, like Confluent, draft 7."""
    schema = json.loads(text)
    if isinstance(schema, dict) and "$schema" not in schema:
        schema = {"$schema": json_pairs.DRAFT, **schema}
    return json.dumps(schema)


def ask(questions):
    """(Apicurio's answers, ours)"""
    with tempfile.TemporaryDirectory(prefix="millrace-json-") as name:
        folder = pathlib.Path(name)
        path = folder / "questions"
        path.write_text("\n".join(json.dumps({key: with_draft(text) for key, text in one.items()}) for one in questions) + "\n")
        theirs = answers(["java", "-Xmx512m", "-Xss8m", "-cp", f"{PROJECT}/target/classes:{PROJECT}/target/lib/*",
                          "jsonschema.Answers"], path, folder, "theirs")
        return theirs, answers([str(ANSWERS)], path, folder, "ours")


def verdict(answer):
    return "compatible" if answer == "ok" else "refused" if answer.startswith("refused") else "incompatible"


def cases():
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [lines[i:i + 4] for i in range(0, len(lines), 4)]


def table(say=print):
    """The cases of the table of which Apicurio says something else than stands there."""
    listed = cases()
    theirs, _ = ask([{"reader": reader, "writer": writer} for _, reader, writer, _ in listed])
    wrong = [(case[0], said) for case, said in zip(listed, theirs) if f"Apicurio: {verdict(said)}]" not in case[0]]
    for reason, said in wrong:
        say(f"{reason}: {said}")
    alike = sum(verdict(said) == verdict(case[3]) for case, said in zip(listed, theirs))
    say(f"json: {len(listed)} cases of the table, Apicurio has the same verdict in {alike} of them")
    return {"table": "ok" if len(theirs) == len(listed) and not wrong else f"FAIL: {len(wrong)} of {len(listed)} cases"}


def why(one, other):
    """Why the verdicts differ, or None. A pair may have several reasons; the first that is known explains it."""
    known, answer = (DIFFERENT, one) if other == "ok" else (STRICTER, other)
    for name, reason in known.items():
        if any(name in part if name.startswith("/") else part.startswith(name) for part in answer.split(" | ")):
            return f"{'Apicurio' if other == 'ok' else 'we'} refuse{'s' if other == 'ok' else ''}: {reason}"
    return None


def run(pairs=PAIRS, seed=1, show=10, say=print):
    """{step: "ok" or "FAIL: what"} for report.Outcome."""
    chance = random.Random(seed)
    asked = [json_pairs.question(chance) for _ in range(pairs)]
    theirs, ours = ask(asked)
    if not len(asked) == len(theirs) == len(ours):
        return {"lines": f"FAIL: {len(asked)} questions, {len(theirs)} and {len(ours)} answers"}
    rows = [(q, one, other) for q, one, other in zip(asked, theirs, ours) if "refused" not in (verdict(one), verdict(other))]
    reasons, unexplained = collections.Counter(), []
    for question, one, other in rows:
        if verdict(one) != verdict(other):
            reason = why(one, other)
            if reason is not None:
                reasons[reason] += 1
            else:
                unexplained.append((question, one, other))
    for question, one, other in unexplained[:show]:
        say(f"asked {json.dumps(question)}\n  Apicurio {one}\n  ours     {other}")
    apart = sum(reasons.values())
    say(f"json: {pairs} pairs, {len(rows)} taken by both, {sum(other != 'ok' for _, _, other in rows)} of them incompatible, "
        f"{len(rows) - apart - len(unexplained)} verdicts alike, {apart} other for a known reason, {len(unexplained)} without")
    for reason, count in reasons.most_common():
        say(f"  {count:6} {reason}")
    return {"answers": "ok" if not unexplained else f"FAIL: {len(unexplained)} of {pairs} differ without a known reason"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs", nargs="?", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    lack = missing()
    if lack:
        sys.exit(lack)
    results = {**table(), **run(options.pairs, options.seed, options.show)}
    sys.exit(any(result != "ok" for result in results.values()))


if __name__ == "__main__":
    main()
