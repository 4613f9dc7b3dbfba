# SPDX-License-Identifier: Apache-2.0
# A registration that has seconds of work to do holds up nobody else.
import threading

import pytest

from cluster import Cluster, have, wait_until
from rest import Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry"),
                                reason="daemons are not built")

VERSIONS, FIELDS = 80, 3000


def large(added):
    fields = [("field_number_%d" % i, "long", 0) for i in range(FIELDS)] + [("added_%d" % i, "int", 0) for i in range(added)]
    return record("Large", *fields)


class Registering(threading.Thread):
    def __init__(self, url, subject, schema):
        super().__init__(daemon=True)
        self.url, self.subject, self.schema, self.answer = url, subject, schema, None

    def run(self):
        self.answer = Registry(self.url, seconds=60).register(self.subject, self.schema)


@pytest.mark.parametrize("asked", [0, 1], ids=["at the owner", "elsewhere"])
def test_lookups_and_registrations_go_on_beside_a_dear_one(asked):
    with Cluster(coordinators=0, registries=2) as cluster:
        client = Registry(cluster.registries[0].url)
        client.id_of("small", "\"int\"")
        owner = wait_until(lambda: next((d for d in cluster.registries if d.metric("millrace_registry_owner") == 1), None))
        daemon = owner if asked == 0 else next(d for d in cluster.registries if d is not owner)
        client.ask("PUT", "/config/large", {"compatibility": "NONE"})
        for added in range(VERSIONS):
            client.id_of("large", large(added))
        client.ask("PUT", "/config/large", {"compatibility": "FULL_TRANSITIVE"})
        before = owner.metric("millrace_registry_jobs_total")
        dear = Registering(daemon.url, "large", large(VERSIONS))
        dear.start()
        wait_until(lambda: owner.metric("millrace_registry_jobs_total") >= before + 3, 30, "the comparisons to begin")
        beside = Registry(daemon.url)
        for i in range(20):
            assert beside.get("/schemas/ids/1").status == 200
            beside.id_of("beside-%d" % i, record("Beside%d" % i, "x"))
        assert dear.answer is None, "the small ones came first"
        dear.join(60)
        assert dear.answer.status == 200 and dear.answer.json["id"] == VERSIONS + 22, dear.answer
        assert owner.metric("millrace_registry_owner") == 1
