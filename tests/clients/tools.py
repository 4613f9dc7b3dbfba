# SPDX-License-Identifier: Apache-2.0
"""Kafka's command-line tools through their everyday commands, each with a look at what it printed. The table of
commands is the test: (step, tool, arguments, standard input, pattern that the output must have)."""
import json
import pathlib
import re
import subprocess
import tempfile

LIB = pathlib.Path(__file__).resolve().parent / "java/kafka/target/lib"
MAIN = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-streams-groups": "org.apache.kafka.tools.streams.StreamsGroupCommand",
}
RECORDS = 1000
LINES = "".join(f"key-{number % 97}\tvalue-{number}\n" for number in range(RECORDS))
LOG = """rootLogger.level=ERROR
rootLogger.appenderRef.err.ref=err
logger.net.name=org.apache.kafka.clients.NetworkClient
logger.net.level=DEBUG
appender.err.type=Console
appender.err.target=SYSTEM_ERR
appender.err.name=err
appender.err.layout.type=PatternLayout
appender.err.layout.pattern=%d %p %c: %m%n
"""


def version():
    """None when they are not installed."""
    found = [path.name for path in LIB.glob("kafka-tools-[0-9]*.jar")]
    return re.search(r"tools-(.*)\.jar", found[0])[1] if found else None


def moved(replication):
    """The nodes that the topic's partitions are to be on."""
    return list(range(replication, 0, -1))


def moves_of_directories(directories):
    """Each node's replicas to its last directory (KIP-113); {directories} is the plan's file."""
    if not directories:
        return []
    moves, plan = "kafka-reassign-partitions", "--reassignment-json-file {directories}"
    there = "".join(rf'(?=.*"tools-5","size":\d+,"offsetLag":0,"isFuture":false[^]]*\],"error":null,"logDir":"{paths[-1]}")'
                    for paths in directories.values())
    return [
        ("move to directories", moves, f"--execute {plan} --replica-alter-log-dirs-throttle 10000000", None,
         r"Successfully started moving log directory to .* for replica tools-5 with broker \d"),
        ("verify directories", moves, f"--verify {plan}", None,
         r"(?s)Reassignment of replica tools-5-\d completed successfully.*Clearing broker-level throttles"),
        ("describe directories", "kafka-log-dirs", "--describe --topic-list tools", None, f"(?s){there}"),
        ("consume what was moved", "kafka-console-consumer",
         f"--topic tools --from-beginning --max-messages {RECORDS}", None, rf"(?s:(value-\d+\n){{{RECORDS}}})"),
    ]


def commands(replication, directories):
    """In their order; arguments are split at spaces; {plan} is the file of a reassignment."""
    moves, plan = "kafka-reassign-partitions", "--reassignment-json-file {plan}"
    topics, groups, configs, offsets = "kafka-topics", "kafka-consumer-groups", "kafka-configs", "kafka-get-offsets"
    producer, consumer = "kafka-console-producer", "kafka-console-consumer"
    group = "--group tools-group --topic tools"
    return [
        ("create", topics, f"--create --topic tools --partitions 3 --replication-factor {replication} "
         "--config retention.ms=7200000", None, r"Created topic tools"),
        ("create again", topics, "--create --topic tools --if-not-exists", None, ""),
        ("list", topics, "--list", None, r"(?m)^tools$"),
        ("describe", topics, "--describe --topic tools", None,
         rf"PartitionCount: 3\s+ReplicationFactor: {replication}\s+Configs: .*retention.ms=7200000"
         r"(?s:.*)Partition: 2\s+Leader: \d"),
        ("add partitions", topics, "--alter --topic tools --partitions 6", None, ""),
        ("describe added", topics, "--describe --topic tools", None, r"PartitionCount: 6(?s:.*)Partition: 5\s+Leader: \d"),
        ("produce", producer, "--topic tools --reader-property parse.key=true --compression-codec zstd "
         "--command-property enable.idempotence=true", LINES, ""),
        ("consume", consumer, f"--topic tools --group tools-group --from-beginning --max-messages {RECORDS} "
         "--formatter-property print.key=true", None, rf"(?s:(key-\d+\tvalue-\d+\n){{{RECORDS}}})"),
        ("consume one partition", consumer, "--topic tools --partition 0 --offset earliest --max-messages 10", None,
         r"(?s:(value-\d+\n){10})"),
        ("list groups", groups, "--list", None, r"(?m)^tools-group$"),
        ("list group states", groups, "--list --state", None, r"tools-group\s+.*(?i:empty)"),
        ("describe group", groups, "--describe --group tools-group", None,
         r"(?s:(tools-group\s+tools\s+\d\s+(\d+)\s+\2\s+0\s.*?){6})"),
        ("describe group state", groups, "--describe --group tools-group --state", None, r"tools-group.*Empty"),
        ("describe group members", groups, "--describe --group tools-group --members", None, r"CONSUMER-ID"),
        ("reset offsets, dry", groups, f"--reset-offsets {group} --shift-by -5 --dry-run", None, r"tools-group\s+tools"),
        ("reset offsets", groups, f"--reset-offsets {group} --to-earliest --execute", None,
         r"(?s:(tools-group\s+tools\s+\d\s+0\s*?){6})"),
        ("describe after reset", groups, "--describe --group tools-group", None,
         r"(?s:(tools-group\s+tools\s+\d\s+0\s+(\d+)\s+\2\s.*?){6})"),
        ("delete offsets", groups, f"--delete-offsets {group}", None, r"(?i)success"),
        ("delete group", groups, "--delete --group tools-group", None, r"successful"),
        ("describe config", configs, "--describe --entity-type topics --entity-name tools", None, r"retention.ms=7200000"),
        ("alter config", configs, "--alter --entity-type topics --entity-name tools "
         "--add-config max.message.bytes=70000,cleanup.policy=[compact,delete]", None, r"Completed updating"),
        ("describe altered", configs, "--describe --entity-type topics --entity-name tools", None,
         r"(?s)(?=.*max.message.bytes=70000)(?=.*cleanup.policy=compact,delete)"),
        ("delete config", configs, "--alter --entity-type topics --entity-name tools "
         "--delete-config max.message.bytes,cleanup.policy", None, r"Completed updating"),
        ("describe all", configs, "--describe --all --entity-type topics --entity-name tools", None,
         r"(?s)(?=.*max.message.bytes=1048588)(?=.*cleanup.policy=delete)"),
        ("describe broker", configs, "--describe --all --entity-type brokers --entity-name 1", None,
         r"(?s)(?=.*advertised.listeners=)(?=.*num.partitions=)"),
        ("latest offsets", offsets, "--topic tools --time latest", None, r"(?s:(tools:\d:\d+\n){6})"),
        ("earliest offsets", offsets, "--topic tools --time earliest", None, r"(?s:(tools:\d:0\n){6})"),
        ("offsets by time", offsets, "--topic tools --time 1000", None, r"(?s:(tools:\d:0\n){6})"),
        ("move", moves, f"--execute {plan} --throttle 10000000", None,
         r"Successfully started partition reassignments? for tools-0,.*tools-5"),
        ("list moves", moves, "--list", None, r"(Current|No) partition reassignments"),
        ("verify moves", moves, f"--verify {plan}", None,
         r"(?s)Reassignment of partition tools-5 is completed.*Clearing topic-level throttles"),
        ("describe moved", topics, "--describe --topic tools", None,
         r"(?s)(Partition: \d\s+Leader: \d\s+Replicas: " + ",".join(map(str, moved(replication))) + r"\s.*?){6}"),
        ("cancel moves", moves, f"--cancel {plan}", None, r"None of the specified partition .* active"),
        ("describe log dirs", "kafka-log-dirs", "--describe --topic-list tools --broker-list 1", None,
         r'(?s)"broker":1,(?=.*"logDir":"/)(?=.*"partition":"tools-5","size":\d+,"offsetLag":0,"isFuture":false)'),
        *moves_of_directories(directories),
        ("elect", "kafka-leader-election", "--election-type preferred --all-topic-partitions", None, ""),
        ("elect again", "kafka-leader-election", "--election-type preferred --topic tools --partition 0", None,
         r"(?i)(success|already)"),
        ("delete topic", topics, "--delete --topic tools", None, ""),
        ("list without it", topics, "--list", None, r"\A(?!(?s:.*)^tools$)"),
    ]


class Tools:
    """Looks like a client to the report."""
    name = "Apache Kafka's tools"

    def __init__(self, brokers, directory):
        self.brokers, self.version = brokers, version()
        self.log = tempfile.NamedTemporaryFile("w", dir=directory, prefix="tools-", suffix=".log", delete=False)
        self.properties = pathlib.Path(directory) / "tools-log4j2.properties"
        self.properties.write_text(LOG)
        nodes = moved(brokers.replication)
        rows = [{"topic": "tools", "partition": p, "replicas": nodes} for p in range(6)]
        self.plans = {"plan": self.write_plan(directory, "plan", rows)}
        if brokers.directories:
            paths = [brokers.directories[node][-1] for node in nodes]
            self.plans["directories"] = self.write_plan(directory, "directories",
                                                        [{**row, "log_dirs": paths} for row in rows])

    @staticmethod
    def write_plan(directory, name, rows):
        path = pathlib.Path(directory) / f"tools-{name}.json"
        path.write_text(json.dumps({"version": 1, "partitions": rows}))
        return path

    def call(self, tool, arguments, text):
        options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={self.properties}"]
        command = ["java", *options, "-cp", f"{LIB}/*", MAIN[tool], "--bootstrap-server", self.brokers.bootstrap,
                   *arguments.format(**self.plans).split()]
        return subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=self.log, text=True, timeout=120)

    def step(self, tool, arguments, text, pattern):
        try:
            done = self.call(tool, arguments, text)
        except subprocess.TimeoutExpired:
            return "FAIL: no end after 120 s"
        if done.returncode:
            return f"FAIL: ended with {done.returncode}: {done.stdout[-300:]}"
        if not re.search(pattern, done.stdout, re.M):
            return f"FAIL: printed {done.stdout[-400:]!r}, not {pattern}"
        return "ok"

    def run(self, say):
        results = {}
        for step, tool, arguments, text, pattern in commands(self.brokers.replication, self.brokers.directories):
            name = f"{tool} {step}"
            results[name] = self.step(tool, arguments, text, pattern)
            say(f"{name}: {results[name]}")
        return results
