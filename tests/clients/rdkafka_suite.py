# SPDX-License-Identifier: Apache-2.0
"""librdkafka's own test suite, from Debian's source package, against the cluster: every test file by itself, except
those that skip.txt names with a reason and those that never talk to a broker."""
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent / "librdkafka"
TESTS = HERE / "source/tests"
SECONDS = 150
BROKER_VERSION = "3.1.0"  # what the suite of librdkafka 2.0.2 knows as the newest
# The defaults of the cluster the suite is written for.
SETTINGS = {"num.partitions": "4", "default.replication.factor": "3", "auto.create.topics.enable": "true"}


def skips():
    """{number: reason}"""
    lines = (HERE / "skip.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def numbers():
    return sorted({path.name[:4] for path in TESTS.glob("0*-*.c*") if path.suffix in (".c", ".cpp")})


class Suite:
    def __init__(self, brokers, directory):
        self.directory, self.bootstrap = pathlib.Path(directory), brokers.bootstrap
        self.conf = self.directory / "test.conf"
        self.conf.write_text(f"metadata.broker.list={brokers.bootstrap}\ntest.topic.random=true\n")

    def one(self, number):
        """-L leaves out tests that use no broker; the outcome is in the runner's table and exit code."""
        env = dict(os.environ, TESTS=number, RDKAFKA_TEST_CONF=str(self.conf), TEST_KAFKA_VERSION=BROKER_VERSION,
                   LD_LIBRARY_PATH="../src:../src-cpp", CI="true", KAFKA_PATH=str(HERE / "tools"),
                   BROKERS=self.bootstrap)
        log = self.directory / f"{number}.log"
        with open(log, "wb") as file:
            try:
                code = subprocess.run(["./test-runner", "-L", "-p1"], cwd=TESTS, env=env, stdin=subprocess.DEVNULL,
                                      stdout=file, stderr=file, timeout=SECONDS).returncode
            except subprocess.TimeoutExpired:
                return f"FAIL: no end after {SECONDS} s, see {log}"
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
        if code:
            why = re.findall(r"TEST FAILURE\s*\n#*\s*(.*)|Test \S+ FAILED: (.*)|(Test failure.*)", text)
            return "FAIL: " + (" ".join(filter(None, why[0])) if why else f"ended with {code}") + f", see {log}"
        if re.search(rf"\|\s*{number}\w*\s*\|\s*PASSED", text):
            return "ok"
        if "Filtered due to negative test flags" in text:
            return "n/a: a local test, it uses no broker"
        why = re.search(r"SKIPPING TEST: (.*)|SKIPPED.*", text)
        return "n/a: " + (why[0].strip() if why else "the suite skipped it and did not say why")

    def run(self, say, only=""):
        results, reasons = {}, skips()
        for number in numbers():
            if only and number not in only.split(","):
                continue
            results[number] = f"n/a: {reasons[number]}" if number in reasons else self.one(number)
            say(f"librdkafka {number}: {results[number]}")
        return results
