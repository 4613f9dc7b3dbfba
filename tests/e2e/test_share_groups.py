# SPDX-License-Identifier: Apache-2.0
# Share groups (KIP-932) over real daemons, with members by hand: what becomes of records that are accepted, released,
# rejected or left alone, behind daemons that were killed too. Real clients: tests/clients/share_groups.py.
import json
import signal
import subprocess
import time

import pytest

import cluster
import share_member as sm
import streams_member
import transactional
from cluster import Cluster, wait_until
from consumer_member import listed
from share_member import ACCEPT, REJECT, RELEASE, RENEW, Share

LOCK_MS = 1500
SETTINGS = {"storage": {"group.share.record.lock.duration.ms": str(LOCK_MS), "group.share.delivery.count.limit": "3"}}
PLACE = ("t", 0)


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=2, settings=SETTINGS) as running:
        running.create_topic("t")
        Share(running.storage[0], "warm", "m", ["t"]).join(1, 60)
        yield running


@pytest.fixture
def topic(started, request):
    """A topic and a group of the test's own name, which reads it from its start."""
    name = request.node.name.replace("test_", "")
    started.create_topic(name)
    started.cli("config", "set", "share.auto.offset.reset=earliest", "--group", name)
    return name


def member(started, name, member_id="m1", has=1):
    one = Share(started.storage[0], name, member_id, [name])
    one.join(has)
    return one


def produce(started, name, count, first=0):
    started.produce(name, [f"v{i}" for i in range(first, first + count)])


def test_records_are_accepted_released_rejected_or_locked(started, topic):
    one, two = member(started, topic), member(started, topic, "m2")
    produce(started, topic, 10)
    assert one.gets(10) == [(0, 9, 1)]
    assert one.lock_ms == LOCK_MS
    acks = [(0, 3, ACCEPT), (4, 7, [RELEASE, RELEASE, REJECT, REJECT])]
    assert one.acknowledge({(topic, 0): acks}) == {(topic, 0): 0}
    assert two.gets(2) == [(4, 5, 2)]
    assert two.acknowledge({(topic, 0): [(8, 9, ACCEPT)]}) == {(topic, 0): sm.RECORD_STATE}
    assert two.acknowledge({(topic, 0): [(4, 5, ACCEPT)]}) == {(topic, 0): 0}
    assert two.gets(2) == [(8, 9, 2)]  # once the lock has ended
    assert one.acknowledge({(topic, 0): [(8, 9, ACCEPT)]}) == {(topic, 0): sm.RECORD_STATE}
    assert two.acknowledge({(topic, 0): [(8, 9, ACCEPT)]}) == {(topic, 0): 0}
    assert two.fetch(wait_ms=LOCK_MS + 500) == {}


def test_a_group_is_of_one_protocol(started, topic):
    member(started, topic)
    other = streams_member.Member(started.storage[0], topic, "s", streams_member.word_count(topic, topic))
    assert other.heartbeat(0) == sm.NOT_FOUND
    streams = streams_member.Member(started.storage[0], f"{topic}-2", "s", streams_member.word_count(topic, topic))
    assert streams.heartbeat(0) == sm.NONE
    assert Share(started.storage[0], f"{topic}-2", "m", [topic]).heartbeat() == sm.NOT_FOUND


def test_acknowledgements_come_with_a_fetch(started, topic):
    one = member(started, topic)
    produce(started, topic, 4)
    one.gets(4)
    assert one.fetch({(topic, 0): [(0, 1, ACCEPT), (2, 2, RELEASE)]}, wait_ms=300) == {(topic, 0): [(2, 2, 2)]}
    assert one.acknowledged == {(topic, 0): 0}
    assert one.fetch({(topic, 0): [(0, 1, ACCEPT)]}, wait_ms=0) == {}
    assert one.acknowledged == {(topic, 0): 0}  # below the start: over, whoever says so


def test_a_member_that_ends_gives_back_what_it_holds(started, topic):
    one, two = member(started, topic), member(started, topic, "m2")
    produce(started, topic, 6)
    assert one.gets(6) == [(0, 5, 1)]
    assert one.acknowledge({(topic, 0): [(0, 2, ACCEPT)]}, epoch=sm.LAST) == {(topic, 0): 0}
    begun = time.monotonic()
    assert two.gets(3) == [(3, 5, 1)]  # never delivered, as far as anybody knows
    two.connection.close()
    three = member(started, topic, "m3")
    assert three.gets(3) == [(3, 5, 1)]
    assert time.monotonic() - begun < LOCK_MS / 1000


def test_a_record_nobody_takes_is_given_up(started, topic):
    one = member(started, topic)
    produce(started, topic, 3)
    for deliveries in (1, 2, 3):
        seen = one.gets(3)
        assert {d for _, _, d in seen} == {deliveries}
        one.acknowledge({(topic, 0): [(first, last, RELEASE) for first, last, _ in seen]})
    assert one.fetch() == {}
    produce(started, topic, 1, first=3)
    assert one.gets(1) == [(3, 3, 1)]


def test_a_lock_is_renewed(started, topic):
    one, two = member(started, topic), member(started, topic, "m2")
    produce(started, topic, 2)
    one.gets(2)
    end = time.monotonic() + 2 * LOCK_MS / 1000
    while time.monotonic() < end:
        assert one.acknowledge({(topic, 0): [(0, 1, RENEW)]}, renew=True) == {(topic, 0): 0}
        assert two.fetch(wait_ms=300) == {}
    assert one.acknowledge({(topic, 0): [(0, 1, RENEW)]}) == {(topic, 0): sm.INVALID_REQUEST}  # does not say so
    assert one.acknowledge({(topic, 0): [(0, 1, ACCEPT)]}) == {(topic, 0): 0}


def set_group(started, group, setting):
    started.cli("config", "set", setting, "--group", group)


def test_a_group_that_may_not_renew_hears_so(started, topic):
    one = member(started, topic)
    produce(started, topic, 2)
    one.gets(2)
    assert one.acknowledge({(topic, 0): [(0, 1, RENEW)]}, renew=True) == {(topic, 0): 0}
    set_group(started, topic, "share.renew.acknowledge.enable=false")
    wait_until(lambda: one.acknowledge({(topic, 0): [(0, 1, RENEW)]}, renew=True) == {(topic, 0): sm.RECORD_STATE}, 1)
    assert one.acknowledge({(topic, 0): [(0, 1, ACCEPT)]}) == {(topic, 0): 0}


def test_a_group_has_its_own_limit_of_deliveries(started, topic):
    one = member(started, topic)
    produce(started, topic, 1)
    assert one.gets(1) == [(0, 0, 1)]
    set_group(started, topic, "share.delivery.count.limit=2")
    one.acknowledge({(topic, 0): [(0, 0, RELEASE)]})
    assert one.gets(1) == [(0, 0, 2)]
    one.acknowledge({(topic, 0): [(0, 0, RELEASE)]})
    assert one.fetch(wait_ms=300) == {}  # the node's limit is 3


def test_a_group_has_its_own_limit_of_locks(started, topic):
    set_group(started, topic, "share.partition.max.record.locks=100")
    one = member(started, topic)
    produce(started, topic, 120)
    seen = one.gets(100)
    assert sum(last - first + 1 for first, last, _ in seen) == 100
    assert one.fetch(wait_ms=200) == {}
    set_group(started, topic, "share.partition.max.record.locks=110")
    assert sum(last - first + 1 for first, last, _ in one.gets(10)) == 10


def test_sessions_have_epochs(started, topic):
    one = member(started, topic)
    one.fetch({(topic, 0): [(0, 0, ACCEPT)]}, epoch=0)
    assert one.error == sm.INVALID_REQUEST
    one.acknowledge({}, epoch=3)
    assert one.error == sm.SESSION_NOT_FOUND
    one.session = 0
    one.fetch(wait_ms=0)
    assert (one.error, one.session) == (sm.NONE, 1)
    one.fetch(epoch=5)
    assert one.error == sm.SESSION_EPOCH
    one.acknowledge({}, epoch=0)
    assert one.error == sm.SESSION_EPOCH


def test_aborted_records_are_not_delivered(started, topic):
    started.cli("config", "set", "share.isolation.level=read_committed", "--group", topic)
    one = member(started, topic)
    producer = transactional.Producer(started.storage[0], topic, new_flow=True)
    assert producer.init() == 0
    for commit in (False, True, False):
        wait_until(lambda: producer.produce(topic, 0, [b"a", b"b"])[0] == 0, 10)
        assert one.fetch(wait_ms=200) == {}  # not decided yet
        assert producer.end(commit) == 0
        if commit:
            assert one.gets(2) == [(3, 4, 1)]
            one.acknowledge({(topic, 0): [(3, 4, ACCEPT)]})
    produce(started, topic, 1)
    assert one.gets(1) == [(9, 9, 1)]


def test_what_was_accepted_stays_so_behind_killed_daemons(started, topic):
    one = member(started, topic)
    produce(started, topic, 10)
    one.gets(10)
    assert one.acknowledge({(topic, 0): [(0, 2, ACCEPT), (5, 6, ACCEPT)]}) == {(topic, 0): 0}
    for node in [*started.coordinators, *started.storage]:
        node.kill()
        node.start()
        node.wait_ready()
    one.to(started.storage[0])
    wait_until(lambda: one.heartbeat() in (sm.NONE, sm.UNKNOWN_MEMBER, sm.FENCED_EPOCH), 20)
    one.join(1)
    seen = one.gets(5)
    assert [(first, last) for first, last, _ in seen] == [(3, 4), (7, 9)]


def test_a_group_begins_where_its_configuration_says(started):
    started.create_topic("begin")
    produce(started, "begin", 5)
    members = {}
    for reset in ("earliest", "latest", "by_duration:PT1H"):
        started.cli("config", "set", f"share.auto.offset.reset={reset}", "--group", reset[:4])
        members[reset] = Share(started.storage[0], reset[:4], "m", ["begin"])
        members[reset].join(1)
    assert members["latest"].fetch(wait_ms=300) == {}  # it has begun
    produce(started, "begin", 1, first=5)
    firsts = [members[reset].gets(count)[0][0] for reset, count in
              (("earliest", 6), ("latest", 1), ("by_duration:PT1H", 6))]
    assert firsts == [0, 5, 0]


def test_share_groups_are_listed_and_described(started, topic):
    one, two = member(started, topic), member(started, topic, "m2")
    error, state, members = sm.describe(started.storage[0], topic)
    assert (error, state, members) == (sm.NONE, "Stable", {"m1": {(topic, 0)}, "m2": {(topic, 0)}})
    assert listed(started.storage[0], kinds=["share"])[topic] == ("share", "Stable", "share")
    assert one.heartbeat(-1) == two.heartbeat(-1) == sm.NONE
    assert sm.describe(started.storage[0], topic)[1:] == ("Empty", {})
    assert sm.describe(started.storage[0], "nobody")[0] == sm.NOT_FOUND


def test_offsets_are_described_altered_and_deleted(started, topic):
    one, node = member(started, topic), started.storage[0]
    produce(started, topic, 10)
    one.gets(10)
    one.acknowledge({(topic, 0): [(0, 3, ACCEPT), (6, 7, ACCEPT)]})
    one.acknowledge({}, epoch=sm.LAST)
    place = topic, 0
    wait_until(lambda: sm.offsets(node, topic) == (sm.NONE, {place: (4, 4, 0)}), 5, "a lag of 4")
    assert sm.offsets(node, topic, {topic: [0, 7], "t": [0]}) == (
        sm.NONE, {place: (4, 4, 0), (topic, 7): (-1, -1, 3), ("t", 0): (-1, -1, 0)})
    assert sm.offsets(node, "nobody")[0] == sm.NOT_FOUND
    assert sm.alter(node, topic, {place: 8})[0] == sm.NON_EMPTY
    assert one.heartbeat(sm.LAST) == sm.NONE
    assert sm.alter(node, topic, {place: 8, (topic, 7): 1}) == (sm.NONE, {place: 0, (topic, 7): 3})
    assert sm.offsets(node, topic) == (sm.NONE, {place: (8, 2, 0)})
    two = member(started, topic, "m2")
    assert two.gets(2) == [(8, 9, 1)]
    two.acknowledge({place: [(8, 9, ACCEPT)]}, epoch=sm.LAST)
    assert two.heartbeat(sm.LAST) == sm.NONE
    assert sm.forget(node, topic, topic, "none") == (sm.NONE, {topic: 0, "none": 3})
    assert sm.offsets(node, topic) == (sm.NONE, {})
    assert member(started, topic, "m3").gets(10)[0][0] == 0
    assert started.cli("group", "delete", topic, check=False).returncode == 1  # not empty


def test_a_group_without_sessions_is_read_where_it_was_set(started, topic):
    node, place = started.storage[0], (topic, 0)
    produce(started, topic, 10)
    for start in (7, 3, 8, 2, 9):  # at once, since a second later it would be read anew anyway
        one = member(started, topic)
        first, last, _ = one.gets(1)[0]
        assert one.acknowledge({place: [(first, last, RELEASE)]}) == {place: 0}
        one.connection.close()  # without a last request
        two = Share(node, topic, "m1", [topic])
        two.epoch = one.epoch
        assert two.heartbeat(sm.LAST) == sm.NONE
        assert sm.alter(node, topic, {place: start}) == (sm.NONE, {place: 0})
        two = member(started, topic, "m2")
        assert two.gets(1)[0][0] == start
        two.acknowledge({}, epoch=sm.LAST)
        assert two.heartbeat(sm.LAST) == sm.NONE


def test_what_a_member_forgot_and_held_keeps_no_group_where_it_was(started, topic):
    node, place = started.storage[0], (topic, 0)
    one = member(started, topic)
    produce(started, topic, 10)
    one.gets(10)
    assert one.fetch(forget=[place], wait_ms=0) == {}
    assert one.acknowledge({}, epoch=sm.LAST) == {} and one.heartbeat(sm.LAST) == sm.NONE
    assert sm.alter(node, topic, {place: 8}) == (sm.NONE, {place: 0})
    two = member(started, topic, "m2")
    assert two.gets(2) == [(8, 9, 1)]
    assert two.acknowledge({place: [(8, 9, ACCEPT)]}) == {place: 0}


def letters(started, name):
    """[(value, headers)] of a dead-letter topic."""
    found = started.kcat("-C", "-t", name, "-e", "-q", "-f", "%s|%h\n").stdout.splitlines()
    return [(line.split("|")[0], dict(one.split("=", 1) for one in line.split("|")[1].split(","))) for line in found]


def test_records_given_up_go_to_the_dead_letter_topic(started, topic):
    dead = f"dlq.{topic}"
    started.create_topic(dead, **{"errors.deadletterqueue.group.enable": "true"})
    for setting in (f"errors.deadletterqueue.topic.name={dead}", "errors.deadletterqueue.copy.record.enable=true"):
        started.cli("config", "set", setting, "--group", topic)
    one, place = member(started, topic), (topic, 0)
    started.produce(topic, ["a", "b", "c", "d"], "-H", "mine=1")
    one.gets(4)
    assert one.acknowledge({place: [(0, 0, ACCEPT), (1, 1, REJECT), (2, 3, RELEASE)]}) == {place: 0}
    assert [value for value, _ in letters(started, dead)] == ["b"]  # before the answer
    one.gets(2)
    one.acknowledge({place: [(2, 2, ACCEPT), (3, 3, RELEASE)]})
    assert one.gets(1) == [(3, 3, 3)]
    wait_until(lambda: len(letters(started, dead)) == 2, 10, "the record whose last lock has ended")
    common = {"__dlq.errors.topic": topic, "__dlq.errors.partition": "0", "__dlq.errors.group": topic, "mine": "1"}
    assert letters(started, dead) == [
        ("b", {**common, "__dlq.errors.offset": "1", "__dlq.errors.delivery.count": "1",
               "__dlq.errors.message": "rejected by a member of the group"}),
        ("d", {**common, "__dlq.errors.offset": "3", "__dlq.errors.delivery.count": "3",
               "__dlq.errors.message": "delivered too often"})]
    assert one.fetch() == {}
    assert started.cli("group", "replay", topic, "--from", dead).stdout == "2 records put back, 0 others passed over\n"
    assert started.cli("group", "replay", topic, "--from", dead).stdout == "0 records put back, 0 others passed over\n"
    assert one.gets(2) == [(4, 5, 1)]
    back = started.kcat("-C", "-t", topic, "-o", "4", "-e", "-q", "-f", "%s|%h\n").stdout.splitlines()
    assert back == ["b|mine=1", "d|mine=1"]


def test_a_dead_letter_topic_is_made_where_that_is_allowed(started, topic):
    dead = f"dlq.{topic}"
    set_group(started, topic, f"errors.deadletterqueue.topic.name={dead}")
    started.cli("config", "set", "errors.deadletterqueue.auto.create.topics.enable=true", "--brokers")
    try:
        one, place = member(started, topic), (topic, 0)
        produce(started, topic, 1)
        one.gets(1)
        assert one.acknowledge({place: [(0, 0, REJECT)]}) == {place: 0}
        assert [headers["__dlq.errors.offset"] for _, headers in letters(started, dead)] == ["0"]
        described = started.cli("config", "list", "--topic", dead, "--json").stdout
        assert "errors.deadletterqueue.group.enable" in described, described
    finally:
        started.cli("config", "delete", "errors.deadletterqueue.auto.create.topics.enable", "--brokers")


def test_what_the_dead_letter_topic_does_not_take_is_not_over(started, topic):
    dead = f"dlq.{topic}"
    set_group(started, topic, f"errors.deadletterqueue.topic.name={dead}")
    failed = started.storage[0].metric("millrace_storage_dead_letters_failed_total")
    one, two, place = member(started, topic), member(started, topic, "m2"), (topic, 0)
    produce(started, topic, 3)
    one.gets(3)
    assert one.acknowledge({place: [(0, 0, ACCEPT), (1, 1, REJECT)]}) == {place: sm.COORDINATOR_NOT_AVAILABLE}
    assert sm.offsets(started.storage[0], topic)[1][place][1] == 2  # what it accepted in the same breath is over
    assert started.storage[0].metric("millrace_storage_dead_letters_failed_total") > failed
    assert f"dead_letter_topic={dead} error=\"it does not exist\"" in started.storage[0].log()
    assert one.acknowledge({place: [(2, 2, ACCEPT)]}) == {place: 0}  # it does not wait for that
    assert two.gets(1, seconds=20) == [(1, 1, 2)]  # its lock has ended
    assert two.acknowledge({place: [(1, 1, RELEASE)]}) == {place: 0}
    assert one.gets(1) == [(1, 1, 3)]
    assert one.acknowledge({place: [(1, 1, RELEASE)]}) == {place: sm.COORDINATOR_NOT_AVAILABLE}
    time.sleep(2 * LOCK_MS / 1000)
    assert one.fetch(wait_ms=300) == {}  # not more often than it may
    assert sm.offsets(started.storage[0], topic)[1][place][:2] == (1, 1)
    started.create_topic(dead, **{"errors.deadletterqueue.group.enable": "true"})
    wait_until(lambda: len(letters(started, dead)) == 1, 20, "the letter to be delivered after all")
    wait_until(lambda: sm.offsets(started.storage[0], topic)[1][place][1] == 0, 10, "it to be over")
    assert letters(started, dead)[0][1]["__dlq.errors.message"] == "delivered too often"


def test_a_letter_is_delivered_once_while_its_end_cannot_be_written(started, topic):
    dead, storage = f"dlq.{topic}", started.storage[0]
    started.create_topic(dead, **{"errors.deadletterqueue.group.enable": "true"})
    set_group(started, topic, f"errors.deadletterqueue.topic.name={dead}")
    set_group(started, topic, "share.delivery.count.limit=2")
    one, place = member(started, topic), (topic, 0)
    produce(started, topic, 1)
    one.gets(1)
    assert one.acknowledge({place: [(0, 0, RELEASE)]}) == {place: 0}
    assert one.gets(1) == [(0, 0, 2)]
    for coordinator in started.coordinators:
        coordinator.kill()
    try:
        wait_until(lambda: len(letters(started, dead)) == 1, 10, "its last lock to end")
        failed = storage.metric("millrace_storage_relay_failures_total")
        wait_until(lambda: storage.metric("millrace_storage_relay_failures_total") >= failed + 2, 60, "writes to fail")
        assert len(letters(started, dead)) == 1
    finally:
        for coordinator in started.coordinators:
            coordinator.start()
            coordinator.wait_ready()
    wait_until(lambda: sm.offsets(storage, topic)[1][place][1] == 0, 30, "it to be over")
    assert one.fetch(wait_ms=300) == {}
    assert len(letters(started, dead)) == 1


def test_a_member_hears_what_it_understands_while_share_coordinators_are_away(started, topic):
    one = member(started, topic)
    other = Share(started.storage[0], f"{topic}-2", "m", [topic])  # nothing is known of its group here yet
    other.has = set(one.has)
    for coordinator in started.coordinators:
        coordinator.kill()
    try:
        assert other.fetch(wait_ms=10000) == {}
        # What else Java's ShareFetchCollector does not know it throws at whoever polls.
        assert other.error == sm.NONE and other.errors == {(topic, 0): sm.REPLICA_NOT_AVAILABLE}
    finally:
        for coordinator in started.coordinators:
            coordinator.start()
            coordinator.wait_ready()


def test_locks_that_end_while_share_coordinators_are_away_make_one_write(started, topic):
    one, storage, count = member(started, topic), started.storage[0], 30
    produce(started, topic, count)
    expired = storage.metric("millrace_storage_share_locks_expired_total")
    one.gets(1, most=1, strict=True)
    for coordinator in started.coordinators:
        coordinator.kill()
    try:
        for _ in range(count - 1):  # each with a lock of its own
            one.gets(1, most=1, strict=True)
        ended = expired + count
        wait_until(lambda: storage.metric("millrace_storage_share_locks_expired_total") >= ended, 10, "locks to end")
        time.sleep(1.1)  # writes are counted every second
        assert storage.metric("millrace_storage_share_writes_pending") <= 3
    finally:
        for coordinator in started.coordinators:
            coordinator.start()
            coordinator.wait_ready()
    wait_until(lambda: storage.metric("millrace_storage_share_writes_pending") == 0, 60, "the writes")
    storage.kill()
    storage.start()
    storage.wait_ready()
    one.to(storage)
    assert {got[2] for got in one.gets(count, seconds=30)} == {2}


def test_a_shard_without_an_owner_holds_back_its_own_partitions_only(started, topic):
    many, all_of_it = f"{topic}_many", 40
    started.create_topic(many, partitions=all_of_it)
    member(started, topic)  # makes the group known
    owner = next(one for one in started.coordinators if one.http(f"/v1/groups/{topic}")[0] == 200)
    other = next(one for one in started.coordinators if one is not owner)
    one = Share(started.storage[0], topic, "m2", [many])
    started.controllers[0].signal(signal.SIGSTOP)  # nobody gives the shards to another owner
    other.kill()
    try:
        wait_until(lambda: one.heartbeat() == sm.NONE and one.has, 8, "partitions of shards that have an owner")
        assert len(one.has) < all_of_it
    finally:
        started.controllers[0].signal(signal.SIGCONT)
        other.start()
        other.wait_ready()
    one.join(all_of_it, 40)


def test_a_refused_letter_does_not_repeat_the_others(started, topic):
    dead = f"dlq.{topic}"
    started.create_topic(dead)
    letter = ["-H", f"__dlq.errors.group={topic}", "-H", f"__dlq.errors.topic={topic}", "-H"]
    started.produce(dead, ["good"], *letter, "__dlq.errors.partition=0")
    started.produce(dead, ["bad"], *letter, "__dlq.errors.partition=7")
    for _ in range(2):
        refused = started.cli("group", "replay", topic, "--from", dead, check=False)
        assert refused.returncode == 1 and "records were refused" in refused.stderr, refused
        assert started.kcat("-C", "-t", topic, "-e", "-q").stdout.splitlines() == ["good"]


def test_a_replay_goes_on_behind_letters_that_are_deleted_under_it(started, topic):
    dead, count, kept = f"dlq.{topic}", 30, 10
    started.create_topic(dead)
    headers = [f"__dlq.errors.group={topic}", f"__dlq.errors.topic={topic}", "__dlq.errors.partition=0"]
    started.produce(dead, [f"v{i}" for i in range(count)], "-X", "batch.num.messages=1",
                    *(word for header in headers for word in ("-H", header)))
    slow = ("queue.buffering.max.messages=1", "linger.ms=100", "queued.min.messages=1", "fetch.message.max.bytes=100")
    with subprocess.Popen([cluster.program("millrace"), "group", "replay", topic, "--from", dead, "-b", started.kafka,
                           *(word for one in slow for word in ("-X", one))], stdout=subprocess.PIPE) as replay:
        back = lambda: started.kcat("-C", "-t", topic, "-e", "-q").stdout.splitlines()
        wait_until(back, 10, "the first to be put back")
        started.cli("topic", "delete-records", dead, "--before", count - kept)
        assert replay.wait(30) == 0
    assert back()[-kept:] == [f"v{i}" for i in range(count - kept, count)] and len(set(back())) == len(back()) < count


def test_a_group_is_described_while_a_broker_is_silent():
    groups = [f"g{i}" for i in range(6)]  # some of them behind that one
    with Cluster(storage=3) as running:
        running.create_topic("t", replication=3)
        for group in groups:
            Share(running.storage[0], group, "m", ["t"]).join(1, 60)
        running.storage[2].signal(signal.SIGSTOP)
        try:
            for group in groups:
                shown = running.cli("group", "describe", group, "--json", "-b", running.storage[0].address, check=False)
                assert shown.returncode == 0 and '"protocol_type":"share"' in shown.stdout, shown
        finally:
            running.storage[2].signal(signal.SIGCONT)


def test_a_group_is_described_by_the_command_line(started, topic):
    one = member(started, topic)
    produce(started, topic, 3)
    one.gets(3)
    one.acknowledge({(topic, 0): [(0, 0, ACCEPT)]})
    one.acknowledge({(topic, 0): [(1, 1, ACCEPT)]})
    shown = json.loads(started.cli("group", "describe", topic, "--json").stdout)
    assert shown["group"]["protocol_type"] == "share" and shown["group"]["members"] == 1
    assert shown["offsets"] == [{"topic": topic, "partition": 0, "start": 1, "lag": 1}]
