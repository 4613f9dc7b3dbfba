# SPDX-License-Identifier: Apache-2.0
"""The clients: how each program is started, what the client cannot do, and how the API versions are found that it used.
setup.sh installs what is named here, at the versions of the lock files."""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ALL = ("none", "gzip", "snappy", "lz4", "zstd")


@dataclasses.dataclass
class Client:
    name: str
    version: str
    command: list
    needs: str  # a file that setup.sh makes
    codecs: tuple = ALL
    idempotent: bool = True
    start_s: float = 0.5  # from starting the program to its first record
    ends_when_all_are_down: bool = False
    lacks: dict = dataclasses.field(default_factory=dict)  # verb: reason

    @property
    def missing(self):
        path = pathlib.Path(self.needs)
        return None if path.exists() else f"{path.relative_to(HERE) if path.is_relative_to(HERE) else path} is missing"


def java(version):
    target = HERE / "java/scenario/target"
    logged = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
              "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=debug"]
    return Client("Java kafka-clients", version,
                  ["java", "-Xmx256m", *logged, "-cp", f"{target}/classes:{target}/{version}/*", "Scenario"],
                  f"{target}/{version}", start_s=1.0)


def python(name, package, version, program, **more):
    environment = HERE / f"python/env/{package}-{version}"
    return Client(name, version, [f"{environment}/bin/python", str(HERE / "python" / program)],
                  f"{environment}/done", **more)


def kcat():
    path = shutil.which("kcat") or "/usr/bin/kcat"
    version = ""
    if os.path.exists(path):
        text = subprocess.run([path, "-V"], capture_output=True, text=True).stdout
        version = "{} (librdkafka {})".format(*re.search(r"Version (\S+) .*librdkafka (\S+)", text, re.S).groups())
    no_admin = "kcat has no topic administration"
    return Client("kcat", version, ["python3", str(HERE / "kcat/kcat.py")], path, ends_when_all_are_down=True,
                  lacks={"create": no_admin, "delete": no_admin})


def node(package, version):
    script = HERE / "node/scenario.js"
    return Client("kafkajs", version, ["env", f"KAFKAJS={package}", "node", str(script)],
                  str(HERE / "node/node_modules" / package))


def built(name, version, path, **more):
    return Client(name, version, [str(HERE / path)], str(HERE / path), **more)


def table():
    return [
        kcat(),
        python("confluent-kafka (Python)", "confluent-kafka", "2.0.2", "confluent.py"),
        python("confluent-kafka (Python)", "confluent-kafka", "2.16.1", "confluent.py"),
        python("kafka-python", "kafka-python", "2.0.2", "kafka_python.py", idempotent=False),
        python("kafka-python", "kafka-python", "3.0.12", "kafka_python.py"),
        node("kafkajs-old", "1.16.0"),
        node("kafkajs", "2.2.4"),
        built("franz-go", "1.7.0", "go/bin/franz-go-1.7.0"),
        built("franz-go", "1.22.2", "go/bin/franz-go-1.22.2"),
        built("rdkafka (Rust)", "0.39.0", "rust/target/release/scenario"),
        java("2.1.1"),
        java("3.9.2"),
        java("4.4.0"),
    ]


# ---- API versions, from what each client writes on standard error ----

SEEN = re.compile(r"apiKey=(\w+), apiVersion=(\d+)|Sent (\w+?)Request \(v(\d+)|wrote (\w+) v(\d+)")
OLD_NAMES = {"ApiVersion": "ApiVersions", "GroupCoordinator": "FindCoordinator", "Offset": "ListOffsets",
             "ListOffset": "ListOffsets"}


# Kafka's Java clients before 2.2 do not log the requests they send, only what they settle on with a broker.
SETTLED = re.compile(r"(\w+)\(\d+\): [^][,]*\[usable: (\d+)\]")


def api_versions(path):
    """{API: sorted versions}"""
    found = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            for match in SEEN.finditer(line):
                name, version = [one for one in match.groups() if one]
                if name.isupper():
                    name = "".join(word.capitalize() for word in name.split("_"))
                found.setdefault(OLD_NAMES.get(name, name), set()).add(int(version))
    return {name: sorted(versions) for name, versions in sorted(found.items())}


def settled_versions(path, apis):
    """Of these APIs: what the client settled on, for one whose log has no requests."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lists = [line for line in file if "Recorded API versions for node" in line]
    found = dict(SETTLED.findall(lists[-1])) if lists else {}
    return {name: [int(found[name])] for name in sorted(apis) if name in found}
