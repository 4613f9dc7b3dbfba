# SPDX-License-Identifier: Apache-2.0
# The linter's own test: a small clean tree has no finding, and a planted violation of each rule is found by that rule
# and by no other. A rule without a planted violation fails the last test.
import os

import pytest

import lint
import rules

HEAD = "// SPDX-License-Identifier: Apache-2.0\n// What this file is for, in a few words.\n"
PYTHON_HEAD = HEAD.replace("//", "#")
CLEAN = {
    "tests/lint/layers.txt": "base:\nlog: base\ndaemon: base\nhttp: base\nservices/storage: base log\n",
    "tests/lint/exceptions.txt": "# none\n",
    "common/base/a.h": HEAD + "int a_get(int x);\n",
    "common/base/a.c": HEAD + '#include "base/a.h"\n\n#include <stdio.h>\n\nstatic const char *const n[] = {"x"};\n\n'
                              "int a_get(int x)\n{\n    // strcpy(in, comment) is fine\n    return x + n[0][0];\n}\n",
    "common/log/b.c": HEAD + '#include "base/a.h"\n',
    "services/storage/rest.c": HEAD + '#include "http/http.h"\n#include "log/b.h"\n',
    "services/storage/main.c": HEAD + '#include "daemon/daemon.h"\n#include "log/b.h"\n',
    "protos/p.proto": "// What crosses the border here.\nsyntax = \"proto2\";\nmessage A {\n  required B b = 1;\n}\n"
                      "message B {\n  required int32 x = 1;\n}\n",
    "tests/clients/BEHAVIOUR.md": "## One: `tests/e2e/test_behaviour_a.py`\n\n- `a_is_b`\n- `tests/unit/t.c::suite::c_is_d`\n",
    "tests/e2e/test_behaviour_a.py": PYTHON_HEAD + "def test_a_is_b(side):\n    pass\n",
    "tests/unit/t.c": HEAD + "Test(suite, c_is_d)\n{\n}\n",
}


def function(name, lines, params="void"):
    return HEAD + "int %s(%s)\n{\n%s}\n" % (name, params, "    call();\n" * (lines - 2))


PLANTED = {
    "layers": [("common/base/bad.c", HEAD + '#include "log/b.h"\n'),
               ("common/log/bad.c", HEAD + '#include "../x.h"\n'),
               ("services/storage/x.c", HEAD + '#include "daemon/daemon.h"\n'),
               ("services/storage/y.c", HEAD + '#include "http/http.h"\n')],
    "file-size": [("common/base/bad.c", HEAD + "\n" * 800)],
    "function-size": [("common/base/bad.c", function("long_one", 72))],
    "parameters": [("common/base/bad.c",
                    function("wide", 4, "int a, int b, int c, int d, int e, int f, int (*g)(int)"))],
    "banned-calls": [("common/base/bad.c", HEAD + "int f(void)\n{\n    return atoi(text);\n}\n"),
                     ("common/base/bad.c", HEAD + "int f(void)\n{\n    x = alloca (3);\n}\n")],
    "seam": [("common/log/bad.c", HEAD + "int f(void)\n{\n    fsync(fd);\n}\n")],
    "zmq-sockets": [("common/log/bad.c", HEAD + "int f(void)\n{\n    zmq_socket(context, 1);\n}\n")],
    "essay": [("common/base/bad.c", "int x_get(void);\n"),
              ("common/base/bad.h", "// SPDX-License-Identifier: Apache-2.0\nint x_get(void);\n")],
    "leftovers": [("common/base/bad.c", HEAD + "// TO" + "DO later\n")],
    "file-state": [("common/base/bad.c", HEAD + "static int counter;\n"),
                   ("common/base/bad.c", HEAD + 'static const char *names[] = {"a"};\n'),
                   ("common/base/bad.c", HEAD + "int f(void)\n{\n    static int calls;\n    return calls++;\n}\n")],
    "columns": [("common/base/bad.c", HEAD + "int f(void); // " + "x" * 110 + "\n")],
    "proto-recursion": [("protos/bad.proto", "// What crosses the border there.\nsyntax = \"proto2\";\nmessage C {\n"
                                             "  optional D d = 1;\n}\nmessage D {\n  repeated C c = 1;\n}\n"),
                        ("protos/bad.proto", "// What crosses the border there.\nsyntax = \"proto3\";\n")],
    "behaviours": [("tests/clients/BEHAVIOUR.md", CLEAN["tests/clients/BEHAVIOUR.md"] + "- `nobody`\n"),
                   ("tests/clients/BEHAVIOUR.md", "nothing\n"),
                   ("tests/e2e/test_behaviour_a.py", PYTHON_HEAD + "def test_a_is_c(side):\n    pass\n"),
                   ("tests/unit/t.c", HEAD)],
}


def plant(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def found_by(root):
    return sorted(rule for rule, findings in lint.run(str(root)).items() if findings)


def test_a_clean_tree_has_no_finding(tmp_path):
    plant(tmp_path, CLEAN)
    assert lint.run(str(tmp_path)) == {rule: [] for rule in list(rules.RULES) + ["exceptions"]}


@pytest.mark.parametrize("rule,index", [(rule, i) for rule, cases in PLANTED.items() for i in range(len(cases))])
def test_a_planted_violation_is_found(tmp_path, rule, index):
    path, text = PLANTED[rule][index]
    plant(tmp_path, dict(CLEAN, **{path: text}))
    assert found_by(tmp_path) == [rule]


def test_an_exception_hides_its_finding_and_only_while_it_is_needed(tmp_path):
    path, text = PLANTED["banned-calls"][0]
    exception = "banned-calls common/base/bad.c:atoi the input is a constant\n"
    plant(tmp_path, dict(CLEAN, **{path: text, "tests/lint/exceptions.txt": exception}))
    assert found_by(tmp_path) == []
    plant(tmp_path, {path: HEAD})
    assert found_by(tmp_path) == ["exceptions"]


def test_every_rule_has_a_planted_violation():
    assert set(PLANTED) == set(rules.RULES)
