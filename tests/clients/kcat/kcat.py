# SPDX-License-Identifier: Apache-2.0
"""The client's part of the scenario on kcat: its command lines, and its output in the scenario's lines.

kcat has no topic administration. It reads until it is told to stop; a member leaves by SIGTERM."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
from scenario import record, run, say, say_assigned  # noqa: E402


def kcat(arguments, *options, **pipes):
    return subprocess.Popen(["kcat", "-b", arguments["bootstrap"], "-X", "client.id=kcat", "-d", "protocol", *options],
                            **pipes)


def finish(process):
    if process.wait():
        sys.exit(f"kcat ended with {process.returncode}")


def describe(arguments):
    process = kcat(arguments, "-L", "-t", arguments["topic"], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        found = re.match(r"\s+partition (\d+), leader (-?\d+), replicas: (\d+(?:,\d+)*)", line)
        if found:
            say("D", *found.groups())
    finish(process)


def produce(arguments):
    """kcat prints nothing per acknowledgement; it ends with 0 only if every record was acknowledged."""
    count, first, rate = (arguments.number(*pair) for pair in (("count", 1), ("first", 0), ("rate", 0)))
    process = kcat(arguments, "-P", "-t", arguments["topic"], "-K", "\t", "-z", arguments["codec"],
                   "-X", "enable.idempotence=true", "-X", "topic.partitioner=murmur2_random", "-X", "linger.ms=5",
                   stdin=subprocess.PIPE)
    start = time.monotonic()
    for number in range(first, first + count):
        process.stdin.write(b"\t".join(record(number)) + b"\n")
        if rate and number % 100 == 0:
            process.stdin.flush()
            say("sent", number - first)
            time.sleep(max(0, start + (number - first) / rate - time.monotonic()))
    process.stdin.close()
    finish(process)
    say("acked", count)


def feed(arguments):
    """Lines of another source ("key<TAB>value") from standard input, for the package catalogue."""
    os.execlp("kcat", "kcat", "-b", arguments["bootstrap"], "-P", "-t", arguments["topic"], "-K", "\t",
              "-z", arguments["codec"], "-X", "enable.idempotence=true",
              "-X", "topic.partitioner=murmur2_random", "-X", "linger.ms=5")


def watch(stream):
    """Assignments are told on standard error, where the debug log goes too; that one is passed on."""
    for line in stream:
        found = re.match(r"% Group .* rebalanced \(memberid .*\): (assigned|revoked): (.*)", line)
        if found:
            say_assigned([int(one) for one in re.findall(r"\[(\d+)\]", found[2])] if found[1] == "assigned" else [])
        else:
            sys.stderr.write(line)


def consume(arguments):
    """Positions are stored as records are printed and committed at the latest when kcat leaves."""
    counted = ["-c", arguments["count"]] if "count" in arguments else []
    process = kcat(arguments, "-u", *counted, "-X", "auto.offset.reset=earliest", "-X", "heartbeat.interval.ms=500",
                   "-X", "session.timeout.ms=" + arguments.get("session", "6000"),
                   "-X", "auto.commit.interval.ms=200", "-f", r"R\t%p\t%o\t%k\t%s\n",
                   "-G", arguments["group"], arguments["topic"], stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    reader = threading.Thread(target=watch, args=[process.stderr])
    reader.start()
    finish(process)
    reader.join()


def offsets(arguments):
    """`-Q -t topic:partition:timestamp` is asked once per partition: kcat 1.7 answers one of them at a time."""
    found = subprocess.run(["kcat", "-b", arguments["bootstrap"], "-L", "-t", arguments["topic"]],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    for number in re.findall(r"^\s+partition (\d+),", found, re.M):
        process = kcat(arguments, "-Q", "-t", f"{arguments['topic']}:{number}:{arguments['timestamp']}",
                       stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            answer = re.match(r".*\[(\d+)\] offset (-?\d+)", line)
            if answer:
                say("O", *answer.groups())
        finish(process)


run({"describe": describe, "produce": produce, "feed": feed, "consume": consume, "offsets": offsets})
