# SPDX-License-Identifier: Apache-2.0
"""What the clients meet: millrace (three controllers, three storage nodes, two coordinators), one Apache Kafka node to
prove the scenario itself, or a cluster somebody else runs. All three have the same few verbs."""
import pathlib
import shutil
import signal
import sys
import time

import wire

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import apache_kafka  # noqa: E402
import cluster  # noqa: E402

DEFAULTS = {"num.partitions": "6", "default.replication.factor": "3"}
SETTINGS = {"group.initial.rebalance.delay.ms": "0", "num.partitions": "6"}


class Brokers:
    replication = 1
    can_kill = True
    alone = False  # one node: no other takes over
    directories = {}  # node -> its log.dirs, two of them; of a cluster of somebody else's none is known

    def leader(self, topic, partition=0):
        return wire.Metadata(self.bootstrap, topic).partitions[partition].leader

    def wait_whole(self, topic, wait_s=60):
        """Until every replica of the topic is in sync."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            metadata = wire.Metadata(self.bootstrap, topic)
            if metadata.partitions and all(one.leader >= 0 and len(one.isr) == self.replication
                                           for one in metadata.partitions.values()):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{topic}: not every replica in sync after {wait_s} s")


class Millrace(Brokers):
    name = "millrace"
    replication = 3

    def __init__(self, logs, defaults, nodes=3):
        """nodes: storage nodes and controllers; one of each is what one Apache Kafka node is compared with."""
        self.logs, self.replication = logs, nodes
        delay = {key: defaults.get(key, value) for key, value in SETTINGS.items() if key.startswith("group.")}
        settings = {"all": defaults, "coordinator": delay}
        self.cluster = cluster.Cluster(controllers=nodes, storage=nodes, coordinators=min(nodes, 2), settings=settings)
        self.directories = {node.id: [f"{node.data}/{name}" for name in "ab"] for node in self.cluster.storage}
        for node in self.cluster.storage:
            node.settings["log.dirs"] = ",".join(self.directories[node.id])
            if "replica.selector.class" in defaults:  # it goes by racks; librdkafka's suite knows them by these names
                node.settings["broker.rack"] = f"RACK{node.id}"

    def __enter__(self):
        self.cluster.__enter__()
        self.bootstrap = self.cluster.kafka
        return self

    def __exit__(self, *failure):
        shutil.copytree(pathlib.Path(self.cluster.directory) / "logs", self.logs, dirs_exist_ok=True)
        self.cluster.__exit__(*failure)

    def kill_leader(self, topic):
        """kill -9; the daemon is started again three seconds later, as `millrace up` would."""
        node = self.cluster.node(self.leader(topic))
        node.kill()
        return lambda: (time.sleep(3), node.start())


class ApacheKafka(Brokers):
    name = "Apache Kafka"
    alone = True

    def __init__(self, defaults):
        alike = {key: value for key, value in defaults.items() if "replica" not in key}  # one node has one replica
        self.node = apache_kafka.ApacheKafka({**SETTINGS, **alike}, directories=2)
        self.directories = {1: self.node.directories}
        self.bootstrap = self.node.bootstrap

    def __enter__(self):
        self.node.start(wait_s=180)
        return self

    def __exit__(self, *_):
        self.node.stop()

    def kill_leader(self, _):
        self.node.kill(signal.SIGKILL)
        return self.node.start


class Given(Brokers):
    """A running cluster; nothing of it can be killed."""
    name = "a running cluster"
    can_kill = False

    def __init__(self, bootstrap, replication):
        self.bootstrap, self.replication = bootstrap, replication

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def of(against, logs, defaults=None, replication=3):
    """`logs`: directory where the daemons' logs are kept; `defaults`: settings of topics."""
    if against == "millrace":
        return Millrace(logs, defaults or DEFAULTS)
    return ApacheKafka(defaults or {}) if against == "kafka" else Given(against, replication)
