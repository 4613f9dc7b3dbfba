# SPDX-License-Identifier: Apache-2.0
"""librdkafka's own test suite, from Debian's source package, against the cluster: every test file by itself, except
those that skip.txt names with a reason and those that never talk to a broker. Where it names a subtest of a file, the
file's others run one by one; where it names a setting of a file, the suite itself leaves out with it what the reason
says, and the rest runs. A few tests are written for brokers that create no topics by themselves (the suite's scenario
"noautocreate"): they have a cluster of their own."""
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent / "librdkafka"
TESTS = HERE / "source/tests"
JARS = HERE.parent / "java/scenario/target/3.9.2"  # what the suite's own Java programs are built against
SECONDS = 150
LONG_SECONDS = {"u_multiple_subscription_changes": 500}  # six variations of 50 seconds each
BROKER_VERSION = "3.1.0"  # what the suite of librdkafka 2.0.2 knows as the newest
# The defaults of the clusters the suite is written for (its scenarios/*.json). Some tests count on two consumers that
# come one after the other to be in the same first rebalance.
COMMON = {"num.partitions": "4", "default.replication.factor": "3", "group.initial.rebalance.delay.ms": "1000",
          "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
SCENARIOS = {"default": {**COMMON, "auto.create.topics.enable": "true"},
             "noautocreate": {**COMMON, "auto.create.topics.enable": "false"}}


def skips():
    """{number, number.subtest or number[setting=value], and /scenario: reason}"""
    lines = (HERE / "skip.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def settings(number):
    """{setting: value} with which a file leaves out by itself what skip.txt says."""
    found = (re.fullmatch(rf"{number}\[(.*)=(.*)\]", name) for name in skips())
    return dict(one.groups() for one in found if one)


def numbers(scenario):
    """Of the files with a test for the scenario, as the suite's own table says (default where it names none)."""
    found = set()
    for number, row in re.findall(r"_TEST\((0\d{3})_\w+,?((?:(?!_TEST).)*)", (TESTS / "test.c").read_text(), re.S):
        named = re.search(r'\.scenario = "([^"]*)"', row)
        if scenario in (named[1] if named else "default").split(","):
            found.add(number)
    return sorted(found)


def subtests(number):
    """The names of a file's subtests: of the functions that begin one."""
    (path,) = TESTS.glob(f"{number}-*.c*")
    found, function = [], None
    for line in path.read_text().splitlines():
        begin = re.match(r"(?:\w+[ *]+)*(\w+)\(", line)
        function = begin[1] if begin else function
        if re.match(r"\s+SUB_TEST(0|_QUICK)?\(", line):
            found.append(function)
    return found


class Suite:
    def __init__(self, brokers, directory, scenario):
        self.scenario = scenario
        self.directory, self.bootstrap = pathlib.Path(directory), brokers.bootstrap

    def conf(self, number):
        """The file with the clients' settings. Of the settings of a file those in capitals are of the environment."""
        path = self.directory / f"{number}.conf"
        lines = {"metadata.broker.list": self.bootstrap, "test.topic.random": "true", **settings(number)}
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items() if not name.isupper()))
        return path

    def one(self, number, subtest=None):
        """-L leaves out tests that use no broker; the outcome is in the runner's table and exit code."""
        env = dict(os.environ, TESTS=number, TEST_SCENARIO=self.scenario, RDKAFKA_TEST_CONF=str(self.conf(number)),
                   TEST_KAFKA_VERSION=BROKER_VERSION, CI="true", LD_LIBRARY_PATH="../src:../src-cpp",
                   KAFKA_PATH=str(HERE / "tools"), KAFKA_JARS=str(JARS), BROKERS=self.bootstrap)
        env.update((name, value) for name, value in settings(number).items() if name.isupper())
        if subtest:
            env["SUBTESTS"] = subtest + ":"  # before the line and what else stands in a subtest's name
        log, seconds = self.directory / f"{number}.{subtest or 'all'}.log", LONG_SECONDS.get(subtest, SECONDS)
        with open(log, "wb") as file:
            try:
                code = subprocess.run(["./test-runner", "-L", "-p1"], cwd=TESTS, env=env, stdin=subprocess.DEVNULL,
                                      stdout=file, stderr=file, timeout=seconds).returncode
            except subprocess.TimeoutExpired:
                return f"FAIL: no end after {seconds} s, see {log}"
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
        if code:
            why = re.findall(r"TEST FAILURE\s*\n#*\s*(.*)|Test \S+ FAILED: (.*)|(Test failure.*)", text)
            return "FAIL: " + (" ".join(filter(None, why[0])) if why else f"ended with {code}") + f", see {log}"
        if subtest and f"[ {subtest}:" not in text:
            return "n/a: it uses no broker, or is not of this scenario"
        if re.search(rf"\|\s*{number}\w*\s*\|\s*PASSED", text):
            return "ok"
        filtered = "Filtered due to negative test flags"
        why = [one for one in re.findall(r"SKIPPING TEST: (.*)", text) if one != filtered]
        if filtered in text and not why:
            return "n/a: a local test, it uses no broker"
        return "n/a: " + (why[0].strip() if why else "the suite skipped it and did not say why")

    def named(self, reasons, number):
        """(name, subtest or None) of what is run of a file, or skipped."""
        where = "" if self.scenario == "default" else "/" + self.scenario
        parts = [(f"{number}.{subtest}{where}", subtest) for subtest in subtests(number)]
        by_setting = [(f"{number}[{name}={value}]", None) for name, value in settings(number).items()]
        return by_setting + (parts if any(name in reasons for name, _ in parts) else [(number + where, None)])

    def run(self, say, only=""):
        results, reasons = {}, skips()
        for number in numbers(self.scenario):
            if only and number not in only.split(","):
                continue
            for name, subtest in self.named(reasons, number):
                results[name] = f"n/a: {reasons[name]}" if name in reasons else self.one(number, subtest)
                say(f"librdkafka {name}: {results[name]}")
        return results
