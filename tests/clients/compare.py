# SPDX-License-Identifier: Apache-2.0
"""Every command-line tool of Kafka that talks to a broker: the same commands to an Apache Kafka node and to millrace, what
they print compared after masking what must differ (ids, times, addresses, figures of speed). Differences that are meant
are in compare.txt, each with its reason; anything else fails.

`run --only compare`; --step WORD takes the commands whose name has it, those that prepare for them included."""
import concurrent.futures
import difflib
import pathlib
import re
import subprocess
import tempfile

import brokers
import scenario
import tools

HERE = pathlib.Path(__file__).resolve().parent
KNOWN = HERE / "compare.txt"
TOOLS = "org.apache.kafka.tools."
MAIN = tools.MAIN | {
    "kafka-groups": TOOLS + "GroupsCommand",
    "kafka-delete-records": TOOLS + "DeleteRecordsCommand",
    "kafka-features": TOOLS + "FeatureCommand",
    "kafka-metadata-quorum": TOOLS + "MetadataQuorumCommand",
    "kafka-transactions": TOOLS + "TransactionsCommand",
    "kafka-cluster": TOOLS + "ClusterTool",
    "kafka-broker-api-versions": TOOLS + "BrokerApiVersionsCommand",
    "kafka-client-metrics": TOOLS + "ClientMetricsCommand",
    "kafka-producer-perf-test": TOOLS + "ProducerPerformance",
    "kafka-consumer-perf-test": TOOLS + "ConsumerPerformance",
    "kafka-verifiable-producer": TOOLS + "VerifiableProducer",
    "kafka-verifiable-consumer": TOOLS + "VerifiableConsumer",
    "kafka-e2e-latency": TOOLS + "EndToEndLatency",
    "kafka-replica-verification": TOOLS + "ReplicaVerificationTool",
}
LINES = "".join(f"key-{number % 7}:value-{number}\n" for number in range(100))
PLANS = {
    "moves": '{"version":1,"partitions":[{"topic":"cmp","partition":0,"replicas":[1]}]}',
    "wrong": '{"version":1,"partitions":[{"topic":"nosuch","partition":0,"replicas":[1]}]}',
    "topics": '{"version":1,"topics":[{"topic":"cmp"}]}',
    "elect": '{"partitions":[{"topic":"cmp","partition":0}]}',
    "delete": '{"version":1,"partitions":[{"topic":"cmp","partition":0,"offset":3}]}',
}
FIGURES = "figures"  # numbers are masked: speed, sizes, times
B = "--bootstrap-server {b}"


def topic_commands():
    tool = "kafka-topics"
    return [
        ("create", tool, f"{B} --create --topic cmp --partitions 3 --replication-factor 1 --config retention.ms=7200000"),
        ("create again", tool, f"{B} --create --topic cmp"),
        ("create if not there", tool, f"{B} --create --topic cmp --if-not-exists"),
        ("create collision", tool, f"{B} --create --topic a.b"),
        ("create colliding", tool, f"{B} --create --topic a_b"),
        ("create bad name", tool, f"{B} --create --topic a/b"),
        ("create bad config", tool, f"{B} --create --topic bad --config retention.ms=x"),
        ("create unknown config", tool, f"{B} --create --topic bad --config nosuch=1"),
        ("create many replicas", tool, f"{B} --create --topic bad --replication-factor 3"),
        ("list", tool, f"{B} --list --exclude-internal"),
        ("describe", tool, f"{B} --describe --topic cmp"),
        ("describe nosuch", tool, f"{B} --describe --topic nosuch"),
        ("describe offline", tool, f"{B} --describe --unavailable-partitions"),
        ("describe under replicated", tool, f"{B} --describe --under-replicated-partitions"),
        ("describe at min isr", tool, f"{B} --describe --at-min-isr-partitions --topic cmp"),
        ("describe overrides", tool, f"{B} --describe --topics-with-overrides --exclude-internal"),
        ("alter partitions", tool, f"{B} --alter --topic cmp --partitions 4"),
        ("alter fewer partitions", tool, f"{B} --alter --topic cmp --partitions 2"),
        ("alter nosuch", tool, f"{B} --alter --topic nosuch --partitions 2"),
    ]


def record_commands():
    topic = "--topic cmp"
    return [
        ("produce", "kafka-console-producer", f"{B} {topic} --reader-property parse.key=true --reader-property key.separator=:",
         LINES),
        ("consume", "kafka-console-consumer", f"{B} {topic} --from-beginning --max-messages 100 --group cmp-group "
         "--formatter-property print.key=true"),
        ("consume partition", "kafka-console-consumer", f"{B} {topic} --partition 0 --offset 0 --max-messages 2 "
         "--formatter-property print.offset=true --formatter-property print.partition=true"),
        ("consume nothing", "kafka-console-consumer", f"{B} {topic} --max-messages 1 --timeout-ms 2000"),
        ("offsets", "kafka-get-offsets", f"{B} {topic}"),
        ("offsets earliest", "kafka-get-offsets", f"{B} {topic} --time earliest"),
        ("offsets max timestamp", "kafka-get-offsets", f"{B} {topic} --time max-timestamp --partitions 1-2"),
        ("offsets earliest local", "kafka-get-offsets", f"{B} {topic} --time earliest-local"),
        ("offsets latest tiered", "kafka-get-offsets", f"{B} {topic} --time latest-tiered"),
        ("offsets of nosuch", "kafka-get-offsets", f"{B} --topic nosuch"),
        ("offsets by pattern", "kafka-get-offsets", f"{B} --topic-partitions cm.*:0-1 --exclude-internal-topics"),
        ("delete records", "kafka-delete-records", f"{B} --offset-json-file {{delete}}"),
        ("offsets after deletion", "kafka-get-offsets", f"{B} {topic} --time earliest"),
        ("producer perf", "kafka-producer-perf-test", f"{B} --topic a.b --num-records 200 --record-size 50 --throughput -1",
         FIGURES),
        ("producer perf in transactions", "kafka-producer-perf-test", f"{B} --topic a.b --num-records 200 --record-size 50 "
         "--throughput -1 --transactional-id cmp-perf --transaction-duration-ms 100", FIGURES),
        ("consumer perf", "kafka-consumer-perf-test", f"{B} --topic a.b --num-records 100 --group cmp-perf", FIGURES),
        ("verifiable producer", "kafka-verifiable-producer", f"{B} --topic a.b --max-messages 5 --throughput 100", FIGURES),
        ("verifiable consumer", "kafka-verifiable-consumer", f"{B} --topic a.b --group-id cmp-verify --max-messages 5 "
         "--reset-policy earliest", FIGURES),
        ("e2e latency", "kafka-e2e-latency", f"{B} --topic a.b --num-records 20 --producer-acks 1 --record-size 20", FIGURES),
    ]


def group_commands():
    tool, group = "kafka-consumer-groups", "--group cmp-group"
    return [
        ("list", tool, f"{B} --list"),
        ("list states", tool, f"{B} --list --state"),
        ("list types", tool, f"{B} --list --type"),
        ("list one state", tool, f"{B} --list --state empty"),
        ("describe", tool, f"{B} --describe {group}"),
        ("describe members", tool, f"{B} --describe {group} --members --verbose"),
        ("describe state", tool, f"{B} --describe {group} --state"),
        ("describe nosuch", tool, f"{B} --describe --group nosuch"),
        ("validate regex", tool, f"{B} --validate-regex cm.*"),
        ("reset to earliest, dry", tool, f"{B} --reset-offsets {group} --topic cmp --to-earliest --dry-run"),
        ("reset to offset", tool, f"{B} --reset-offsets {group} --topic cmp:0 --to-offset 4 --execute"),
        ("reset by duration", tool, f"{B} --reset-offsets {group} --all-topics --by-duration PT1H --dry-run"),
        ("reset to date", tool, f"{B} --reset-offsets {group} --all-topics --to-datetime 2020-01-01T00:00:00.000 --dry-run"),
        ("export", tool, f"{B} --reset-offsets {group} --all-topics --to-current --export"),
        ("delete offsets", tool, f"{B} --delete-offsets {group} --topic cmp:1"),
        ("delete offsets of nosuch", tool, f"{B} --delete-offsets {group} --topic nosuch"),
        ("delete", tool, f"{B} --delete {group}"),
        ("delete nosuch", tool, f"{B} --delete --group nosuch"),
        ("list groups", "kafka-groups", f"{B} --list"),
        ("list consumer groups", "kafka-groups", f"{B} --list --consumer"),
        ("list share groups", "kafka-groups", f"{B} --list --share"),
    ]


def config_commands():
    tool, topic = "kafka-configs", "--entity-type topics --entity-name cmp"
    node, nodes = "--entity-type brokers --entity-name 1", "--entity-type brokers --entity-default"
    group, metrics = "--entity-type groups --entity-name cmp-group", "--entity-type client-metrics --entity-name cmp-metrics"
    return [
        ("describe topic", tool, f"{B} --describe {topic}"),
        ("describe all of topic", tool, f"{B} --describe --all {topic}"),
        ("alter topic", tool, f"{B} --alter {topic} --add-config max.message.bytes=70000,cleanup.policy=[compact,delete]"),
        ("describe altered topic", tool, f"{B} --describe {topic}"),
        ("alter topic wrongly", tool, f"{B} --alter {topic} --add-config retention.ms=x"),
        ("alter topic unknown key", tool, f"{B} --alter {topic} --add-config nosuch=1"),
        ("alter nosuch", tool, f"{B} --alter --entity-type topics --entity-name nosuch --add-config retention.ms=1"),
        ("delete topic config", tool, f"{B} --alter {topic} --delete-config max.message.bytes,cleanup.policy"),
        ("delete config not set", tool, f"{B} --alter {topic} --delete-config segment.ms"),
        ("describe node", tool, f"{B} --describe {node}"),
        ("describe all of node", tool, f"{B} --describe --all {node}"),
        ("alter node", tool, f"{B} --alter {node} --add-config log.cleaner.threads=2,log.retention.ms=100000000"),
        ("describe altered node", tool, f"{B} --describe {node}"),
        ("alter node read-only key", tool, f"{B} --alter {node} --add-config num.partitions=2"),
        ("delete node config", tool, f"{B} --alter {node} --delete-config log.cleaner.threads,log.retention.ms"),
        ("alter all nodes", tool, f"{B} --alter {nodes} --add-config message.max.bytes=2000000"),
        ("describe all nodes", tool, f"{B} --describe {nodes}"),
        ("describe topic with default", tool, f"{B} --describe --all {topic}"),
        ("delete all nodes' config", tool, f"{B} --alter {nodes} --delete-config message.max.bytes"),
        ("describe group", tool, f"{B} --describe --all {group}"),
        ("alter group", tool, f"{B} --alter {group} --add-config consumer.session.timeout.ms=50000"),
        ("describe altered group", tool, f"{B} --describe {group}"),
        ("describe groups", tool, f"{B} --describe --entity-type groups"),
        ("alter group wrongly", tool, f"{B} --alter {group} --add-config consumer.session.timeout.ms=5"),
        ("delete group config", tool, f"{B} --alter {group} --delete-config consumer.session.timeout.ms"),
        ("alter metrics", tool, f"{B} --alter {metrics} --add-config interval.ms=1000,metrics=[a.,b.]"),
        ("describe metrics", tool, f"{B} --describe {metrics}"),
        ("describe loggers", tool, f"{B} --describe --entity-type broker-loggers --entity-name 1"),
        ("alter unknown logger", tool, f"{B} --alter --entity-type broker-loggers --entity-name 1 --add-config nosuch=INFO"),
        ("list metrics", "kafka-client-metrics", f"{B} --list"),
        ("describe by its tool", "kafka-client-metrics", f"{B} --describe --name cmp-metrics"),
        ("describe all by its tool", "kafka-client-metrics", f"{B} --describe"),
        ("alter by its tool", "kafka-client-metrics", f"{B} --alter --name cmp-metrics --interval 5000 --match client_id=a.*"),
        ("alter wrongly by its tool", "kafka-client-metrics", f"{B} --alter --name cmp-metrics --match nosuch=a"),
        ("delete by its tool", "kafka-client-metrics", f"{B} --delete --name cmp-metrics"),
    ]


def cluster_commands():
    features, quorum, moves = "kafka-features", "kafka-metadata-quorum", "kafka-reassign-partitions"
    transactions, elect = "kafka-transactions", "kafka-leader-election"
    return [
        ("describe features", features, f"{B} describe"),
        ("downgrade without force", features, f"{B} upgrade --feature transaction.version=1"),
        ("downgrade, dry", features, f"{B} downgrade --feature transaction.version=1 --dry-run"),
        ("downgrade", features, f"{B} downgrade --feature transaction.version=1"),
        ("upgrade", features, f"{B} upgrade --feature transaction.version=2"),
        ("upgrade too far", features, f"{B} upgrade --feature transaction.version=9"),
        ("upgrade unknown", features, f"{B} upgrade --feature nosuch.version=1"),
        ("downgrade metadata", features, f"{B} downgrade --metadata 3.9"),
        ("describe status", quorum, f"{B} describe --status"),
        ("describe replication", quorum, f"{B} describe --replication"),
        ("describe replication for people", quorum, f"{B} describe --replication --human-readable"),
        ("cluster id", "kafka-cluster", f"cluster-id {B}"),
        ("endpoints", "kafka-cluster", f"list-endpoints {B}"),
        ("unregister nosuch", "kafka-cluster", f"unregister {B} --id 99"),
        ("versions", "kafka-broker-api-versions", B),
        ("log dirs", "kafka-log-dirs", f"{B} --describe --topic-list cmp --broker-list 1"),
        ("log dirs of nosuch node", "kafka-log-dirs", f"{B} --describe --broker-list 99"),
        ("generate moves", moves, f"{B} --generate --topics-to-move-json-file {{topics}} --broker-list 1"),
        ("execute moves", moves, f"{B} --execute --reassignment-json-file {{moves}}"),
        ("execute wrong moves", moves, f"{B} --execute --reassignment-json-file {{wrong}}"),
        ("verify moves", moves, f"{B} --verify --reassignment-json-file {{moves}}"),
        ("list moves", moves, f"{B} --list"),
        ("cancel moves", moves, f"{B} --cancel --reassignment-json-file {{moves}}"),
        ("elect", elect, f"{B} --election-type preferred --path-to-json-file {{elect}}"),
        ("elect unclean", elect, f"{B} --election-type unclean --topic cmp --partition 1"),
        ("elect nosuch", elect, f"{B} --election-type preferred --topic nosuch --partition 0"),
        ("list transactions", transactions, f"{B} list"),
        ("describe transaction", transactions, f"{B} describe --transactional-id cmp-perf"),
        ("describe nosuch transaction", transactions, f"{B} describe --transactional-id nosuch"),
        ("describe producers", transactions, f"{B} describe-producers --topic a.b --partition 0"),
        ("find hanging", transactions, f"{B} find-hanging --broker-id 1"),
        ("forceful termination", transactions, f"{B} forceTerminateTransaction --transactionalId cmp-perf"),
        ("delete topic", "kafka-topics", f"{B} --delete --topic a.b"),
        ("delete nosuch topic", "kafka-topics", f"{B} --delete --topic nosuch"),
        ("delete nosuch topic if there", "kafka-topics", f"{B} --delete --topic nosuch --if-exists"),
    ]


def commands():
    return topic_commands() + record_commands() + group_commands() + config_commands() + cluster_commands()


MASKS = [(re.compile(pattern), mask) for pattern, mask in (
    (r"\b\d{1,3}(\.\d{1,3}){3}[: ]\d+\b|localhost:\d+", "ADDRESS"),
    (r"\b(Epoch|HighWatermark|LeaderEpoch):\s*\d+", r"\1: N"),
    (r"Local controller \d+", "Local controller N"),
    (r"\b\d+ ms ago", "N ms ago"),
    (r'"size":\d+', '"size":N'),
    (r"/[\w./-]*(kafka|millrace|tmp)[\w./-]*", "PATH"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,:]?\d*Z?", "TIME"),
    (r"\b1[5-9]\d{11}\b", "MILLIS"),
    (r"console-consumer-\d+", "CONSUMER"),
    (r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w(-])", "UUID"),
    (r"@[0-9a-f]{4,8}\b", "@HASH"),
)]
NUMBER = re.compile(r"\d+(\.\d+)?")


def masked(text, figures):
    """The lines as they are compared: masked, blanks squeezed, in an order of their own (maps of Java's have none)."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    if figures:
        text = NUMBER.sub("N", text)
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not re.match(r"at (org|java|kafka|scala|net)\.|\.\.\. \d+ more", line)]
    return sorted(set(kept) if figures else kept)


def known():
    """[pattern, reason, times seen]"""
    rows, reason = [], []
    for line in KNOWN.read_text().splitlines():
        if line.startswith("#"):
            reason = reason + [line[1:].strip()]
        elif line:
            rows.append([re.compile(line), " ".join(reason), 0])
        else:
            reason = []
    return rows


class Machine:
    """A JVM that runs tools against one side (java/tools/ManyTools.java)."""

    def __init__(self, side, properties):
        self.side = side
        options = ["-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={properties}"]
        self.process = subprocess.Popen(["java", *options, "-cp", f"{tools.LIB}/*", HERE / "java/tools/ManyTools.java"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, main, words, text):
        """(exit status, what it printed)"""
        data = text.encode()
        head = "\n".join([main, str(len(words)), *words, str(len(data))]) + "\n"
        self.process.stdin.write(head.encode() + data)
        self.process.stdin.flush()
        length = self.process.stdout.readline()
        scenario.check(length, "the tools' JVM has ended")
        status = int(self.process.stdout.readline())
        return status, self.process.stdout.read(int(length)).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Compare:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.properties = self.directory / "log4j2.properties"
        self.properties.write_text("rootLogger.level=OFF\n")
        self.plans = {name: self.directory / f"{name}.json" for name in PLANS}
        for name, path in self.plans.items():
            path.write_text(PLANS[name])
        self.known = known()

    def call(self, machine, tool, arguments, text):
        words = arguments.format(b=machine.side.bootstrap, **self.plans).split()
        status, printed = machine.run(MAIN[tool], words, text)
        return f"{printed}\nended with {status}"

    def differences(self, name, outputs):
        """What is not meant. Lines of Kafka's begin with -, of millrace's with +."""
        lines = [line for line in difflib.unified_diff(*outputs, lineterm="", n=0)
                 if line[0] in "+-" and not re.match(r"(\+\+\+|---) ?$", line)]
        return [line for line in lines if not self.is_known(f"{name}: {line}")]

    def is_known(self, text):
        for row in self.known:
            if row[0].match(text):
                row[2] += 1
                return True
        return False

    def step(self, machines, command):
        name, tool, arguments, *rest = command
        figures, text = FIGURES in rest, next((one for one in rest if one != FIGURES), "")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            raw = list(pool.map(lambda machine: self.call(machine, tool, arguments, text), machines))
        label = f"{tool} {name}"
        for machine, output in zip(machines, raw):
            with open(self.directory / f"{machine.side.name.replace(' ', '-')}.txt", "a") as file:
                file.write(f"==== {label}\n{output}\n")
        found = self.differences(label, [masked(output, figures) for output in raw])
        return label, "ok" if not found else "FAIL: " + "; ".join(found[:6])[:600]

    def run(self, machines, say, word=""):
        results = {}
        for command in commands():
            if word and word not in f"{command[1]} {command[0]}" and command not in topic_commands()[:1]:
                continue
            label, results[label] = self.step(machines, command)
            say(f"{label}: {results[label]}")
        seen = [row for row in self.known if row[2]]
        say(f"{len(results)} commands, {sum(row[2] for row in seen)} lines differ for {len({row[1] for row in seen})} reasons")
        for row in self.known:
            if not row[2] and not word:
                say(f"never seen: {row[0].pattern}")
        return results


def run(say, word=""):
    directory = tempfile.mkdtemp(prefix="millrace-compare-")
    say(f"what the tools printed: {directory}")
    alike = {"num.partitions": "1", "default.replication.factor": "1"}
    with brokers.ApacheKafka(alike) as kafka, brokers.Millrace(directory, alike, nodes=1) as millrace:
        compare = Compare(directory)
        try:
            with Machine(kafka, compare.properties) as one, Machine(millrace, compare.properties) as other:
                return compare.run((one, other), say, word)
        except scenario.Failure as failure:
            return {"compare": f"FAIL: {failure}"}
