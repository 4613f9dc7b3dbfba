# SPDX-License-Identifier: Apache-2.0
# Memory of requests is kept for the next ones: taken from the kernel for each, it would be mapped and zeroed page by page,
# which was a fifth of a storage node's CPU. Seen in the minor page faults of the process.
import os
import subprocess

from cluster import BUILD, Cluster

BATCHES, BATCH = 200, 1000 * 1024


def minor_faults(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[7])


def produce(cluster):
    options = ["record=1024", "batch=%d" % BATCH, "connections=4", "depth=4", "count=%d" % BATCHES]
    subprocess.run([os.path.join(BUILD, "lib", "pump"), cluster.kafka, "t"] + options, check=True, timeout=120,
                   stdout=subprocess.DEVNULL)


def test_large_batches_do_not_fault_in_their_memory_again_and_again():
    with Cluster() as cluster:
        cluster.create_topic("t")
        produce(cluster)
        before = minor_faults(cluster.storage[0].pid)
        produce(cluster)
        faults = minor_faults(cluster.storage[0].pid) - before
    print("%d faults for %d batches" % (faults, BATCHES))
    assert faults < BATCHES * (BATCH // 4096) // 8
