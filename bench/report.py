# SPDX-License-Identifier: Apache-2.0
"""RESULTS.md from RESULTS.jsonl, whose every line is a sample: row, cell, system, round, when and where, the figures, and
the histograms packed. A cell's newest figures count. Ratios are medians of the rounds' own ratios, because what a machine
does beside changes from round to round."""
import base64
import datetime
import json
import os
import platform
import statistics
import subprocess
import zlib

import rows
import systems

BUSY_LOAD = 3.5  # the load generator and one system make about 2 on two cores
SHOWN = (("cpu_s_per_gb", "CPU-s/GB", "%.3f"), ("cpu_s_per_million", "CPU-s per million", "%.3f"),
         ("mb_per_s", "MB/s", "%.0f"), ("p50_ms", "p50 ms", "%.3f"), ("p99_ms", "p99 ms", "%.3f"),
         ("p999_ms", "p99.9 ms", "%.3f"), ("start_ms", "start ms", "%.1f"), ("max_ms", "longest ms", "%.0f"))


def _said(*command):
    return subprocess.run(command, cwd=systems.ROOT, capture_output=True, text=True).stdout.strip()


def code():
    """What a figure depends on: the trees of the code that was measured and of what measured it."""
    changed = _said("git", "status", "--porcelain", "--untracked-files=no", "--", "common", "services", "protos")
    trees = _said("git", "rev-parse", "HEAD:common", "HEAD:services", "HEAD:protos").split()
    return "-".join(tree[:8] for tree in trees) + ("+" if changed else "")


def place():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)}


def stamp():
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "code": code(),
            "commit": _said("git", "rev-parse", "--short=12", "HEAD")}


def pack(value):
    """A histogram as text: every sample keeps its own."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode(), 9)).decode()


def unpack(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def sample_line(sample, figures):
    raw = {key: pack(value) for key, value in figures.items() if isinstance(value, list)}
    plain = {key: float("%.6g" % value) if isinstance(value, float) else value
             for key, value in figures.items() if not isinstance(value, list)}
    return json.dumps(dict(sample, figures=plain, raw=raw))


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def newest(samples, row):
    """{(cell, system): {round: sample}} of each cell's last code."""
    found = {}
    for sample in samples:
        if sample["row"] != row.number:
            continue
        rounds = found.setdefault((sample["cell"], sample["system"]), {})
        if rounds and next(iter(rounds.values()))["code"] != sample["code"]:
            rounds.clear()
        rounds[sample["round"]] = sample
    return found


def value(found, check):
    """The check's figure, or None while samples are missing."""
    ours = found.get(check.of, {})
    if not check.per:
        values = [s["figures"][check.key] for s in ours.values()]
    else:
        theirs = found.get(check.per, {})
        values = [s["figures"][check.key] / theirs[r]["figures"][check.key]
                  for r, s in ours.items() if r in theirs and theirs[r]["figures"][check.key]]
    return statistics.median(values) if values else None


def verdicts(found, row):
    """[(check, value or None, whether it is met)]"""
    result = []
    for check in row.checks:
        figure = value(found, check)
        met = figure is not None and (figure >= check.limit if check.at_least else figure <= check.limit)
        result.append((check, figure, met))
    return result


def verdict_line(check, figure, met):
    goal = "%s %.4g" % (">=" if check.at_least else "<=", check.limit)
    return check.text, "-" if figure is None else "%.3g" % figure, goal, \
        "not measured" if figure is None else "met" if met else "**not met**"


def _spread(values, form):
    if len(values) == 1:
        return form % values[0]
    return "**%s** (%s-%s)" % tuple(form % v for v in (statistics.median(values), min(values), max(values)))


def _cells(found, row):
    """Lines of medians: a line per cell and system, a column per figure that any of them has."""
    columns = [c for c in SHOWN if any(c[0] in s["figures"] for r in found.values() for s in r.values())]
    yield "| cell | system | rounds | load | " + " | ".join(c[1] for c in columns) + " |"
    yield "|---" * (4 + len(columns)) + "|"
    for cell in row.cells:
        for name in cell.systems:
            samples = list(found.get((cell.name, name), {}).values())
            if not samples:
                continue
            shown = []
            for key, _, form in columns:
                values = [s["figures"][key] for s in samples if key in s["figures"]]
                shown.append(_spread(values, form) if values else "")
            load = statistics.median(s["load"] for s in samples)
            yield "| %s | %s | %d | %.1f%s | %s |" % (cell.name, name, len(samples), load, " (busy)" if load > BUSY_LOAD else "",
                                                   " | ".join(shown))


def _row_text(found, row):
    lines = ["", "## %s. %s" % (row.number, row.title), ""]
    if row.checks:
        lines += ["| what | figure | goal | |", "|---|---|---|---|"]
        lines += ["| %s |" % " | ".join(verdict_line(*v)) for v in verdicts(found, row)] + [""]
    lines += list(_cells(found, row))
    last = max((s for r in found.values() for s in r.values()), key=lambda s: s["date"])
    lines += ["", "%s, commit %s. Again: `bench/run %s`." % (last["date"], last["commit"],
                                                           "grid" if row is rows.GRID else row.number)]
    return lines


GROUPS = "groups"  # row of the samples of bench/groups


def _group_line(sample):
    figures, goal = sample["figures"], sample["goal"]
    shown = ", ".join("%s %s" % (key, value) for key, value in figures.items() if not isinstance(value, dict))
    verdict = "" if goal is None else "%s <= %g: %s" % (goal, sample["limit"], "met" if figures[goal] <= sample["limit"]
                                                       else "**not met**")
    return "| `%s` | %.1f, %d | %s | %s | %s, %s |" % (sample["cell"], sample["load"], sample["nice"], shown, verdict,
                                                     sample["date"], sample["commit"])


def _groups_text(samples):
    """The newest sample of each command of bench/groups."""
    found = {s["cell"]: s for s in samples if s["row"] == GROUPS}
    if not found:
        return []
    head = ["", "## Groups: what they cost a coordinator", "", "By hand, `bench/groups`; load and nice are the machine's and"
            " the run's.", "", "| command | load, nice | figures | goal | date, commit |", "|---|---|---|---|---|"]
    return head + [_group_line(found[cell]) for cell in sorted(found)]


REGISTRY = "registry"  # row of the samples of bench/registry


def _registry_text(samples):
    """The newest sample of each command and system of bench/registry, side by side."""
    newest_ones = {(s["cell"], s["system"]): s for s in samples if s["row"] == REGISTRY}
    lines = []
    for cell in sorted({cell for cell, _ in newest_ones}):
        shown = [s for key, s in sorted(newest_ones.items()) if key[0] == cell]
        goals = {key: goal for s in shown for key, (goal, _) in s["goals"].items()}
        lines += ["", "`%s`" % cell, "", "| figure | goal | " + " | ".join(s["system"] for s in shown) + " |",
                  "|---" * (2 + len(shown)) + "|"]
        for key in dict.fromkeys(key for s in shown for key in s["figures"]):
            met = ["" if key not in s["goals"] else ", met" if s["goals"][key][1] else ", **not met**" for s in shown]
            values = ["%s%s" % (s["figures"].get(key, ""), m) for s, m in zip(shown, met)]
            lines.append("| %s | %s | %s |" % (key, goals.get(key, ""), " | ".join(values)))
        when = ["%s: %s, commit %s, nice %d" % (s["system"], s["date"], s["commit"], s["nice"]) for s in shown]
        lines += ["", "; ".join(when)]
    head = ["", "## Schema registry: start, memory, lookups, registrations", "",
            "By hand, `bench/registry`: Avro schemas of 300 to 500 bytes registered over 64 connections, looked up over 32 by one"
            " wrk beside it; load is the machine's at the end. cpu_us is the registry's own CPU per request, which counts where"
            " the machine is busy."]
    return head + lines if lines else []


METHOD = """
## How it is measured

- One machine, loopback. Systems of a cell run in turn within each round; a ratio is the median over the rounds of the two
  figures of one round. Cells show **median** (least-most). *load* is the machine's one-minute load average.
- Brokers are pinned to one core and the generator to another. CPU is the process's own clock (user and system) from the end
  of the warm-up to the last answer; of millrace that of the storage nodes, of Kafka that of the JVM without its just-in-time
  compilers, which is nearer to a node that has run for hours. GB is 1e9 bytes of record values with librdkafka (row 1, 3)
  and of record batches elsewhere.
- Memory is full of file pages, as on a machine that has run for hours (`systems.FilePages`): a new page takes the place of
  an old one, where a free one may have to be fetched from a virtual machine's host at the cost of whoever writes to it.
- 5 s of warm-up before every trial, 60 s once per JVM. Latency is open loop, from the moment a batch was due. Kafka runs with
  the JVM options of its start script (1 GB heap); it stays up from row to row, idle while others are measured.
- `RESULTS.jsonl` holds every sample with its histogram (`report.unpack`). `rows.py` declares every cell.
"""


def write(samples_path, out):
    samples = read(samples_path)
    where = place()
    lines = ["# millrace, a floor and Apache Kafka %s side by side" % (systems.kafka_version() or ""), "",
             "Written by `bench/run` from `RESULTS.jsonl`; do not edit.",
             "%s, %d cores, %s GB, Linux %s." % (where["cpu"], where["cores"], where["memory_gb"], where["kernel"]), ""]
    lines += ["- %s" % system.text for system in systems.SYSTEMS.values()]
    for row in sorted(rows.ROWS, key=lambda r: int(r.number)) + [rows.GRID]:
        found = newest(samples, row)
        if found:
            lines += _row_text(found, row)
    lines += _groups_text(samples)
    lines += _registry_text(samples)
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n" + METHOD)
