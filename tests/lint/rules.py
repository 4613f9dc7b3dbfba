# SPDX-License-Identifier: Apache-2.0
# The rules of the house (CONTRIBUTING.md) as functions: each takes the tree and yields findings (path, line, name,
# text). `name` is what an exception in exceptions.txt may be given for. A rule that cannot fail is no rule:
# test_lint.py plants a violation of each.
import os
import re

import source

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
LINE_COLUMNS_MAX = {".c": 120, ".h": 120, ".py": 130}

BANNED = ("strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll atof system popen alloca rand "
          "srand tmpnam mktemp setjmp longjmp scanf sscanf fscanf bcopy bzero").split()
# What belongs behind struct env (common/io): a pure module that calls these cannot be simulated.
SEAM = ("clock_gettime gettimeofday time fopen pthread_create getrandom fsync fdatasync socket epoll_create1 "
        "epoll_wait nanosleep usleep sleep").split()
SEAM_FOLDERS = ("common/base/", "common/kafka/", "common/raft/", "common/log/", "common/conn/", "common/cluster/",
                "common/ledger/", "services/controller/", "services/storage/", "services/coordinator/",
                "services/registry/")


class Tree:
    """The tracked files below a root: path -> text, blanked code of C files kept."""

    def __init__(self, root, paths):
        self.root, self.paths, self._text, self._code = root, sorted(paths), {}, {}

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._text[path] = file.read()
        return self._text[path]

    def code(self, path):
        if path not in self._code:
            self._code[path] = source.blank(self.text(path))
        return self._code[path]

    def ending(self, *endings):
        return [p for p in self.paths if p.endswith(endings)]

    def product(self):
        return [p for p in self.ending(".c", ".h") if p.startswith(("common/", "services/"))]


def folder_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "common" else "/".join(parts[:2])


def read_layers(tree):
    layers = {}
    for line in tree.text("tests/lint/layers.txt").splitlines():
        if line and not line.startswith("#"):
            name, allowed = line.split(":")
            layers[name] = set(allowed.split())
    return layers


def layers(tree):
    """Includes follow tests/lint/layers.txt; only a service's main.c includes daemon and survey, it and rest.c http."""
    allowed = read_layers(tree)
    top = set(n for n in allowed if "/" not in n) | {"protos"}
    for path in tree.product():
        mine = folder_of(path)
        if mine not in allowed:
            yield path, 1, mine, "folder %s has no line in tests/lint/layers.txt" % mine
            continue
        may = allowed[mine] | {mine}
        if mine.startswith("services/") and path.endswith("/main.c"):
            may = may | {"daemon", "http", "survey"}
        if mine.startswith("services/") and os.path.basename(path) in ("rest.c", "rest.h"):
            may = may | {"http"}
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            match = re.match(r'\s*#include "(\.\.?/)?([^"]+)"', line)
            if not match:
                continue
            target = match.group(2).split("/")[0]
            if match.group(1):
                yield path, number, target, "relative include %s" % match.group(2)
            elif "/" in match.group(2) and target in top and target not in may:
                yield path, number, target, "%s may not include %s" % (mine, match.group(2))
            elif "/" in match.group(2) and target not in top:
                yield path, number, target, "include of unknown folder %s" % match.group(2)


def file_size(tree):
    """No file over 800 lines."""
    for path in tree.ending(".c", ".h", ".py", ".proto"):
        lines = tree.text(path).count("\n")
        if lines > FILE_LINES_MAX:
            yield path, lines, os.path.basename(path), "%d lines, at most %d" % (lines, FILE_LINES_MAX)


def function_size(tree):
    """No function over 70 lines."""
    for path in tree.ending(".c", ".h"):
        for function in source.functions(tree.code(path)):
            if function.length > FUNCTION_LINES_MAX:
                yield path, function.line, function.name, "%s has %d lines, at most %d" % (
                    function.name, function.length, FUNCTION_LINES_MAX)


def parameters(tree):
    """At most 6 parameters."""
    for path in tree.ending(".c", ".h"):
        for function in source.functions(tree.code(path)):
            if function.params > PARAMETERS_MAX:
                yield path, function.line, function.name, "%s has %d parameters, at most %d" % (
                    function.name, function.params, PARAMETERS_MAX)


def calls(code, names):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names))
    for number, line in enumerate(code.splitlines(), 1):
        for match in pattern.finditer(line):
            yield number, match.group(1)


def banned_calls(tree):
    """No call that cannot be used safely (strcpy, sprintf, atoi, system, ...)."""
    for path in tree.product() + [p for p in tree.ending(".c") if p.startswith("tests/lib/")]:
        for number, name in calls(tree.code(path), BANNED):
            yield path, number, name, "%s() is banned" % name


def seam(tree):
    """Clock, files, threads and sockets only behind struct env (common/io)."""
    for path in tree.product():
        if path.startswith(SEAM_FOLDERS) and not path.endswith("/main.c") and "/kafka/gen/" not in path:
            for number, name in calls(tree.code(path), SEAM):
                yield path, number, name, "%s() belongs behind struct env" % name


def zmq_sockets(tree):
    """ZeroMQ sockets are made in common/rpc/z*.c only, where all their options are set."""
    for path in tree.ending(".c", ".h"):
        if not path.startswith(("common/rpc/z", "tests/")):
            for number, name in calls(tree.code(path), ["zmq_socket", "zmq_setsockopt"]):
                yield path, number, name, "%s() outside common/rpc/z*.c" % name


def is_comment(line):
    return line.startswith(("//", "#", "*", " *", '"""'))


def essay(tree):
    """A file opens with the SPDX line and a few words on what it is for."""
    for path in tree.ending(".c", ".h", ".py", ".proto"):
        lines = [l for l in tree.text(path).splitlines()[:6] if not l.startswith("#!")]
        if not path.endswith(".proto"):
            if not lines or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
                yield path, 1, os.path.basename(path), "no SPDX line at the top"
                continue
            lines = lines[1:]
        if not lines or not is_comment(lines[0]) or len(" ".join(lines[0].split())) < 12:
            yield path, 2, os.path.basename(path), "no essay at the top of the file"


def leftovers(tree):
    """Nothing unfinished: no marker for later work in a comment."""
    word = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]))
    for path in tree.ending(".c", ".h", ".py", ".proto", ".md", ".txt", ".cmake", "Makefile", ".msg", ".yaml", ".sh"):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            match = word.search(line)
            if match:
                yield path, number, match.group(1), "leftover %s" % match.group(1)


def mutable(statement):
    """The name of the variable when the statement defines one that can change, else None."""
    head = statement.split("=")[0].strip()
    if not head or "(" in head or re.match(r"(typedef|struct \w+$|enum\b|union \w+$|_Static_assert|extern)", head):
        return None
    match = re.search(r"(\w+)\s*(\[.*\])?$", head)
    if not match or len(head.split()) < 2:
        return None
    declarator = head[: match.start()].rstrip()
    if "*" in declarator:
        return None if declarator.endswith("const") else match.group(1)
    return None if re.search(r"\bconst\b", declarator) else match.group(1)


def file_state(tree):
    """No file-scope or static variable that can change: many daemons live in one simulator process."""
    for path in tree.product():
        for line, statement in source.file_scope(tree.code(path)):
            # In a header this is a function declared by its typedef; a variable would be defined twice (-fno-common).
            name = None if path.endswith(".h") and not statement.startswith("static") else mutable(statement)
            if name:
                yield path, line, name, "mutable state %s" % name
        for number, line in enumerate(tree.code(path).splitlines(), 1):
            match = re.match(r"\s+static\s+([^;=(]*?)(\w+)\s*(\[.*\])?\s*(=|;)", line)
            if match and not re.search(r"\bconst\b", match.group(1)) and "_Thread_local" not in match.group(1):
                yield path, number, match.group(2), "mutable static %s" % match.group(2)


def columns(tree):
    """No line far over the format's 110 columns, but for tables marked `clang-format off`."""
    for path in tree.ending(".c", ".h", ".py"):
        table = False
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            table = (table or "// clang-format off" in line) and "// clang-format on" not in line
            if len(line) > LINE_COLUMNS_MAX[os.path.splitext(path)[1]] and not table:
                yield path, number, os.path.basename(path), "%d columns" % len(line)


def proto_messages(tree):
    messages = {}
    for path in [p for p in tree.ending(".proto") if p.startswith("protos/")]:
        name = None
        for number, line in enumerate(source.blank(tree.text(path)).splitlines(), 1):
            begin = re.match(r"\s*message (\w+)", line)
            field = re.match(r"\s*(?:required|optional|repeated)?\s*([A-Z]\w*) \w+ = \d+", line)
            if begin:
                name = begin.group(1)
                messages[name] = (path, number, set())
            elif field and name:
                messages[name][2].add(field.group(1))
    return messages


def proto_recursion(tree):
    """No recursive message (a 34 KB one would overflow the stack) and proto2 only."""
    for path in tree.ending(".proto"):
        if 'syntax = "proto2";' not in tree.text(path):
            yield path, 1, os.path.basename(path), 'not syntax = "proto2"'
    messages = proto_messages(tree)
    for name, (path, number, fields) in messages.items():
        seen, rest = set(), set(fields)
        while rest:
            field = rest.pop()
            if field not in seen and field in messages:
                seen.add(field)
                rest |= messages[field][2]
        if name in seen:
            yield path, number, name, "message %s contains itself" % name


BEHAVIOURS = "tests/clients/BEHAVIOUR.md"


def named_behaviours(tree):
    """(line, file, test as it stands in the file) of every test named in BEHAVIOUR.md."""
    section = ""
    for number, line in enumerate(tree.text(BEHAVIOURS).splitlines(), 1):
        heading = re.match(r"## .*`(tests/\S+)`", line)
        test = re.match(r"- `(?:(tests/\S+?)::)?(\w+(?:::\w+)?)`$", line)
        section = heading.group(1) if heading else section
        if test:
            path = test.group(1) or section
            yield number, path, "test_" + test.group(2) if path.endswith(".py") else test.group(2).replace("::", ", ")


def behaviours(tree):
    """Every test named in BEHAVIOUR.md exists, and every test of single behaviours is named there."""
    if BEHAVIOURS not in tree.paths:
        return
    named = set()
    for number, path, test in named_behaviours(tree):
        named.add((path, test))
        begin = "def %s(" if path.endswith(".py") else "Test(%s)"
        if path not in tree.paths or begin % test not in tree.text(path):
            yield BEHAVIOURS, number, test, "no test %s in %s" % (test, path)
    for path in [p for p in tree.ending(".py") if p.startswith("tests/e2e/test_behaviour_")]:
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            test = re.match(r"def (test_\w+)\(", line)
            if test and (path, test.group(1)) not in named:
                yield path, number, test.group(1), "%s is not in %s" % (test.group(1), BEHAVIOURS)


RULES = {
    "layers": layers, "file-size": file_size, "function-size": function_size, "parameters": parameters,
    "banned-calls": banned_calls, "seam": seam, "zmq-sockets": zmq_sockets, "essay": essay, "leftovers": leftovers,
    "file-state": file_state, "columns": columns, "proto-recursion": proto_recursion,
    "behaviours": behaviours,
}
