# SPDX-License-Identifier: Apache-2.0
# Several registries over one topic: one owns it, the others pass writes on, and when it dies another one owns it at
# once. Nothing acknowledged is lost, ids stay unique and dense, deleted stays deleted, also after compaction.
import http.client
import json
import threading
import time

import pytest

from cluster import Cluster, have, wait_until
from rest import Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry"),
                                reason="daemons are not built")

CLIENTS, KILLS = 8, 4
TAKE_OVER_S = 2
CONTEXTS = ("", ":.other:")  # what subjects begin with: every second client is in a context of its own ids


def owner(cluster):
    return next((d for d in cluster.registries if d.running() and d.metric("millrace_registry_owner") == 1), None)


def wait_owner(cluster):
    return wait_until(lambda: owner(cluster), what="an owner")


class Registering(threading.Thread):
    """Registers one schema after another at one registry, the next one when it does not answer: some of its own, and
    between them some that the others register, too, under other subjects."""

    def __init__(self, number, urls):
        super().__init__(daemon=True)
        self.number, self.urls, self.acked, self.stopping = number, urls, {}, threading.Event()
        self.context, self.moments = CONTEXTS[number % len(CONTEXTS)], []

    def next(self, count):
        name = "Common%d" % (count // 3) if count % 3 == 2 else "R%d_%d" % (self.number, count)
        return "%sc%d-%d" % (self.context, self.number, count), record(name, "x")

    def run(self):
        clients = [Registry(url, seconds=20) for url in self.urls]
        while not self.stopping.is_set():
            subject, schema = self.next(len(self.acked))
            for client in clients[self.number % len(clients):] + clients[:self.number % len(clients)]:
                try:
                    answer = client.register(subject, schema)
                except (OSError, http.client.HTTPException):
                    continue
                if answer.status == 200:
                    self.acked[subject] = (answer.json["id"], json.dumps(schema, separators=(",", ":")))
                    self.moments.append(time.monotonic())
                    break

    def stop(self):
        self.stopping.set()
        self.join(60)
        assert not self.is_alive()


def everything(client):
    """{subject: (id, text)} of all contexts."""
    found, offset = {}, 0
    while True:
        page = client.get("/schemas?subjectPrefix=:*:&limit=1000&offset=%d" % offset).json
        for one in page:
            assert one["version"] == 1 and one["subject"] not in found, one
            found[one["subject"]] = (one["id"], one["schema"])
        offset += len(page)
        if not page:
            return found


def check(cluster, acked):
    """Every live registry has all that was acknowledged; in each context ids are unique and dense."""
    for daemon in [d for d in cluster.registries if d.running()]:
        found = everything(Registry(daemon.url))
        for subject, (number, text) in acked.items():
            assert found.get(subject) == (number, text), (daemon.name, subject)
        for context in CONTEXTS:
            here = {pair for subject, pair in found.items() if subject.startswith(":.") == (context != "")}
            numbers = sorted(number for number, _ in here)
            assert numbers == list(range(1, len(here) + 1)), "ids are unique and dense, %r" % context
            assert len({text for _, text in here}) == len(here), "a schema has one id, %r" % context


@pytest.fixture
def cluster():
    with Cluster(coordinators=0, registries=3) as running:
        assert Registry(running.registries[0].url).id_of("first", "\"null\"") == 1, "has _schemas made"
        yield running


def test_a_write_anywhere_is_read_everywhere(cluster):
    wait_owner(cluster)
    clients = [Registry(d.url) for d in cluster.registries]
    for i, writer in enumerate(clients):
        number = writer.id_of("s%d" % i, record("S%d" % i, "x"))
        for reader in clients:
            assert reader.get("/schemas/ids/%d" % number).status == 200, "at once, also where it was not written"
        assert writer.versions("s%d" % i).json == [1]
    assert clients[0].delete("s1").json == [1]
    assert sum(d.metric("millrace_registry_owner") for d in cluster.registries) == 1
    assert sum(d.metric("millrace_registry_forwarded_total") for d in cluster.registries) > 0


def test_kill_of_the_owner_under_eight_clients_loses_nothing_and_ids_stay_dense(cluster):
    wait_owner(cluster)
    threads = [Registering(i, [d.url for d in cluster.registries]) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    gaps = []
    for kill in range(KILLS):
        wait_until(lambda: all(len(t.acked) >= 5 * (kill + 1) for t in threads), 60, "registrations")
        victim = wait_owner(cluster)
        died = time.monotonic()
        victim.kill()
        wait_until(lambda: any(t.moments[-1] > died + 0.05 for t in threads), 30, "a registration", every=0.01)
        first = min(m for t in threads for m in list(t.moments) if m > died + 0.05)  # not one that was on its way
        gaps.append(first - died)
        assert wait_owner(cluster) is not victim
        victim.start().wait_ready()
    for thread in threads:
        thread.stop()
    acked = {subject: pair for thread in threads for subject, pair in thread.acked.items()}
    assert len(acked) >= CLIENTS * 5 * KILLS
    check(cluster, acked)
    print("another writer after %s ms, %d registrations" % ([round(1000 * gap) for gap in gaps], len(acked)))
    assert max(gaps) < TAKE_OVER_S, gaps


def test_a_drained_owner_hands_over(cluster):
    former = wait_owner(cluster)
    others = [d for d in cluster.registries if d is not former]
    client = Registry(others[0].url)
    client.id_of("before", "\"int\"")
    former.stop()
    began = time.monotonic()
    client.id_of("after", "\"long\"")
    assert time.monotonic() - began < TAKE_OVER_S
    assert wait_owner(cluster) in others


def log_of(cluster):
    """What is in `_schemas`: (offset, key, whether it is a tombstone)."""
    text = cluster.kcat("-C", "-t", "_schemas", "-e", "-q", "-f", "%o %S %k\n").stdout
    rows = [row.split(" ", 2) for row in text.splitlines()]
    return [(int(offset), key, size == "-1") for offset, size, key in rows]


def test_deleted_stays_deleted_after_compaction_and_a_restart_of_everything():
    settings = {"storage": {"log.cleaner.backoff.ms": 100}}
    with Cluster(coordinators=0, registries=1, settings=settings) as cluster:
        client = Registry(cluster.registries[0].url)
        client.id_of("first", "\"null\"")
        cluster.cli("config", "set", "segment.bytes=20000", "min.cleanable.dirty.ratio=0.01",
                    "delete.retention.ms=0", "--topic", "_schemas")
        highest, gone = 0, {}
        for i in range(300):
            subject = "s%d" % (i % 30)
            highest = client.id_of(subject, record("R%d" % (i % 30), ("f%d" % i, "int", i)))
            if i % 3 == 0:
                assert client.delete(subject).status == 200
            if i % 6 == 0:
                assert client.delete(subject, permanent=True).status == 200
                gone[highest] = subject
        ended = log_of(cluster)[-1][0]
        before, deleted = client.subjects(), client.subjects("?deleted=true")
        fillers = []

        def compacted():
            """Segments close as more is written; then every key is left once, and tombstones are gone."""
            fillers.append("z%d" % len(fillers))
            client.id_of(fillers[-1], record("Z%d" % len(fillers), *["f%d" % i for i in range(60)]))
            left = [(key, tombstone) for offset, key, tombstone in log_of(cluster) if offset <= ended]
            return len({key for key, _ in left}) == len(left) and not any(tombstone for _, tombstone in left)

        wait_until(compacted, 90, "compaction, tombstones too", every=0.1)
        client.close()
        for daemon in cluster.daemons:
            daemon.stop()
        cluster.restart_all()
        client = Registry(cluster.registries[0].url)
        assert client.subjects() == sorted(before + fillers)
        assert client.subjects("?deleted=true") == sorted(deleted + fillers)
        for number, subject in gone.items():
            assert client.get("/schemas/ids/%d" % number).error == 40403
        erased_subjects = set(gone.values()) - set(deleted)
        assert erased_subjects and all(client.versions(s, "?deleted=true").error == 40401 for s in erased_subjects)
        for subject in set(deleted) - set(before):
            assert client.versions(subject).error == 40401 and client.versions(subject, "?deleted=true").status == 200
        assert client.id_of("next", "\"bytes\"") == highest + len(fillers) + 1
