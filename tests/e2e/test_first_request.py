# SPDX-License-Identifier: Apache-2.0
# A request to the controller that changes nothing (here: a topic that is there already) asks a majority before it is
# answered, also when it is the first one that a new active controller gets.
from cluster import Cluster, wait_until


def test_the_first_request_to_a_new_active_controller():
    with Cluster(controllers=3, storage=1) as cluster:
        cluster.create_topic("there")
        for _ in range(3):
            active = wait_until(lambda: next(c for c in cluster.controllers if c.metric("millrace_controller_active")))
            active.kill()
            done = cluster.cli("topic", "create", "there", "--partitions", 1, check=False)
            assert "already exists" in done.stderr, done.stderr
            survivors = [c for c in cluster.controllers if c is not active]
            assert all(c.running() for c in survivors), [c.log_tail() for c in survivors]
            active.start().wait_ready()
