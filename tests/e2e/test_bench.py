# SPDX-License-Identifier: Apache-2.0
# That the comparisons run: a cell on the floor and on millrace, held to its goal, and not measured twice. Figures of a
# machine under test mean nothing and are not looked at.
import json
import os
import shutil
import subprocess
import sys

import pytest
from cluster import BUILD, ROOT

sys.path.insert(0, os.path.join(ROOT, "bench"))


def run(out, *arguments):
    done = subprocess.run([os.path.join(ROOT, "bench/run")] + list(arguments) + ["--seconds", "1", "--out", str(out)],
                          capture_output=True, text=True, timeout=120, env=dict(os.environ, MILLRACE_BUILD=BUILD))
    assert done.returncode == 0, done.stdout + done.stderr
    with open(out / "RESULTS.jsonl", encoding="utf-8") as file:
        return done.stdout, [json.loads(line) for line in file]


@pytest.mark.skipif(not os.access(os.path.join(BUILD, "lib", "flow"), os.X_OK), reason="librdkafka-dev is missing")
def test_a_row_is_measured_judged_and_resumed(tmp_path):
    import report
    told, samples = run(tmp_path, "4", "--cells", "256k", "--rounds", "1")
    assert [(s["cell"], s["system"], s["round"]) for s in samples] == [("256k", "floor-append", 1),
                                                                     ("256k", "millrace", 1)]
    assert "256k, of the floor" in told and "goal >= 0.85" in told
    for sample in samples:
        histogram = report.unpack(sample["raw"]["us"])
        assert sample["figures"]["mb_per_s"] > 0 and sample["figures"]["cpu_s_per_gb"] > 0
        assert sum(count for _, count in histogram) > 0 and histogram == sorted(histogram)
    assert "of the floor" in (tmp_path / "RESULTS.md").read_text()
    _, again = run(tmp_path, "4", "--cells", "256k", "--rounds", "2")
    assert [(s["system"], s["round"]) for s in again[2:]] == [("floor-append", 2), ("millrace", 2)]


def test_cpu_rows_have_a_cell_of_records_nobody_looks_at(monkeypatch):
    import rows
    import systems
    for row in (rows.row1(), rows.row3()):
        looked, taken = row.cells
        assert (taken.systems, taken.record, taken.partitions) == (("millrace-header",), looked.record, looked.partitions)
        check = row.checks[-1]
        assert check.of == (taken.name, "millrace-header") and check.per == (looked.name, "millrace")
    told = []
    monkeypatch.setattr(systems.subprocess, "run", lambda words, **_: told.append(words))
    for name in ("millrace", "millrace-header"):
        system = systems.SYSTEMS[name].__new__(systems.SYSTEMS[name])
        system.cell, system.cluster = rows.row3().cells[0], type("Cluster", (), {"storage": [type("Node", (), {"address": "a"})]})
        system.create_topic("t", 1)
    assert ["millrace.validate.records=header" in words for words in told] == [False, True]


def test_pages_of_deleted_files_stay_until_others_take_their_places(tmp_path, monkeypatch):
    import systems
    monkeypatch.setattr(systems, "SPARE_DISK", 0)
    pages = systems.FilePages(3 << 20)
    try:
        for number in range(5):
            (tmp_path / ("%d.log" % number)).write_bytes(b"x" * (2 << 20))
            (tmp_path / ("%d.index" % number)).write_bytes(b"small")
            pages.keep([tmp_path])
            (tmp_path / ("%d.log" % number)).unlink()
        assert [os.stat(os.path.join(pages.directory, name)).st_size for name in os.listdir(pages.directory)] == [2 << 20] * 2
        monkeypatch.setattr(systems, "SPARE_DISK", 1 << 60)  # the disk is too full for any of them
        (tmp_path / "5.log").write_bytes(b"x" * (2 << 20))
        pages.keep([tmp_path])
        assert os.listdir(pages.directory) == [] and (tmp_path / "5.log").exists()
    finally:
        pages.end()
    assert not os.path.exists(pages.directory)


def groups(*arguments):
    done = subprocess.run([os.path.join(ROOT, "bench/groups")] + list(arguments), capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, MILLRACE_BUILD=BUILD))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", [[], ["--consumer"]])
def test_groups_are_measured_in_either_protocol(kind):
    beat = groups("beat", "--groups", "3", "--members", "5", "--seconds", "1", *kind)
    assert (beat["members"], beat["stable"]) == (15, 15) and beat["heartbeats_per_s"] > 0
    rebalance = groups("rebalance", "--members", "20", *kind)
    assert rebalance["members"] == 21 and 0 < rebalance["rebalance_s"] < 60


def test_the_failover_of_a_coordinator_is_measured():
    found = groups("failover", "--groups", "20", "--partitions", "50")
    assert found["offsets"] == 1000 and 0 < found["loaded"] and 0 < found["failover_s"] < 60


def test_kept_figures_of_groups_are_told_with_their_goals(tmp_path):
    import report
    sample = dict(report.stamp(), row=report.GROUPS, cell="bench/groups x", system="millrace", round=0, load=1.0, nice=0,
                  place=report.place(), goal="s", limit=5)
    lines = [report.sample_line(sample, {"s": 3, "percent": {"a": 1}}), report.sample_line(sample, {"s": 7})]
    for count, verdict in ((1, "s <= 5: met"), (2, "s <= 5: **not met**")):
        (tmp_path / "R.jsonl").write_text("\n".join(lines[:count]) + "\n")
        report.write(tmp_path / "R.jsonl", tmp_path / "R.md")
        told = [line for line in (tmp_path / "R.md").read_text().splitlines() if "`bench/groups x`" in line]
        assert len(told) == 1 and verdict in told[0], "the newest counts"


def test_all_rows_fit_into_their_time():
    done = subprocess.run([os.path.join(ROOT, "bench/run"), "goals", "--plan"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "in all" in done.stdout, done.stdout + done.stderr


def test_verdicts_are_medians_of_ratios_of_the_same_round():
    import report
    import rows
    row = rows.Row("x", "", (), (rows.Check("ratio", "a", ("c", "ours"), 1.5, ("c", "theirs")),
                                 rows.Check("least", "a", ("c", "ours"), 5, None, True),
                                 rows.Check("missing", "a", ("d", "ours"), 1)))
    sample = {"row": "x", "cell": "c", "code": "1"}
    samples = [dict(sample, system=s, round=r, figures={"a": a}) for r, s, a in (
        (1, "ours", 2), (1, "theirs", 1), (2, "ours", 9), (2, "theirs", 9), (3, "ours", 4), (3, "theirs", 1), (4, "ours", 7))]
    found = [(round(v, 2) if v else v, met) for _, v, met in report.verdicts(report.newest(samples, row), row)]
    assert found == [(2, False), (5.5, True), (None, False)]
    samples.append(dict(sample, code="2", system="ours", round=1, figures={"a": 3}))
    assert report.verdicts(report.newest(samples, row), row)[0][1] == 3, "figures of older code do not mix with newer"


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is missing; bench/registry installs it")
def test_a_registry_is_measured():
    done = subprocess.run([os.path.join(ROOT, "bench/registry"), "--subjects", "50", "--seconds", "1"], capture_output=True,
                          text=True, timeout=120, env=dict(os.environ, MILLRACE_BUILD=BUILD))
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["schemas"] == 150 and figures["refused"] == 0
    for key in ("registrations_per_s", "start_s", "resident_mb", "by_id_per_s", "by_id_p99_ms", "latest_per_s", "latest_cpu_us"):
        assert figures[key] > 0, key
