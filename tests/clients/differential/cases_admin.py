# SPDX-License-Identifier: Apache-2.0
"""ApiVersions, Metadata, FindCoordinator, DescribeCluster, topics, partitions, configurations, frames."""

import struct
import time

import messages
from side import Connection, batch

UNKNOWN_ID = "12345678-1234-1234-1234-123456789abc"
LONG = "x" * 249
NAMES = ["", ".", "..", "a b", "a/b", "ü", "x" * 250, LONG, "a\0b", "_", "-", "a.b_c-D9"]


def api_versions(side):
    for version in range(0, 5):
        fields = {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1.0"} if version >= 3 else {}
        answer = side.call("ApiVersions", version, **fields)
        side.note(f"v{version}", {k: v for k, v in answer.items() if k in ("ErrorCode", "ThrottleTimeMs")})
        side.note(f"v{version} self", {"is": [k for k in answer["ApiKeys"] if k["ApiKey"] == 18]})
    for name, software, release in (
        ("empty", "", ""),
        ("blank", "a b", "1"),
        ("dash", "-a", "1"),
        ("no version", "a", ""),
    ):
        side.call("ApiVersions", 3, name, ClientSoftwareName=software, ClientSoftwareVersion=release)
    for version in (5, 99, 32767, -1):
        connection = Connection(side.address)
        connection.send(18, version, b"\0\2a\2b\0", True)
        data = connection.receive()
        side.note(f"unknown v{version}", {"raw": data and data.hex()})
        connection.send(18, 0, b"", False)
        side.note(f"after unknown v{version}", {"raw": bool(connection.receive())})
        connection.close()


def frames(side):
    """Headers and bytes that are odd but may come."""
    for name, client in (("null", None), ("empty", ""), ("long", "c" * 30000), ("not utf-8", b"\xff\xfe")):
        connection = Connection(side.address, client)
        connection.send(3, 1, struct.pack(">i", 0), False)
        side.note(f"client id {name}", {"answered": connection.receive() is not None})
        connection.close()
    for name, key, version, body, flexible in (
        ("trailing bytes", 3, 1, struct.pack(">i", 0) + b"xyz", False),
        ("cut", 3, 1, b"\0", False),
        ("empty body", 3, 1, b"", False),
        ("unknown api", 999, 0, b"", False),
        ("negative api", -1, 0, b"", False),
        ("metadata v14", 3, 14, b"\0" * 10, True),
        ("metadata v-1", 3, -1, b"\0" * 10, False),
        ("produce v2", 0, 2, struct.pack(">hii", 1, 1000, 0), False),
        ("fetch v3", 1, 3, b"\0" * 30, False),
        ("unknown tag", 60, 0, b"\0\1\x55\2ab", True),
        ("controlled shutdown", 7, 0, b"\0" * 10, False),
    ):
        connection = Connection(side.address)
        connection.send(key, version, body, flexible)
        side.note(name, {"answered": connection.receive() is not None})
        connection.close()


def metadata(side):
    topic = side.topic("meta", 3)
    for version in range(0, 14):
        fields = {"IncludeTopicAuthorizedOperations": True} if version >= 8 else {}
        if 8 <= version <= 10:
            fields["IncludeClusterAuthorizedOperations"] = True
        no_create = {"AllowAutoTopicCreation": False} if version >= 4 else {}

        def ask(label, topics):
            side.call("Metadata", version, f"v{version} {label}", Topics=topics, **fields, **no_create)

        ask("one", [{"Name": "meta"}])
        ask("empty", []) if version else None
        ask("twice", [{"Name": "meta"}, {"Name": "meta"}])
        if version >= 4:
            ask("unknown", [{"Name": "meta-unknown"}])
            for name in NAMES:
                ask(f"name {name[:20]!r}", [{"Name": name}])
        if version >= 10:
            ask("id", [{"TopicId": topic, "Name": None}])
            ask("unknown id", [{"TopicId": UNKNOWN_ID, "Name": None}])
            ask("id and name", [{"TopicId": topic, "Name": "meta"}])
            ask("neither", [{"Name": None}])
            ask("id and name mixed", [{"TopicId": topic, "Name": None}, {"Name": "meta"}])
    for version in (0, 1, 4, 9, 12):
        answer = side.call("Metadata", version, Topics=[] if version == 0 else None)
        side.note(f"all v{version}", {"topics": [t for t in answer["Topics"] if t["Name"] == "meta"]})


def without_times(answer):
    return {"errors": [(t["Name"], t["ErrorCode"]) for t in answer["Topics"]]}


def auto_create(side):
    side.call("Metadata", 4, "not allowed", Topics=[{"Name": "auto-no"}], AllowAutoTopicCreation=False)
    for version, name in ((1, "auto-1"), (4, "auto-4"), (9, "auto-9"), (12, "auto-12")):
        side.call("Metadata", version, Topics=[{"Name": name}])
        end = time.monotonic() + 10
        while (
            side.call("Metadata", version, Topics=[{"Name": name}])["Topics"][0]["ErrorCode"]
            and time.monotonic() < end
        ):
            time.sleep(0.05)
        side.call("Metadata", version, f"created v{version}", Topics=[{"Name": name}])
    for name in NAMES:
        if name not in (LONG, "_", "-", "a.b_c-D9"):
            side.call("Metadata", 9, f"bad name {name[:20]!r}", Topics=[{"Name": name}])
    side.topic("auto.collides")
    side.call("Metadata", 9, "collides", Topics=[{"Name": "auto_collides"}])


def find_coordinator(side):
    side.call("FindCoordinator", 4, KeyType=0, CoordinatorKeys=["warm"])
    time.sleep(1.5)
    for version in range(0, 4):
        fields = {"KeyType": 0} if version else {}
        side.call("FindCoordinator", version, f"group v{version}", Key="g", **fields)
        side.call("FindCoordinator", version, f"empty v{version}", Key="", **fields)
        for kind in (2, 3, -1) if version else ():
            side.call("FindCoordinator", version, f"type {kind} v{version}", Key="g", KeyType=kind)
    for version in range(4, 7):
        side.call("FindCoordinator", version, f"groups v{version}", KeyType=0, CoordinatorKeys=["a", "b", "a"])
        side.call("FindCoordinator", version, f"none v{version}", KeyType=0, CoordinatorKeys=[])
        side.call("FindCoordinator", version, f"empty v{version}", KeyType=0, CoordinatorKeys=[""])
        for kind in (2, 3, -1):
            side.call(
                "FindCoordinator", version, f"type {kind} v{version}", KeyType=kind, CoordinatorKeys=["a"]
            )


def describe_cluster(side):
    for version in range(0, 3):
        fields = {"EndpointType": 1} if version else {}
        side.call("DescribeCluster", version, f"v{version}", **fields)
        side.call(
            "DescribeCluster",
            version,
            f"operations v{version}",
            IncludeClusterAuthorizedOperations=True,
            **fields,
        )
    for kind in (0, 2, 3):
        side.call("DescribeCluster", 1, f"endpoint type {kind}", EndpointType=kind)


def creating(side, label, version=7, validate=False, **topic):
    topic = {"NumPartitions": 1, "ReplicationFactor": 1, **topic}
    side.call(
        "CreateTopics",
        version,
        label,
        Topics=[topic],
        TimeoutMs=10000,
        **({"ValidateOnly": True} if validate else {}),
    )


def brief(side, label, version=7, validate=False, **topic):
    """Without the configurations of the answer."""
    topic = {"NumPartitions": 1, "ReplicationFactor": 1, **topic}
    answer = side.call(
        "CreateTopics", version, Topics=[topic], TimeoutMs=10000, **({"ValidateOnly": True} if validate else {})
    )
    side.note(label, {"topics": [{k: v for k, v in t.items() if k != "Configs"} for t in answer["Topics"]]})


def create_topics(side):
    for version in range(2, 8):
        brief(side, f"v{version}", version, Name=f"create-{version}")
        brief(side, f"again v{version}", version, Name=f"create-{version}")
        brief(side, f"validate v{version}", version, True, Name=f"create-validate-{version}")
        brief(side, f"validate again v{version}", version, True, Name=f"create-{version}")
        brief(
            side,
            f"defaults v{version}",
            version,
            Name=f"create-d{version}",
            NumPartitions=-1,
            ReplicationFactor=-1,
        )
    for name in NAMES:
        brief(side, f"name {name[:20]!r}", Name=name)
    for field, numbers in (("NumPartitions", (0, -1, -2, 100001)), ("ReplicationFactor", (0, -1, -2, 2, 300))):
        for number in numbers:
            brief(side, f"{field} {number}", validate=True, Name="create-numbers", **{field: number})
    brief(side, "collision base", Name="create.a_b")
    brief(side, "collision", Name="create_a.b")
    brief(side, "collision validate", validate=True, Name="create_a_b")
    brief(side, "internal name", Name="__transaction_state_x")
    for label, assignments in (
        ("good", [(0, [1])]),
        ("two", [(0, [1]), (1, [1])]),
        ("gap", [(0, [1]), (2, [1])]),
        ("not from 0", [(1, [1])]),
        ("twice partition", [(0, [1]), (0, [1])]),
        ("unknown broker", [(0, [99])]),
        ("no broker", [(0, [])]),
        ("broker twice", [(0, [1, 1])]),
        ("different factors", [(0, [1]), (1, [])]),
        ("negative broker", [(0, [-1])]),
        ("negative partition", [(-1, [1])]),
    ):
        made = [{"PartitionIndex": p, "BrokerIds": ids} for p, ids in assignments]
        name = "create-assigned-" + label.replace(" ", "-")
        brief(side, f"assigned {label}", Name=name, NumPartitions=-1, ReplicationFactor=-1, Assignments=made)
        (
            brief(side, f"assigned {label} with numbers", Name=name + "-n", Assignments=made)
            if label in ("good", "two")
            else None
        )
        (
            brief(
                side,
                f"assigned {label} with partitions",
                Name=name + "-p",
                NumPartitions=1,
                ReplicationFactor=-1,
                Assignments=made,
            )
            if label == "good"
            else None
        )
    for label, configs in (
        ("unknown", [("nonsense", "1")]),
        ("not a number", [("retention.ms", "x")]),
        ("null", [("retention.ms", None)]),
        ("empty", [("retention.ms", "")]),
        ("blanks", [("retention.ms", " 1000 ")]),
        ("too low", [("segment.bytes", "0")]),
        ("negative", [("retention.bytes", "-2")]),
        ("bad list", [("cleanup.policy", "compact,eat")]),
        ("empty list", [("cleanup.policy", "")]),
        ("both policies", [("cleanup.policy", "compact,delete")]),
        ("blank in list", [("cleanup.policy", "compact, delete")]),
        ("bad codec", [("compression.type", "rar")]),
        ("codec", [("compression.type", "zstd")]),
        ("bool", [("preallocate", "maybe")]),
        ("bool case", [("preallocate", "TRUE")]),
        ("twice", [("retention.ms", "1"), ("retention.ms", "2")]),
        ("min isr 0", [("min.insync.replicas", "0")]),
        ("dirty ratio", [("min.cleanable.dirty.ratio", "1.5")]),
        ("max above long", [("retention.ms", "9223372036854775808")]),
        ("lag order", [("min.compaction.lag.ms", "100"), ("max.compaction.lag.ms", "10")]),
        ("format version", [("message.format.version", "2.0")]),
        ("throttled", [("leader.replication.throttled.replicas", "*")]),
        ("throttled bad", [("leader.replication.throttled.replicas", "x")]),
        ("remote", [("remote.storage.enable", "true")]),
        ("timestamp type", [("message.timestamp.type", "Yesterday")]),
        ("max timestamp difference", [("message.timestamp.difference.max.ms", "1")]),
        ("empty name", [("", "1")]),
    ):
        brief(
            side,
            f"config {label}",
            validate=True,
            Name="create-config",
            Configs=[{"Name": k, "Value": v} for k, v in configs],
        )
    both = [{"Name": "create-dup", "NumPartitions": 1, "ReplicationFactor": 1}] * 2
    side.call(
        "CreateTopics",
        4,
        "duplicates",
        Topics=both + [{"Name": "create-beside", "NumPartitions": 1, "ReplicationFactor": 1}],
        TimeoutMs=10000,
    )
    side.call("CreateTopics", 7, "none", Topics=[], TimeoutMs=10000)
    side.call(
        "CreateTopics",
        4,
        "case",
        Topics=[{"Name": "CREATE-2", "NumPartitions": 1, "ReplicationFactor": 1}],
        TimeoutMs=10000,
    )
    side.call(
        "CreateTopics",
        4,
        "timeout 0",
        Topics=[{"Name": "create-t0", "NumPartitions": 1, "ReplicationFactor": 1}],
        TimeoutMs=0,
    )
    side.call(
        "CreateTopics",
        4,
        "timeout -1",
        Topics=[{"Name": "create-t1", "NumPartitions": 1, "ReplicationFactor": 1}],
        TimeoutMs=-1,
    )


def sorted_configs(configs):
    return {c["Name"]: {k: v for k, v in c.items() if k not in ("Name", "Documentation")} for c in configs}


def create_topics_configs(side):
    answer = side.call(
        "CreateTopics",
        7,
        TimeoutMs=10000,
        Topics=[
            {
                "Name": "create-told",
                "NumPartitions": 1,
                "ReplicationFactor": 1,
                "Configs": [
                    {"Name": "retention.ms", "Value": "5"},
                    {"Name": "cleanup.policy", "Value": "compact"},
                ],
            }
        ],
    )
    side.note("configs", sorted_configs(answer["Topics"][0]["Configs"]))


def delete_topics(side):
    for version in range(1, 7):
        name = f"delete-{version}"
        topic = side.topic(name)
        for label in ("there", "gone"):
            if version < 6:
                side.call("DeleteTopics", version, f"{label} v{version}", TopicNames=[name], TimeoutMs=10000)
            else:
                side.call("DeleteTopics", 6, f"by name {label}", Topics=[{"Name": name}], TimeoutMs=10000)
    topic = side.topic("delete-id")
    for label in ("there", "gone"):
        side.call(
            "DeleteTopics", 6, f"by id {label}", Topics=[{"Name": None, "TopicId": topic}], TimeoutMs=10000
        )
    side.call("DeleteTopics", 6, "unknown id", Topics=[{"Name": None, "TopicId": UNKNOWN_ID}], TimeoutMs=10000)
    side.call("DeleteTopics", 6, "neither", Topics=[{"Name": None}], TimeoutMs=10000)
    topic = side.topic("delete-both")
    side.call(
        "DeleteTopics", 6, "id and name", Topics=[{"Name": "delete-both", "TopicId": topic}], TimeoutMs=10000
    )
    side.call(
        "DeleteTopics",
        6,
        "name twice",
        Topics=[{"Name": "delete-both"}, {"Name": "delete-both"}],
        TimeoutMs=10000,
    )
    side.topic("delete-both")
    side.call("DeleteTopics", 5, "name twice v5", TopicNames=["delete-both", "delete-both"], TimeoutMs=10000)
    topic = side.topic("delete-both")
    side.call(
        "DeleteTopics",
        6,
        "id and name of one",
        Topics=[{"Name": "delete-both"}, {"Name": None, "TopicId": topic}],
        TimeoutMs=10000,
    )
    for name in ("", "a b"):
        side.call("DeleteTopics", 5, f"name {name!r}", TopicNames=[name], TimeoutMs=10000)
    side.call("DeleteTopics", 5, "none", TopicNames=[], TimeoutMs=10000)


def create_partitions(side):
    side.topic("more", 2)

    def ask(label, count, assignments=None, version=3, name="more", validate=False):
        made = None if assignments is None else [{"BrokerIds": ids} for ids in assignments]
        side.call(
            "CreatePartitions",
            version,
            label,
            TimeoutMs=10000,
            ValidateOnly=validate,
            Topics=[{"Name": name, "Count": count, "Assignments": made}],
        )

    for count in (0, -1, 1, 2):
        ask(f"count {count}", count)
    for version in range(0, 4):
        ask(f"unknown topic v{version}", 3, version=version, name="more-unknown")
        ask(f"more v{version}", 3 + version, version=version)
    ask("validate", 10, validate=True)
    ask("assigned", 7, [[1]])
    ask("assigned too few", 10, [[1]])
    ask("assigned too many", 8, [[1], [1]])
    ask("assigned none", 8, [])
    ask("assigned unknown broker", 8, [[77]])
    ask("assigned broker twice", 8, [[1, 1]])
    ask("assigned empty", 8, [[]])
    ask("far too many", 1 << 30)
    ask("bad name", 2, name="a b")
    ask("empty name", 2, name="")
    twice = [
        {"Name": "more", "Count": 20, "Assignments": None},
        {"Name": "more", "Count": 30, "Assignments": None},
    ]
    side.call("CreatePartitions", 3, "twice", TimeoutMs=10000, Topics=twice)
    side.call("CreatePartitions", 3, "none", TimeoutMs=10000, Topics=[])
    side.call("Metadata", 9, "what came of it", Topics=[{"Name": "more"}])


def configs_of(side, label, kind, name, keys=None, version=4, **fields):
    answer = side.call(
        "DescribeConfigs",
        version,
        Resources=[{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}],
        **fields,
    )
    if "Results" not in answer:
        side.note(label, answer)
        return
    for result in answer["Results"]:
        configs = sorted_configs(result.pop("Configs"))
        side.note(label, {**result, "Configs": configs})


def describe_configs(side):
    side.topic("described", 1, retention_ms=12345)
    for version in range(1, 5):
        configs_of(side, f"all v{version}", 2, "described", version=version)
    configs_of(side, "synonyms", 2, "described", IncludeSynonyms=True)
    configs_of(side, "two keys", 2, "described", ["retention.ms", "segment.bytes"], IncludeSynonyms=True)
    configs_of(side, "no keys", 2, "described", [])
    configs_of(side, "unknown key", 2, "described", ["nonsense"])
    configs_of(side, "key twice", 2, "described", ["retention.ms", "retention.ms"])
    configs_of(side, "unknown topic", 2, "described-unknown")
    configs_of(side, "bad name", 2, "a b")
    configs_of(side, "empty name", 2, "")
    for kind, name in (
        (4, "1"),
        (4, ""),
        (4, "x"),
        (4, "99"),
        (8, "1"),
        (8, "x"),
        (16, "none"),
        (16, ""),
        (32, "group"),
        (32, ""),
        (0, "x"),
        (1, "x"),
        (3, "x"),
        (64, "x"),
        (-1, "x"),
    ):
        answer = side.call(
            "DescribeConfigs",
            4,
            Resources=[{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": None}],
        )
        side.note(
            f"type {kind} {name!r}",
            {"results": [{k: v for k, v in r.items() if k != "Configs"} for r in answer["Results"]]},
        )
        side.note(
            f"type {kind} {name!r} any", {"some": bool(answer["Results"] and answer["Results"][0]["Configs"])}
        )
    answer = side.call(
        "DescribeConfigs",
        4,
        IncludeDocumentation=True,
        Resources=[{"ResourceType": 2, "ResourceName": "described", "ConfigurationKeys": ["retention.ms"]}],
    )
    side.note("documentation", {"there": bool(answer["Results"][0]["Configs"][0]["Documentation"])})
    twice = [{"ResourceType": 2, "ResourceName": "described", "ConfigurationKeys": ["retention.ms"]}] * 2
    side.call("DescribeConfigs", 4, "resource twice", Resources=twice)
    configs_of(
        side,
        "node keys",
        4,
        "1",
        [
            "log.retention.ms",
            "log.retention.hours",
            "num.partitions",
            "log.segment.bytes",
            "message.max.bytes",
            "compression.type",
            "auto.create.topics.enable",
            "default.replication.factor",
            "min.insync.replicas",
            "log.cleanup.policy",
            "offsets.retention.minutes",
            "group.max.session.timeout.ms",
            "delete.topic.enable",
            "advertised.listeners" * 0 or "num.io.threads",
        ],
        IncludeSynonyms=True,
    )


def alter_configs(side):
    side.topic("altered", 1, retention_ms=1000, cleanup_policy="delete")

    def ask(label, *changes, name="altered", kind=2, version=1, validate=False):
        side.call(
            "IncrementalAlterConfigs",
            version,
            label,
            ValidateOnly=validate,
            Resources=[
                {
                    "ResourceType": kind,
                    "ResourceName": name,
                    "Configs": [{"Name": k, "ConfigOperation": op, "Value": v} for k, op, v in changes],
                }
            ],
        )

    def seen(label):
        time.sleep(0.3)
        configs_of(
            side, label, 2, "altered", ["retention.ms", "cleanup.policy", "segment.bytes", "max.message.bytes"]
        )

    ask("set", ("retention.ms", 0, "2000"))
    ask("set v0", ("retention.ms", 0, "2001"), version=0)
    seen("after set")
    ask("validate", ("retention.ms", 0, "3000"), validate=True)
    ask("append", ("cleanup.policy", 2, "compact"))
    seen("after append")
    ask("append again", ("cleanup.policy", 2, "compact"))
    ask("subtract", ("cleanup.policy", 3, "delete"))
    seen("after subtract")
    ask("subtract all", ("cleanup.policy", 3, "compact"))
    seen("after subtract all")
    ask("append to no list", ("retention.ms", 2, "1"))
    ask("delete", ("retention.ms", 1, None))
    ask("delete again", ("retention.ms", 1, None))
    ask("delete with value", ("retention.ms", 1, "5"))
    ask("delete unknown", ("nonsense", 1, None))
    ask("set unknown", ("nonsense", 0, "1"))
    ask("set null", ("retention.ms", 0, None))
    ask("set empty", ("retention.ms", 0, ""))
    ask("append null", ("cleanup.policy", 2, None))
    ask("operation 4", ("retention.ms", 4, "1"))
    ask("operation -1", ("retention.ms", -1, "1"))
    ask("not a number", ("retention.ms", 0, "x"))
    ask("good and bad", ("retention.ms", 0, "7"), ("segment.bytes", 0, "x"))
    ask("key twice", ("retention.ms", 0, "7"), ("retention.ms", 0, "8"))
    ask("nothing")
    seen("after refusals")
    ask("unknown topic", ("retention.ms", 0, "7"), name="altered-unknown")
    ask("unknown topic and key", ("nonsense", 0, "7"), name="altered-unknown")
    ask("unknown topic, bad value", ("retention.ms", 0, "x"), name="altered-unknown")
    ask("bad name", ("retention.ms", 0, "7"), name="a b")
    ask("empty name", ("retention.ms", 0, "7"), name="")
    for kind, name in (
        (0, "x"),
        (1, "x"),
        (3, "x"),
        (4, "x"),
        (4, "99"),
        (8, "1"),
        (8, "x"),
        (16, "metrics"),
        (32, "group"),
    ):
        ask(f"type {kind} {name!r}", ("nonsense", 0, "7"), name=name, kind=kind)
    ask("node read-only", ("broker.id", 0, "7"), name="1", kind=4)
    ask("node read-only default", ("num.partitions", 0, "7"), name="", kind=4)
    ask("node bad value", ("log.retention.ms", 0, "x"), name="1", kind=4)
    ask("node", ("log.retention.ms", 0, "604800000"), name="", kind=4)
    time.sleep(1)  # Kafka's brokers hear of it later
    configs_of(side, "node default seen", 4, "", ["log.retention.ms"], IncludeSynonyms=True)
    configs_of(side, "topic sees it", 2, "altered", ["retention.ms"], IncludeSynonyms=True)
    ask("node back", ("log.retention.ms", 1, None), name="", kind=4)
    twice = [
        {
            "ResourceType": 2,
            "ResourceName": "altered",
            "Configs": [{"Name": "retention.ms", "ConfigOperation": 0, "Value": v}],
        }
        for v in "12"
    ]
    side.call("IncrementalAlterConfigs", 1, "resource twice", Resources=twice)

    def replace(label, *pairs, name="altered", kind=2, version=2, validate=False):
        side.call(
            "AlterConfigs",
            version,
            label,
            ValidateOnly=validate,
            Resources=[
                {
                    "ResourceType": kind,
                    "ResourceName": name,
                    "Configs": [{"Name": k, "Value": v} for k, v in pairs],
                }
            ],
        )

    for version in range(0, 3):
        replace(f"replace v{version}", ("segment.bytes", "2000000"), version=version)
        seen(f"after replace v{version}")
    replace("replace null", ("segment.bytes", None))
    replace("replace unknown", ("nonsense", "1"))
    replace("replace bad", ("segment.bytes", "x"))
    replace("replace validate", ("retention.ms", "9"), validate=True)
    replace("replace twice", ("retention.ms", "9"), ("retention.ms", "10"))
    replace("replace unknown topic", ("retention.ms", "9"), name="altered-unknown")
    replace("replace unknown topic and key", ("nonsense", "9"), name="altered-unknown")
    replace("replace nothing")
    seen("after replace nothing")


def describe_topic_partitions(side):
    for name in ("dtp-b", "dtp-a", "dtp-c"):
        side.topic(name, 2)

    def ask(label, topics, limit=2000, cursor=None):
        side.call(
            "DescribeTopicPartitions",
            0,
            label,
            Topics=[{"Name": name} for name in topics],
            ResponsePartitionLimit=limit,
            Cursor=cursor,
        )

    ask("three", ["dtp-b", "dtp-a", "dtp-c"])
    ask("twice", ["dtp-a", "dtp-a"])
    ask("unknown", ["dtp-unknown", "dtp-a"])
    ask("bad name", ["a b"])
    ask("empty name", [""])
    for limit in (0, -1, 1, 3, 4):
        ask(f"limit {limit}", ["dtp-a", "dtp-b", "dtp-c"], limit)
    ask("cursor", ["dtp-a", "dtp-b", "dtp-c"], 3, {"TopicName": "dtp-b", "PartitionIndex": 1})
    ask("cursor at 0", ["dtp-a", "dtp-b", "dtp-c"], 3, {"TopicName": "dtp-b", "PartitionIndex": 0})
    ask("cursor behind", ["dtp-a", "dtp-b", "dtp-c"], 3, {"TopicName": "dtp-b", "PartitionIndex": 7})
    ask("cursor between", ["dtp-a", "dtp-c"], 3, {"TopicName": "dtp-b", "PartitionIndex": 0})
    ask("cursor negative", ["dtp-a", "dtp-c"], 3, {"TopicName": "dtp-a", "PartitionIndex": -1})
    ask("cursor unknown", ["dtp-a", "dtp-x"], 3, {"TopicName": "dtp-x", "PartitionIndex": 0})


def update_features(side):
    def ask(label, version, *updates, **fields):
        side.call(
            "UpdateFeatures",
            version,
            label,
            FeatureUpdates=[
                {"Feature": name, "MaxVersionLevel": level, **({"UpgradeType": kind} if version else {})}
                for name, level, kind in updates
            ],
            **fields,
        )

    for version in range(0, 3):
        only = {"ValidateOnly": True} if version else {}
        ask(f"nothing v{version}", version, **only)
        for name, level, kind in (
            ("nosuch", 1, 1),
            ("", 1, 1),
            ("metadata.version", 99, 1),
            ("metadata.version", 22, 2),
            ("metadata.version", 22, 3),
            ("metadata.version", 5, 2),
            ("transaction.version", 2, 1),
            ("transaction.version", 1, 1),
            ("transaction.version", -1, 2),
            ("transaction.version", 3, 1),
        ):
            if version or kind == 1:
                ask(f"{name} to {level} by {kind} v{version}", version, (name, level, kind), **only)
    for kind in (0, 2, 3, 4, -1):
        for level in (1, 2):
            ask(f"level {level} by {kind}", 2, ("transaction.version", level, kind), ValidateOnly=True)
    ask("named twice", 2, ("transaction.version", 2, 1), ("transaction.version", 1, 2), ValidateOnly=True)
    ask("good and bad", 2, ("transaction.version", 1, 2), ("nosuch", 1, 1))
    ask("down", 1, ("transaction.version", 1, 2))
    ask("up by a downgrade", 2, ("transaction.version", 2, 2))
    ask("up", 2, ("transaction.version", 2, 1))


def list_config_resources(side):
    side.topic("listed-resource")
    side.call("ListConfigResources", 0, "v0")
    for types in ([16], [32], [8], [4], [1], [0], [64, 2], [4, 4], [16, 32]):
        side.call("ListConfigResources", 1, f"types {types}", ResourceTypes=types)
    answer = side.call("ListConfigResources", 1, ResourceTypes=[])
    names = [one["ResourceType"] for one in answer["ConfigResources"] if one["ResourceName"] == "listed-resource"]
    side.note("a topic among all", {"types": names})


def describe_quorum(side):
    for version in range(0, 3):
        for label, topics in (
            ("nothing", []),
            ("metadata", [("__cluster_metadata", [0])]),
            ("no partition", [("__cluster_metadata", [])]),
            ("two partitions", [("__cluster_metadata", [0, 1])]),
            ("another topic", [("quorum-other", [0])]),
            ("both", [("__cluster_metadata", [0]), ("quorum-other", [0])]),
        ):
            side.call(
                "DescribeQuorum",
                version,
                f"{label} v{version}",
                Topics=[
                    {"TopicName": name, "Partitions": [{"PartitionIndex": index} for index in indexes]}
                    for name, indexes in topics
                ],
            )


CASES = [
    api_versions,
    frames,
    metadata,
    auto_create,
    find_coordinator,
    describe_cluster,
    create_topics,
    create_topics_configs,
    delete_topics,
    create_partitions,
    describe_configs,
    alter_configs,
    update_features,
    list_config_resources,
    describe_quorum,
    describe_topic_partitions,
]
