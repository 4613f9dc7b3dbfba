# SPDX-License-Identifier: Apache-2.0
# How far groups are behind, as the coordinator measures it: over REST, on /metrics and by `millrace group lag`.
import json
import time
import urllib.parse

import cluster as lib
import share_member as share_lib
from cluster import Cluster, wait_until
from share_member import ACCEPT, RELEASE

FAST = {"coordinator": {"group.initial.rebalance.delay.ms": 0, "millrace.lag.interval.ms": 200}}


def lag(cluster, group, **where):
    """The rows of /v1/groups/GROUP/lag of whichever coordinator owns it, by (topic, partition)."""
    path = "/v1/groups/%s/lag" % urllib.parse.quote(group, safe="")
    answers = [daemon.http(path, 5) for daemon in cluster.coordinators if daemon.running()]
    rows = [json.loads(text)["partitions"] for code, text in answers if code == 200]
    assert len(rows) == 1, answers
    return {(row["topic"], row["partition"]): row for row in rows[0]}


def commit(cluster, group, topic, offset):
    cluster.cli("group", "reset-offsets", group, "-t", topic, "--to-offset", offset, "--execute")


def shown(cluster, name):
    """{(group, topic, partition): value} of a metric's rows on all coordinators."""
    found = {}
    for daemon in cluster.coordinators:
        for line in daemon.http("/metrics")[1].splitlines():
            if line.startswith(name + "{"):
                labels, value = line[len(name) + 1:].rsplit("} ", 1)
                parts = dict(part.split("=") for part in labels.split(","))
                found[tuple(v.strip('"') for v in parts.values())] = int(value)
    return found


def test_lag_and_age_are_those_of_the_first_record_not_read():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.create_topic("t", partitions=2, replication=2)
        cluster.produce("t", ["a"] * 10, "-p", 0)
        first = time.time()
        time.sleep(1.5)
        cluster.produce("t", ["b"] * 5, "-p", 0)
        commit(cluster, "g", "t:0", 0)
        row = lag(cluster, "g")["t", 0]
        assert (row["committed"], row["end"], row["lag"], row["status"]) == (0, 15, 15, "OK"), row
        assert row["age_ms"] >= (time.time() - first) * 1000 - 200, row
        older = row["age_ms"]
        commit(cluster, "g", "t:0", 10)
        row = lag(cluster, "g")["t", 0]
        assert row["lag"] == 5 and row["age_ms"] < older - 1000, row
        commit(cluster, "g", "t:0", 15)
        assert lag(cluster, "g")["t", 0]["age_ms"] == lag(cluster, "g")["t", 0]["lag"] == 0
        assert ("t", 1) not in lag(cluster, "g"), "nothing was committed there"


def test_age_is_read_from_the_file_after_a_restart():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t")
        cluster.produce("t", ["a"] * 10)
        first = time.time()
        cluster.storage[0].stop()
        cluster.storage[0].start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == 1)
        commit(cluster, "g", "t", 3)
        row = wait_until(lambda: lag(cluster, "g")["t", 0] if lag(cluster, "g")["t", 0]["status"] == "OK" else None)
        assert row["lag"] == 7 and row["age_ms"] >= (time.time() - first) * 1000 - 500, row


def test_time_to_drain_comes_from_the_measured_rates():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t")
        cluster.produce("t", ["x"] * 1000)
        commit(cluster, "g", "t", 0)
        assert lag(cluster, "g")["t", 0]["drain_ms"] is None, "one sample tells no rate"
        for offset in range(100, 600, 100):
            time.sleep(0.6)
            commit(cluster, "g", "t", offset)
        row = wait_until(lambda: [r for r in lag(cluster, "g").values() if r["committed"] == r["end"] - r["lag"]][0])
        assert row["lag"] == 500 and not row["grows"] and row["commit_rate"] > 1, row
        assert 500 < row["drain_ms"] < 500000, row
        cluster.produce("t", ["x"] * 5000)
        wait_until(lambda: lag(cluster, "g")["t", 0]["grows"], what="more is written than read")
        assert lag(cluster, "g")["t", 0]["drain_ms"] is None


def test_groups_that_commit_are_on_metrics_up_to_a_number_and_the_rest_is_counted():
    settings = {"coordinator": {"millrace.lag.interval.ms": 200, "millrace.lag.metrics.partitions.max": 6}}
    with Cluster(settings=settings) as cluster:
        cluster.create_topic("t", partitions=4)
        cluster.produce("t", ["x"] * 5, "-p", 2)
        odd = 'odd"\\name'
        commit(cluster, odd, "t", 0)
        coordinator = cluster.coordinators[0]
        wait_until(lambda: len(shown(cluster, "millrace_group_lag_records")) == 4, what="the first group's rows")
        records = shown(cluster, "millrace_group_lag_records")
        assert records['odd\\"\\\\name', "t", "2"] == 5 and sum(records.values()) == 5, records
        assert shown(cluster, "millrace_group_lag_age_ms")['odd\\"\\\\name', "t", "2"] >= 0
        for group in ("second", "third"):
            commit(cluster, group, "t", 0)
        wait_until(lambda: coordinator.metric("millrace_group_lag_watched_partitions") == 12)
        wait_until(lambda: coordinator.metric("millrace_group_lag_left_out") == 8, what="what is left out is counted")
        assert shown(cluster, "millrace_group_lag_records").keys() == records.keys(), "who is shown stays shown, whole"
        cluster.cli("group", "delete", odd)
        wait_until(lambda: len(shown(cluster, "millrace_group_lag_records")) == 4 and
                   odd not in str(shown(cluster, "millrace_group_lag_records")), what="another one takes its place")


def test_a_group_beyond_the_limit_is_left_out_until_somebody_looks():
    settings = {"coordinator": {"millrace.lag.interval.ms": 200, "millrace.lag.partitions.max": 3}}
    with Cluster(settings=settings) as cluster:
        cluster.create_topic("t", partitions=3)
        commit(cluster, "first", "t", 0)
        coordinator = cluster.coordinators[0]
        wait_until(lambda: coordinator.metric("millrace_group_lag_watched_partitions") == 3)
        commit(cluster, "second", "t", 0)
        wait_until(lambda: coordinator.metric("millrace_group_lag_refused_total") > 0)
        told = json.loads(coordinator.http("/v1/groups/second/lag")[1])
        assert told["left_out"] == 3 and told["partitions"] == [], told


def test_lag_goes_on_with_the_next_owner_and_the_next_leader():
    settings = {"coordinator": dict(FAST["coordinator"])}
    with Cluster(storage=2, coordinators=2, controllers=1, settings=settings) as cluster:
        cluster.create_topic("t", partitions=2, replication=2)
        cluster.produce("t", ["x"] * 20, "-p", 1)
        commit(cluster, "g", "t:1", 5)
        assert lag(cluster, "g")["t", 1]["lag"] == 15
        owner = next(d for d in cluster.coordinators if d.http("/v1/groups/g")[0] == 200)
        other = next(d for d in cluster.coordinators if d is not owner)
        code, text = other.http("/v1/groups/g/lag")
        assert code == 421 and str(owner.id) in json.loads(text)["message"], text
        owner.kill()
        wait_until(lambda: other.http("/v1/groups/g")[0] == 200, what="the other coordinator to own it")
        wait_until(lambda: ("g", "t", "1") in shown_of(other), what="it to be watched there without a look")
        assert lag(cluster, "g")["t", 1]["lag"] == 15
        cluster.leader("t", 1).kill()
        wait_until(lambda: lag(cluster, "g")["t", 1]["status"] == "OK" and lag(cluster, "g")["t", 1]["lag"] == 15,
                   what="the next leader to be asked")


# ---- share groups ----

def share_member(cluster, group, topic, partitions):
    cluster.cli("config", "set", "share.auto.offset.reset=earliest", "--group", group)
    member = share_lib.Share(cluster.storage[0], group, "m", [topic])
    member.join(partitions, 60)
    return member


def test_a_share_group_lags_by_what_is_not_over_and_tells_what_members_hold():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t")
        cluster.produce("t", ["a"] * 10)
        first = time.time()
        member = share_member(cluster, "g", "t", 1)
        member.gets(10)
        row = lag(cluster, "g")["t", 0]
        assert (row["committed"], row["end"], row["lag"], row["acquired"], row["complete"]) == (0, 10, 10, 10, 0), row
        member.acknowledge({("t", 0): [(0, 1, ACCEPT), (5, 7, ACCEPT), (8, 8, RELEASE)]})
        row = lag(cluster, "g")["t", 0]
        assert (row["committed"], row["lag"], row["acquired"], row["complete"]) == (2, 5, 4, 3), row
        assert row["available"] == 1 and row["commit_age_ms"] is None, row
        assert (time.time() - first) * 1000 + 500 > row["age_ms"] >= (time.time() - first) * 1000 - 2000, row
        wait_until(lambda: shown(cluster, "millrace_group_acquired_records").get(("g", "t", "0")) == 4,
                   what="what is held on /metrics")
        assert shown(cluster, "millrace_group_lag_records")["g", "t", "0"] == 5
        listed = json.loads(cluster.coordinators[0].http("/v1/groups")[1])["groups"]
        assert [(g["type"], g["lag"], g["members"]) for g in listed if g["group"] == "g"] == [("share", 5, 1)], listed
        told = json.loads(cluster.coordinators[0].http("/v1/groups/g")[1])
        assert told["protocol"] == "simple" and told["initializing"] == 0, told
        assert told["member_list"][0]["assigned"] == [{"topic": "t", "partitions": [0]}], told
        member.acknowledge({}, epoch=share_lib.LAST)
        member.heartbeat(-1)
        row = wait_until(lambda: lag(cluster, "g")["t", 0] if lag(cluster, "g")["t", 0]["acquired"] is None else None,
                         what="the leader to serve it no more")
        assert (row["committed"], row["lag"], row["complete"]) == (2, 5, 3), row  # as its share coordinator knows it
        printed = cluster.cli("group", "lag", "g", "--json", "--admin", admins(cluster)).stdout
        assert json.loads(printed)[0]["lag"] == 5 and "acquired" in json.loads(printed)[0], printed


def test_a_share_group_is_reset_in_every_way():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t", partitions=2)
        for partition in (0, 1):
            cluster.produce("t", ["a"] * 10, "-p", partition)
        member = share_member(cluster, "g", "t", 2)
        refused = cluster.cli("group", "reset", "g", "--all-topics", "--to-earliest", "--execute", check=False)
        assert refused.returncode == 1 and "has members" in refused.stderr, refused
        assert member.heartbeat(-1) == 0
        wait_until(lambda: share_lib.offsets(cluster.storage[0], "g")[1].keys() == {("t", 0), ("t", 1)})

        def at():
            found = share_lib.offsets(cluster.storage[0], "g")[1]
            return [found["t", p][0] if found["t", p][0] >= 0 else None for p in (0, 1)]
        for arguments, wanted in ((["--all-topics", "--to-latest"], [10, 10]), (["-t", "t:1", "--to-offset", 4], [10, 4]),
                                  (["--all-topics", "--shift-by", -3], [7, 1]), (["-t", "t:0", "--to-earliest"], [0, 1]),
                                  (["-t", "t", "--to-datetime", "2020-01-01"], [0, 0])):
            shown_only = json.loads(cluster.cli("group", "reset", "g", *arguments, "--json").stdout)
            before = at()
            assert [row["before"] for row in shown_only] == [before[row["partition"]] for row in shown_only]
            done = json.loads(cluster.cli("group", "reset", "g", *arguments, "--execute", "--json").stdout)
            assert shown_only == done and at() == wanted, (arguments, done, at())
        cluster.cli("group", "delete", "g")
        assert share_lib.offsets(cluster.storage[0], "g")[0] == share_lib.NOT_FOUND


def admins(cluster):
    return ",".join("127.0.0.1:%d" % d.http_port for d in cluster.daemons)


def shown_of(daemon):
    return [tuple(part.split('"')[1] for part in line.split("{")[1].split(","))
            for line in daemon.http("/metrics")[1].splitlines() if line.startswith("millrace_group_lag_records{")]


def test_a_partition_without_a_leader_is_told_and_keeps_its_last_figures():
    with Cluster(storage=2, settings=FAST) as cluster:
        cluster.cli("topic", "create", "t", "--partitions", 2, "--replication-factor", 1)
        gone = cluster.partition("t", 0)["leader"]
        for index in (0, 1):
            cluster.produce("t", ["x"] * 4, "-p", index)
        commit(cluster, "g", "t", 1)
        assert {r["lag"] for r in lag(cluster, "g").values()} == {3}
        cluster.node(gone).kill()
        wait_until(lambda: sorted(r["status"] for r in lag(cluster, "g").values()) == ["NOT_LEADER", "OK"])
        assert {r["lag"] for r in lag(cluster, "g").values()} == {3}


def test_every_group_is_listed_in_pieces_and_names_are_decoded():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t")
        cluster.produce("t", ["x"] * 3)
        names = ["group/%d %s" % (i, "n" * 200) for i in range(120)]
        for name in names:
            commit(cluster, name, "t", 1)
        groups = json.loads(cluster.coordinators[0].http("/v1/groups", 5)[1])["groups"]
        assert sorted(g["group"] for g in groups) == sorted(names)
        assert lag(cluster, names[7])["t", 0]["lag"] == 2
        one = json.loads(cluster.coordinators[0].http("/v1/groups/" + urllib.parse.quote(names[7], safe=""))[1])
        assert one["group"] == names[7] and one["state"] == "Empty" and one["member_list"] == []


def test_members_and_what_they_have_are_told():
    with Cluster(settings=FAST) as cluster:
        cluster.create_topic("t", partitions=3)
        cluster.produce("t", ["x"] * 3, "-p", 0)
        with lib.subprocess.Popen([lib.program("millrace"), "consume", "t", "-g", "g", "-B", "-b", cluster.kafka],
                                  stdout=lib.subprocess.DEVNULL) as consumer:
            try:
                def told():
                    code, text = cluster.coordinators[0].http("/v1/groups/g")
                    found = json.loads(text)
                    return found if code == 200 and found["state"] == "Stable" else None
                found = wait_until(told)
                member = found["member_list"][0]
                assert found["members"] == 1 and member["state"] == "stable", found
                assert member["assigned"] == [{"topic": "t", "partitions": [0, 1, 2]}], member
                assert 0 <= member["heard_ms"] < member["session_timeout_ms"], member
            finally:
                consumer.terminate()
