#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The linter: runs every rule of rules.py over the tracked files and prints one line per finding. Exceptions stand in
# exceptions.txt with a reason each; one that is no longer needed is a finding too. Exit code 1 when anything is found.
#   tests/lint/lint.py [--root DIR] [--json]
import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402
import source  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def tracked(root):
    """Files git knows or would add; the files on disk where there is no git."""
    found = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if found.returncode == 0 and found.stdout:
        return [p for p in found.stdout.splitlines() if os.path.isfile(os.path.join(root, p))]
    return [os.path.relpath(os.path.join(folder, name), root)
            for folder, folders, names in os.walk(root)
            for name in names if "/build" not in folder and "/.git" not in folder]


def read_exceptions(tree):
    """{(rule, path, name or None): reason}; a line without a reason is refused."""
    found = {}
    path = "tests/lint/exceptions.txt"
    if path not in tree.paths:
        return found
    for line in tree.text(path).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        rule, where, reason = line.split(None, 2)
        file, _, name = where.partition(":")
        found[(rule, file, name or None)] = reason
    return found


def run(root):
    """{rule: [text of finding]} over all rules."""
    tree = rules.Tree(root, tracked(root))
    exceptions, used, result = read_exceptions(tree), set(), {}
    for rule, check in rules.RULES.items():
        result[rule] = []
        for path, line, name, text in check(tree):
            keys = [(rule, path, name), (rule, path, None)]
            hit = next((k for k in keys if k in exceptions), None)
            if hit:
                used.add(hit)
            else:
                result[rule].append("%s:%d: %s [%s]" % (path, line, text, rule))
    result["exceptions"] = ["tests/lint/exceptions.txt: not needed: %s %s" % (k[0], k[1])
                            for k in sorted(exceptions, key=str) if k not in used]
    return result


def print_sizes(root):
    tree = rules.Tree(root, tracked(root))
    files = sorted(tree.text(p).count("\n") for p in tree.product())
    lengths = sorted(f.length for p in tree.product() for f in source.functions(tree.code(p)))
    if files and lengths:
        print("lint: %d files, median %d lines, largest %d; %d functions, median %d lines, largest %d" % (
            len(files), files[len(files) // 2], files[-1], len(lengths), lengths[len(lengths) // 2], lengths[-1]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(HERE)))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = run(args.root)
    if args.json:
        print(json.dumps(result))
    else:
        for findings in result.values():
            print("\n".join(findings), end="\n" if findings else "")
        print_sizes(args.root)
    return 1 if any(result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
