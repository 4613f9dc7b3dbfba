# SPDX-License-Identifier: Apache-2.0
# `millrace why`: every cause is made, and the sentence is read. Besides `group lag`, `quorum` and `features`, which ask
# the same admin ports.
import base64
import errno
import json
import os
import re
import threading
import time

import pytest

import cluster as lib
import consumer_member
import share_member
from cluster import Cluster, wait_until
from member import Member
from produce import Connection, packed, records
from rest import Registry
from transactional import Producer

FOUND = 5
FAST = {"coordinator": {"group.initial.rebalance.delay.ms": 0, "millrace.lag.interval.ms": 300}}


def run(cluster, *arguments, check=True):
    os.environ["MILLRACE_ADMIN"] = ",".join("127.0.0.1:%d" % d.http_port for d in cluster.daemons)
    try:
        return cluster.cli(*arguments, check=check)
    finally:
        del os.environ["MILLRACE_ADMIN"]


def why(cluster, subject, name):
    """{cause: sentence} and the exit code; the text without --json has the same sentences."""
    done = run(cluster, "why", subject, name, "--json", check=False)
    assert done.returncode in (0, FOUND), (done.returncode, done.stdout, done.stderr)
    causes = {c["cause"]: c["text"] for c in json.loads(done.stdout)["causes"]}
    assert (done.returncode == FOUND) == bool(causes), done.stdout
    return causes


def wait_cause(cluster, subject, name, cause, seconds=20):
    return wait_until(lambda: why(cluster, subject, name).get(cause), seconds, "why %s to tell %s" % (subject, cause),
                      every=0.2)


@pytest.fixture(scope="module")
def one():
    with Cluster(settings=FAST) as cluster:
        yield cluster


@pytest.fixture
def topic(one, request):
    name = "t-" + request.node.name.replace("[", "-").replace("]", "")[:60]
    one.create_topic(name, partitions=2)
    return name


def commit(cluster, group, topic, offset):
    cluster.cli("group", "reset", group, "-t", topic, "--to-offset", offset, "--execute")


class Beating:
    """A member that is alive: its heartbeats go on in a thread."""

    def __init__(self, member):
        self.member, self.stop = member, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(0.3):
            self.member.heartbeat()

    def __enter__(self):
        self.thread.start()
        return self.member

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.member.close()


# ---- groups ----

def test_a_group_that_has_read_everything_has_no_cause(one, topic):
    one.produce(topic, ["x"] * 3, "-p", 0)
    commit(one, topic, topic + ":0", 3)
    done = run(one, "why", "group", topic)
    assert done.returncode == 0 and "has read everything" in done.stdout, done.stdout


def test_a_group_nobody_knows_is_no_cause_but_an_error(one):
    done = run(one, "why", "group", "nobody-knows-it", check=False)
    assert done.returncode == 1 and "there is no such group" in done.stderr, done.stderr


def test_a_group_without_members_says_so(one, topic):
    one.produce(topic, ["x"] * 7, "-p", 0)
    commit(one, topic, topic + ":0", 2)
    text = why(one, "group", topic)["no_members"]
    assert "has no members" in text and "5 records wait" in text, text
    assert text in run(one, "why", "group", topic, check=False).stdout


def test_a_rebalance_names_the_member_that_does_not_poll(one, topic):
    one.produce(topic, ["x"] * 3, "-p", 0)
    first = Member(one.storage[0], topic, [topic]).enter({topic: [0, 1]})
    first.commit(topic, 0, 0)
    with Beating(first):
        second = Member(one.storage[0], topic, [topic])
        waiting = threading.Thread(target=lambda: _quietly(second.join), daemon=True)
        waiting.start()
        text = wait_cause(one, "group", topic, "rebalance_join")
        assert first.id in text and "does not poll" in text and "the rebalance goes on in" in text, text
        second.close()


def test_a_rebalance_names_the_leader_that_hands_out_nothing(one, topic):
    one.produce(topic, ["x"] * 3, "-p", 0)
    commit(one, topic, topic + ":0", 0)
    member = Member(one.storage[0], topic, [topic])
    assert member.join()
    text = wait_cause(one, "group", topic, "rebalance_sync")
    assert member.id in text and "to hand out the partitions" in text, text
    member.close()


def test_a_first_rebalance_waits_for_more_members():
    with Cluster(settings={"coordinator": {"group.initial.rebalance.delay.ms": 30000}}) as cluster:
        cluster.create_topic("t")
        commit(cluster, "g", "t", 0)
        member = Member(cluster.storage[0], "g", ["t"])
        threading.Thread(target=lambda: _quietly(member.join), daemon=True).start()
        text = wait_cause(cluster, "group", "g", "rebalance_delay")
        assert "waits for more members" in text, text
        member.close()


def _quietly(action):
    try:
        action()
    except (OSError, ConnectionError):
        pass  # the test has closed the connection


def test_a_member_that_is_alive_but_commits_nothing_is_named(one, topic):
    one.produce(topic, ["x"] * 9, "-p", 0)
    with Beating(Member(one.storage[0], topic, [topic]).enter({topic: [0, 1]})) as member:
        member.commit(topic, 0, 4)
        text = wait_cause(one, "group", topic, "not_committing", 30)
        assert member.id in text and "5 records wait" in text and "has committed nothing for" in text, text


def test_a_member_of_the_new_protocol_that_commits_nothing_is_named(one, topic):
    """KIP-848: lag, members and causes are told of these groups, too."""
    one.produce(topic, ["x"] * 9, "-p", 0)
    member = consumer_member.Member(one.storage[0], topic, "m-" + topic, [topic])

    def assigned():
        member.live()
        return member.has == {(topic, 0), (topic, 1)}
    wait_until(assigned)
    member.commit(topic, 0, 4)

    def told():
        member.live()
        return why(one, "group", topic).get("not_committing")
    text = wait_until(told, 30, every=0.5)
    assert "m-" + topic in text and "5 records wait" in text and "heard" not in text, text
    row = next(g for g in json.loads(run(one, "group", "lag", "--json").stdout) if g["group"] == topic)
    assert (row["state"], row["members"], row["lag"]) == ("Stable", 1, 5), row
    member.heartbeat(consumer_member.LEAVE)
    assert "has no members, and 5 records wait" in wait_cause(one, "group", topic, "no_members")


def test_a_partition_that_no_member_has_is_told(one, topic):
    one.produce(topic, ["x"] * 9, "-p", 1)
    commit(one, topic, topic + ":1", 1)
    with Beating(Member(one.storage[0], topic, [topic]).enter({topic: [0]})):
        text = wait_cause(one, "group", topic, "unassigned")
        assert topic + "-1" in text and "no member has the partition" in text, text


def test_lag_that_grows_tells_both_rates(one, topic):
    with Beating(Member(one.storage[0], topic, [topic]).enter({topic: [0]})) as member:
        member.commit(topic, 0, 0)

        def grows():
            one.produce(topic, ["x"] * 50, "-p", 0)
            grows.offset += 1
            member.commit(topic, 0, grows.offset)
            return why(one, "group", topic).get("lag_grows")
        grows.offset = 0
        text = wait_until(grows, 30)
        assert "records per second" in text and "grows" in text, text


def test_an_open_transaction_is_named_with_its_producer(one, topic):
    producer = Producer(one.storage[0], "tx-" + topic, new_flow=True)
    wait_until(lambda: producer.init() == 0)
    wait_until(lambda: producer.produce(topic, 0, [b"a", b"b"])[0] == 0)
    commit(one, topic, topic + ":0", 0)
    text = wait_cause(one, "group", topic, "open_transaction")
    assert "tx-" + topic in text and "last stable offset at 0, 2 records before the end" in text, text
    assert "open for" in text and "read_committed" in text, text
    assert producer.end(commit=True) == 0
    wait_until(lambda: "open_transaction" not in why(one, "group", topic))


def test_offsets_outside_the_log_are_told(one, topic):
    one.produce(topic, ["x"] * 9, "-p", 0)
    commit(one, topic, topic + ":0", 2)
    one.cli("topic", "delete-records", topic, "-p", 0, "--before", 6)
    text = wait_cause(one, "group", topic, "committed_below_start")
    assert "offset 2 lies below the start of the log, 6: 4 records were deleted unread" in text, text
    member = Member(one.storage[0], topic + "-2", [topic]).enter({topic: [0]})
    member.commit(topic, 0, 100)
    text = wait_cause(one, "group", topic + "-2", "committed_above_end")
    assert "offset 100 lies behind the end of the log, 9" in text, text
    member.close()


def test_a_group_and_a_topic_tell_of_a_partition_that_is_offline():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.cli("topic", "create", "t", "--partitions", 2, "--replication-factor", 1)
        for index in (0, 1):
            cluster.produce("t", ["x"] * 4, "-p", index)
        commit(cluster, "g", "t", 1)
        gone = cluster.leader("t", 0)
        gone.kill()
        text = wait_until(
            lambda: "is down" in (found := wait_cause(cluster, "group", "g", "partition_offline")) and found)
        assert "t-0 is offline" in text and "node %d is down" % gone.id in text, text
        assert why(cluster, "topic", "t")["partition_offline"] == text


# ---- share groups (KIP-932) ----

def share(cluster, topic, *settings, count=0, has=2):
    """A member of the share group of the topic's name, which reads it from its start."""
    for setting in ("share.auto.offset.reset=earliest", *settings):
        cluster.cli("config", "set", setting, "--group", topic)
    if count:
        cluster.produce(topic, ["x"] * count, "-p", 0)
    member = share_member.Share(cluster.storage[0], topic, "m1", [topic])
    member.join(has, 60)
    return member


def test_a_share_group_that_has_nothing_to_read_has_no_cause(one, topic):
    member = share(one, topic, count=2)
    member.gets(2)
    member.acknowledge({(topic, 0): [(0, 1, share_member.ACCEPT)]})
    done = run(one, "why", "group", topic)
    assert done.returncode == 0 and "has nothing to read" in done.stdout, done.stdout


def test_a_share_group_without_members_says_so(one, topic):
    member = share(one, topic, count=3)
    member.heartbeat(-1)
    assert "has not begun to read" in why(one, "group", topic)["no_members"]
    member = share(one, topic)
    member.gets(3)
    member.acknowledge({(topic, 0): [(0, 0, share_member.ACCEPT)]}, epoch=share_member.LAST)
    member.heartbeat(-1)
    wait_until(lambda: "2 records wait" in why(one, "group", topic).get("no_members", ""))


def test_a_share_group_whose_topic_does_not_exist_says_so(one, topic):
    member = share_member.Share(one.storage[0], topic, "m1", ["not-there"])
    assert member.heartbeat() == 0
    text = why(one, "group", topic)["no_assignment"]
    assert "m1" in text and "topics that do not exist: not-there" in text, text


def test_a_member_of_a_share_group_that_is_silent_is_named(one, topic):
    member = share_member.Share(one.storage[0], topic, "m1", [topic])
    assert member.heartbeat() == 0 and not member.has
    assert "m1" in wait_cause(one, "group", topic, "no_assignment")
    assert "has sent no heartbeat since" in why(one, "group", topic)["no_assignment"]


def test_a_share_group_whose_members_do_not_poll_says_so(one, topic):
    share(one, topic, count=1)
    assert topic + "-" in why(one, "group", topic)["not_fetching"]


def test_records_that_members_hold_are_told_with_who_has_them(one, topic):
    member = share(one, topic, count=4)
    member.gets(4)
    text = why(one, "group", topic)["locks_held"]
    assert "all 4 records" in text and "member m1 has 4 from offset 0 on, for at most" in text, text
    member.acknowledge({(topic, 0): [(1, 1, share_member.RELEASE)]})
    assert why(one, "group", topic) == {}


def test_as_many_records_as_may_be_held_are_told(one, topic):
    member = share(one, topic, "share.partition.max.record.locks=100", count=120)
    member.gets(100)
    text = why(one, "group", topic)["locks_full"]
    assert "100 records are held" in text and "share.partition.max.record.locks" in text and "member m1" in text, text


def test_a_last_delivery_is_told(one, topic):
    member = share(one, topic, "share.delivery.count.limit=2", count=1)
    member.gets(1)
    member.acknowledge({(topic, 0): [(0, 0, share_member.RELEASE)]})
    member.gets(1)
    text = why(one, "group", topic)["last_delivery"]
    assert "1 records are delivered for the last time" in text and "limit is 2" in text, text


@pytest.mark.parametrize("name,made,words", [
    ("dlq.%s", False, "it does not exist"), ("dlq.%s", True, "its errors.deadletterqueue.group.enable is not true"),
    ("other.%s", True, "its name does not begin as")], ids=["missing", "closed", "misnamed"])
def test_dead_letters_that_are_not_taken_are_told(one, topic, name, made, words):
    dead = name % topic
    if made:
        one.create_topic(dead)
    member = share(one, topic, "errors.deadletterqueue.topic.name=" + dead, count=1)
    member.gets(1)
    member.acknowledge({(topic, 0): [(0, 0, share_member.REJECT)]})
    assert words in why(one, "group", topic)["dead_letters"]


def state_partition(cluster, group, topic, index=0):
    """Of __share_group_state, that of a partition: the absolute value of Java's String.hashCode of the key."""
    topic_id = next(key for key, name in consumer_member.topics(cluster.storage[0]).items() if name == topic)
    key = "%s:%s:%d" % (group, base64.urlsafe_b64encode(topic_id.bytes).decode().rstrip("="), index)
    value = 0
    for char in key:
        value = (value * 31 + ord(char)) & 0xffffffff
    return abs(value - (value >> 31 << 32)) % 50


def test_a_share_group_tells_of_state_that_cannot_be_kept_and_of_a_node_that_is_away():
    settings = {"controller": {"share.coordinator.state.topic.replication.factor": 1}, **FAST}
    with Cluster(storage=2, settings=settings) as cluster:
        cluster.cli("topic", "create", "t", "--partitions", 2, "--replication-factor", 1)
        share_member.Share(cluster.storage[0], "warm", "m", ["t"]).join(2, 60)
        stays, gone = cluster.leader("t", 0), cluster.leader("t", 1)
        assert gone is not stays
        away = {p["partition"] for t in cluster.metadata()["topics"] if t["topic"] == "__share_group_state"
                for p in t["partitions"] if p["leader"] == gone.id}
        begun, begins = [name for name in map("g{}".format, range(100)) if state_partition(cluster, name, "t") in away][:2]
        cluster.cli("config", "set", "share.auto.offset.reset=earliest", "--group", begun)
        cluster.produce("t", ["x"], "-p", 0)
        member = share_member.Share(stays, begun, "m1", ["t"])
        member.join(2, 60)
        member.gets(1)
        gone.kill()
        wait_until(lambda: cluster.partition("t", 1)["leader"] == -1)
        waits = threading.Thread(target=lambda: _quietly(lambda: member.acknowledge(
            {("t", 0): [(0, 0, share_member.ACCEPT)]})), daemon=True)
        waits.start()
        assert "t-0: its share coordinator has not answered" in wait_cause(cluster, "group", begun, "state_unwritten")
        assert "Partition t-1 is offline" in why(cluster, "group", begun)["partition_offline"]
        late = share_member.Share(stays, begins, "m1", ["t"])
        wait_until(lambda: late.heartbeat() == 0, 30)
        text = wait_cause(cluster, "group", begins, "not_initialized")
        told = re.search(r"^t-(\d) is not given to members: partition (\d+) of __share_group_state", text)
        assert int(told[2]) == state_partition(cluster, begins, "t", int(told[1])), text
        assert "Partition __share_group_state-" in why(cluster, "group", begins)["partition_offline"]


# ---- topics ----

def test_a_replica_whose_node_is_down_is_told_and_min_isr_too():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.create_topic("t", replication=2, min_insync_replicas=2)
        cluster.produce("t", ["x"])
        cluster.wait_isr("t", 2)
        assert "every replica is in sync" in run(cluster, "why", "topic", "t").stdout
        leader = cluster.leader("t")
        other = next(d for d in cluster.storage if d is not leader)
        other.kill()
        text = wait_cause(cluster, "topic", "t", "replica_down")
        assert "node %d, which has a replica, is down" % other.id in text, text
        assert "min.insync.replicas wants 2" in wait_cause(cluster, "topic", "t", "under_min_isr")


def test_a_replica_whose_disk_failed_is_told():
    with Cluster(storage=2, settings=FAST, diskfault=True) as cluster:
        cluster.create_topic("t", replication=2)
        cluster.wait_isr("t", 2)
        leader = cluster.leader("t")
        other = next(d for d in cluster.storage if d is not leader)
        other.fail_disk("write", "/t-0/", error=errno.EIO)
        cluster.produce("t", ["x" * 1000] * 2000)
        text = wait_cause(cluster, "topic", "t", "replica_failed", 40)
        assert "node %d cannot be used" % other.id in text, text


def test_a_replica_that_catches_up_throttled_is_told_with_its_rate():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.create_topic("t", replication=2)
        cluster.wait_isr("t", 2)
        leader = cluster.leader("t")
        other = next(d for d in cluster.storage if d is not leader)
        cluster.cli("topic", "alter", "t", "-c", "follower.replication.throttled.replicas=*")
        cluster.cli("config", "set", "follower.replication.throttled.rate=1000", "--broker", other.id)
        other.kill()
        cluster.wait_isr("t", 1)
        cluster.produce("t", ["x" * 1000] * 3000)
        other.start().wait_ready()
        text = wait_cause(cluster, "topic", "t", "replica_throttled")
        assert "node %d is" % other.id in text and "throttled to 1000 bytes per second" in text, text


def test_a_replica_that_is_behind_is_told_with_how_far():
    settings = dict(FAST, storage={"replica.lag.time.max.ms": 1000})
    with Cluster(storage=2, settings=settings) as cluster:
        cluster.create_topic("t", replication=2)
        cluster.wait_isr("t", 2)
        leader = cluster.leader("t")
        other = next(d for d in cluster.storage if d is not leader)
        other.freeze()
        try:
            cluster.produce("t", ["x"] * 5, "-X", "topic.acks=1", "-p", 0)

            def told():
                found = why(cluster, "topic", "t")
                return found.get("replica_behind") or found.get("replica_down")
            text = wait_until(told, 30)
            assert "5 records behind" in text and "node %d" % other.id in text, text
        finally:
            other.thaw()


# ---- transactions ----

def test_an_open_transaction_tells_its_age_and_time_out_and_whether_its_producer_writes(one, topic):
    producer = Producer(one.storage[0], "open-" + topic, new_flow=True, timeout_ms=60000)
    wait_until(lambda: producer.init() == 0)
    assert "no open transaction" in run(one, "why", "txn", "open-" + topic).stdout
    wait_until(lambda: producer.produce(topic, 1, [b"a"])[0] == 0)
    found = why(one, "txn", "open-" + topic)
    assert "has been open for" in found["transaction_open"] and "is aborted in" in found["transaction_open"], found
    assert "producer_silent" not in found
    text = wait_cause(one, "txn", "open-" + topic, "producer_silent", 30)
    assert "has written nothing for" in text, text
    assert producer.end(commit=False) == 0
    wait_until(lambda: why(one, "txn", "open-" + topic) == {})


def test_a_transaction_that_waits_for_a_marker_names_the_partition():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.cli("topic", "create", "t", "--partitions", 2, "--replication-factor", 1)
        staying = cluster.storage[0]
        index = next(p for p in (0, 1) if cluster.partition("t", p)["leader"] == staying.id)
        gone = cluster.leader("t", 1 - index)
        producer = Producer(staying, "tx")
        wait_until(lambda: producer.init() == 0)
        wait_until(lambda: producer.add("t", index) == 0)
        wait_until(lambda: producer.add("t", 1 - index) == 0)
        assert producer.produce("t", index, [b"a"])[0] == 0
        gone.kill()
        wait_until(lambda: cluster.partition("t", 1 - index)["leader"] < 0)
        wait_until(lambda: producer.end(commit=True) == 0)
        found = wait_until(
            lambda: "is down" in (told := why(cluster, "txn", "tx")).get("partition_offline", "") and told)
        assert "is being committed" in found["marker_missing"], found
        assert "marker in t-%d, which is offline" % (1 - index) in found["marker_missing"], found
        assert "node %d is down" % gone.id in found["partition_offline"], found
        gone.start().wait_ready()
        wait_until(lambda: why(cluster, "txn", "tx") == {})


# ---- neighbours ----

def test_lag_of_one_group_and_of_all(one, topic):
    one.produce(topic, ["x"] * 8, "-p", 0)
    commit(one, topic, topic + ":0", 3)
    row = json.loads(run(one, "group", "lag", topic, "--json").stdout)[0]
    assert (row["topic"], row["partition"], row["committed"], row["end"], row["lag"]) == (topic, 0, 3, 8, 5), row
    assert row["age_ms"] >= 0 and row["state"] in ("ok", "grows"), row
    groups = json.loads(run(one, "group", "lag", "--json").stdout)
    assert {"group": topic, "state": "Empty", "members": 0}.items() <= next(
        g for g in groups if g["group"] == topic).items()
    assert "LAG" in run(one, "group", "lag", topic).stdout
    assert run(one, "group", "lag", "nobody-knows-it", check=False).returncode == 1


def test_without_a_daemon_that_answers_the_exit_code_is_3(one):
    done = one.cli("group", "lag", "--admin", "127.0.0.1:1", check=False)
    assert done.returncode == 3 and "no daemon answers" in done.stderr, done.stderr


def test_quorum_names_the_leader_and_who_is_missing():
    with Cluster(controllers=3) as cluster:
        rows = json.loads(run(cluster, "quorum", "--json").stdout)
        assert sorted(r["controller"] for r in rows) == [3001, 3002, 3003]
        assert sorted(r["role"] for r in rows) == ["follower", "follower", "leader"] and all(r["voter"] for r in rows)
        assert all(r["lag"] < 100 for r in rows), rows
        follower = next(r["controller"] for r in rows if r["role"] == "follower")
        cluster.node(follower).kill()
        done = run(cluster, "quorum", "--json", check=False)
        row = next(r for r in json.loads(done.stdout) if r["controller"] == follower or r["role"] == "down")
        assert done.returncode == 1 and row["role"] == "down", done.stdout


def test_features_are_those_of_api_versions(one):
    rows = json.loads(run(one, "features", "describe", "--json").stdout)
    assert {"feature": "transaction.version", "finalized": 2}.items() <= next(
        r for r in rows if r["feature"] == "transaction.version").items()


def test_feature_levels_are_lowered_and_raised(one):
    def level():
        rows = json.loads(one.cli("features", "describe", "--json").stdout)
        return next(r["finalized"] for r in rows if r["feature"] == "transaction.version")
    assert one.cli("features", "downgrade", "transaction.version", check=False).returncode == 2
    assert one.cli("features", "upgrade", "transaction.version=99", check=False).returncode == 1
    one.cli("features", "downgrade", "transaction.version=1", "--dry-run")
    assert level() == 2
    one.cli("features", "downgrade", "transaction.version=1")
    wait_until(lambda: level() == 1)
    one.cli("features", "upgrade", "transaction.version=2")
    wait_until(lambda: level() == 2)


# ---- schemas of records ----

def test_records_refused_for_their_schema_are_told_and_so_is_a_registry_that_is_silent():
    with Cluster(coordinators=0, registries=1) as cluster, Connection(cluster) as connection:
        number = Registry(cluster.registries[0].url).id_of("s-value", '"int"')
        cluster.cli("topic", "create", "s", "--partitions", 1, "--config", "confluent.value.schema.validation=true")

        def sent(schema):
            value = b"\0" + schema.to_bytes(4, "big")
            return connection.produce("s", packed("none", records([value]), 1))[0]

        assert sent(number) == 0
        assert why(cluster, "topic", "s") == {}
        assert sent(number + 1) == 87
        text = why(cluster, "topic", "s")["schema_refused"]
        assert re.search(r"s-0: .*refused for their schema, 1 since .* ago: topic s: .*\(id %d\) is not known" %
                         (number + 1), text), text
        cluster.registries[0].stop()
        wait_until(lambda: sent(number + 2) == 19, 20)
        assert "no schema registry has said" in why(cluster, "topic", "s")["schema_unanswered"]
        cluster.registries[0].start()
        wait_until(lambda: sent(number + 2) == 87, 30)
        assert "schema_unanswered" not in why(cluster, "topic", "s")
