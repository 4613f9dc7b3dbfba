# SPDX-License-Identifier: Apache-2.0
"""RESULTS.md from RESULTS.jsonl: the first line says what ran and where, every further one is a sample. Cells are the
median and, in brackets, the least and the most; ratios are the medians of the rounds' own ratios, because what a
machine does beside changes from round to round."""
import datetime
import json
import os
import platform
import statistics
import subprocess

import systems

MB = 1e6
BUSY_LOAD = 4.0  # the load generator and one system make about 2 to 3 on two cores
# (key, what it is, unit, divisor, digits, goal: text and a test of (medians by system, ratios to a system))
ROWS = [
    ("first_record_s", "Start to first acknowledged record", "s", 1, 2, "first"),
    ("idle_bytes", "Resident memory, idle", "MB", MB, 1, "memory"),
    ("load_bytes", "Resident memory, most under load", "MB", MB, 1, None),
    ("idle_cpu_percent", "CPU, idle", "% of a core", 1, 2, None),
    ("idle_wakes_per_s", "Wake-ups, idle", "per s", 1, 0, None),
    ("large_produce_cpu_s_per_gb", "Broker CPU, produce 1 KiB records, acks=all", "CPU-s/GB", 1, 2, "cpu"),
    ("large_produce_steady_cpu_s_per_gb", "... without the JVM's compilers", "CPU-s/GB", 1, 2, "cpu"),
    ("small_produce_cpu_s_per_gb", "Broker CPU, produce 100 B records, acks=all", "CPU-s/GB", 1, 2, "cpu"),
    ("small_produce_steady_cpu_s_per_gb", "... without the JVM's compilers", "CPU-s/GB", 1, 2, "cpu"),
    ("large_consume_cpu_s_per_gb", "Broker CPU, consume 1 KiB records", "CPU-s/GB", 1, 2, None),
    ("small_consume_cpu_s_per_gb", "Broker CPU, consume 100 B records", "CPU-s/GB", 1, 2, None),
    ("large_produce_mb_per_s", "Throughput, produce 1 KiB records", "MB/s", 1, 0, None),
    ("small_produce_mb_per_s", "Throughput, produce 100 B records", "MB/s", 1, 0, None),
    ("large_consume_mb_per_s", "Throughput, consume 1 KiB records", "MB/s", 1, 0, None),
    ("small_consume_mb_per_s", "Throughput, consume 100 B records", "MB/s", 1, 0, None),
    ("read_p50_ms", "End-to-end latency, p50", "ms", 1, 2, None),
    ("read_p99_ms", "End-to-end latency, p99", "ms", 1, 2, None),
    ("read_p999_ms", "End-to-end latency, p99.9", "ms", 1, 2, None),
    ("ack_p50_ms", "Acknowledgement latency, p50", "ms", 1, 2, None),
    ("ack_p99_ms", "Acknowledgement latency, p99", "ms", 1, 2, None),
    ("rate_cpu_percent", "Broker CPU at that rate", "% of a core", 1, 1, None),
]


def _said(*command):
    done = subprocess.run(command, cwd=systems.ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def _cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


def head(sizes, rounds, names, command):
    """What a reader needs to know of a run, taken when it begins."""
    dirty = _said("git", "status", "--porcelain", "--untracked-files=no", "--", "common", "services", "protos")
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": _said("git", "rev-parse", "--short=12", "HEAD") + (" with changes" if dirty else ""),
            "command": command, "rounds": rounds, "systems": names, "sizes": sizes,
            "kafka": systems.kafka_version(), "kernel": platform.release(), "cpu": _cpu_model(),
            "cores": os.cpu_count(), "java": _said("sh", "-c", "java -version 2>&1 | head -1"),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)}


def _values(samples, system, key):
    return [s[key] for s in samples if s["system"] == system and key in s]


def _cell(values, divisor, digits):
    if not values:
        return "-"
    low, middle, high = (v / divisor for v in (min(values), statistics.median(values), max(values)))
    return "**%.*f** (%.*f-%.*f)" % (digits, middle, digits, low, digits, high)


def ratio(samples, key, system, peer):
    """The median over the rounds of system / peer in the same round; None without both."""
    by_round = {}
    for sample in samples:
        by_round.setdefault(sample["round"], {})[sample["system"]] = sample.get(key)
    found = [r[system] / r[peer] for r in by_round.values() if r.get(system) is not None and r.get(peer)]
    return statistics.median(found) if found else None


def _goal(goal, samples, key):
    """(text, whether it is met) of a row's goal."""
    values = _values(samples, "millrace", key)
    if goal is None or not values:
        return ""
    if goal == "first":
        text, met = "under 1 s", statistics.median(values) < 1
    elif goal == "memory":
        text, met = "under 60 MB", statistics.median(values) < 60 * MB
    else:
        found = ratio(samples, key, "millrace", "kafka")
        text, met = "at most half of Kafka", found is not None and found <= 0.5
    return "%s: %s" % (text, "met" if met else "**not met**")


def _row(samples, names, row):
    key, what, unit, divisor, digits, goal = row
    cells = ["%s, %s" % (what, unit)] + [_cell(_values(samples, n, key), divisor, digits) for n in names]
    for peer in names:
        if peer != "millrace":
            found = ratio(samples, key, "millrace", peer)
            cells.append("-" if found is None else "%.3g" % found)
    return "| " + " | ".join(cells + [_goal(goal, samples, key)]) + " |"


def _machine(samples):
    busy = [s["machine_busy_cores"] for s in samples]
    load = [s["load_before"] for s in samples] + [s["load_after"] for s in samples]
    text = "One-minute load %.1f to %.1f; %.2f to %.2f cores busy during a trial, the load generator included." % (
        min(load), max(load), min(busy), max(busy))
    if statistics.median(load) > BUSY_LOAD:
        text += """

**Other work kept the machine busy during this run**, for all systems alike: start, throughput and latency hold long
waits for a core, and of those the better end of a range is nearest to an idle machine. CPU seconds, memory and the
ratios between systems suffer least."""
    return text


def _method(head_line):
    sizes = head_line["sizes"]
    return """## How it is measured

- One machine, one run, %(rounds)d rounds, the systems in turn within each; every trial starts on an empty directory.
  Cells: **median** (least-most). Ratios: median of the rounds' ratios; below 1 is less than the peer.
- millrace is one controller, one storage node and one coordinator under `millrace up`; figures are the sum of the three.
  Kafka is one KRaft node with the JVM options of its start script (1 GB heap).
- *First record*: from the start of `millrace up` or of the JVM (formatting Kafka's directory before is not counted)
  to the acknowledgement of one record by a client that tries every 10 ms (`tests/lib/raw.c`); the topic is made automatically.
- *Idle*: %(settle_s)d s after that, over %(idle_s)d s. Memory is resident pages, shared libraries counted per process.
  *Under load*: the most at ten looks per second through all that follows.
- *Broker CPU*: user and system time of the broker's processes (/proc/PID/stat) per 1e9 bytes of values, for
  %(large_mb)d MB of 1 KiB and %(small_mb)d MB of 100 B records into %(partitions)d partitions as fast as one librdkafka producer
  sends (acks=all, linger 5 ms), then read from the beginning, after a warm-up of %(warm_mb)d MB both ways. What the kernel
  writes back later on its own account is in nobody's figures; Kafka without flush leaves nearly all writing to it.
  After that warm-up a JVM still compiles (about 40 %% of its CPU in a profile of such a run): where a row says so, its
  compiler threads are left out, which is nearer to a node that has run for hours.
- *Latency*: open loop, %(rate)d records of 1 KiB per second into one partition, linger 0, from the moment a record is due
  to its receipt by a consumer in the same process, over %(latency_s)d s after %(latency_warm_s)d s of warm-up.
- The load generator shares the cores with the broker; nothing is pinned. Throughput is what both could do together.
""" % dict(sizes, rounds=head_line["rounds"], large_mb=sizes["large_bytes"] // 10**6,
           small_mb=sizes["small_bytes"] // 10**6, warm_mb=sizes["warm_bytes"] // 10**6)


def _read(path):
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[0], lines[1:]


def write(samples_path, out):
    head_line, samples = _read(samples_path)
    names = head_line["systems"]
    titles = {"millrace": "millrace", "kafka": "Kafka", "kafka-flush": "Kafka, flush.messages=1"}
    header = ["measure"] + [titles[n] for n in names]
    header += ["millrace / %s" % titles[n] for n in names if n != "millrace"] + ["goal"]
    lines = ["# millrace beside Apache Kafka %s" % head_line["kafka"], "",
             "Written by `bench/run` from `RESULTS.jsonl`; do not edit. %s, commit %s, `%s`." % (
                 head_line["date"], head_line["commit"], head_line["command"]),
             "%s, %d cores, %s GB, Linux %s; %s." % (head_line["cpu"], head_line["cores"], head_line["memory_gb"],
                                                     head_line["kernel"], head_line["java"]),
             _machine(samples), "",
             "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += [_row(samples, names, row) for row in ROWS if any(row[0] in s for s in samples)]
    lines += [""] + ["- %s" % systems.SYSTEMS[n].text for n in names] + ["", _method(head_line)]
    lines += ["Again: `make bench` (or `bench/run --rounds 5`), on a machine that does nothing else."]
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
