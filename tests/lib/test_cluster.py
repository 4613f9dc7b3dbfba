# SPDX-License-Identifier: Apache-2.0
# What of tests/lib/cluster.py and tests/run can be wrong without a cluster: deadlines, ports, and how tests are
# counted.
import importlib.machinery
import importlib.util
import json
import os
import socket
import subprocess
import sys

import pytest

import cluster

loader = importlib.machinery.SourceFileLoader("runner", os.path.join(os.path.dirname(__file__), "..", "run"))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
loader.exec_module(runner)


def test_wait_until_returns_the_value_and_names_what_did_not_come():
    values = iter([0, None, 7])
    assert cluster.wait_until(lambda: next(values), 5) == 7
    with pytest.raises(AssertionError, match="the moon.*ZeroDivisionError"):
        cluster.wait_until(lambda: 1 / 0, 0.1, "the moon")


def test_ports_are_free_and_never_given_twice():
    ports = [cluster.free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_ports_are_not_given_to_two_processes(monkeypatch):
    monkeypatch.setattr(cluster, "PORTS", (19000, 19009))
    here = [cluster.free_port() for _ in range(5)]
    script = "import cluster; cluster.PORTS = (19000, 19009); print([cluster.free_port() for _ in range(5)])"
    there = subprocess.run([sys.executable, "-c", script], cwd=os.path.dirname(cluster.__file__), check=True,
                           capture_output=True, text=True).stdout
    assert not set(here) & set(json.loads(there))


def test_tap_lines_are_counted_one_by_one():
    result = runner.Result()
    text = ("TAP version 13\n1..4\nok - a::b  (0.00s)\nnot ok - a::c  (1s)\n  a.c:3: said\nok - a::d # SKIP no disk\n"
            "ok 4 - e\n")
    assert runner.count_tap("unit_a", text, result) == 4
    assert (result.passed, result.failed) == (2, ["unit_a a::c  (1s)"])
    assert result.skipped == ["unit_a a::d: no disk"]


def test_a_run_without_any_test_is_a_failure(capsys):
    assert runner.report(runner.Result()) == 1
    assert capsys.readouterr().out == "0 passed, 0 failed\n"


def test_the_last_line_adds_up_and_a_failure_fails(capsys):
    result = runner.Result()
    result.add({"passed": 3, "failed": ["x"], "skipped": ["y: no engine"]})
    result.add({"passed": 2, "failed": [], "skipped": []})
    assert runner.report(result) == 1
    assert capsys.readouterr().out.splitlines() == ["FAILED  x", "SKIPPED y: no engine", "5 passed, 1 failed"]
