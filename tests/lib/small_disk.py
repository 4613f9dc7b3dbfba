# SPDX-License-Identifier: Apache-2.0
# A small file system for one daemon of a cluster, so that a test can fill it.
#
#     cluster = Cluster()
#     with small_disk(cluster, cluster.storage[0], 120 << 20):      # mounts, then starts the cluster
#         filler = fill_disk(cluster.storage[0])                     # os.remove(filler) gives the room back
import contextlib
import errno
import os
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(cluster, node, size):
    """The cluster runs inside, the node's data directory is a file system of so many bytes."""
    os.makedirs(node.data, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tmpfs", node.data], capture_output=True,
                          text=True, check=False)
    try:
        if done.returncode != 0:
            pytest.skip("no file system of its own can be mounted here: " + done.stderr.strip())
        with cluster:
            yield
    finally:
        subprocess.run(["umount", node.data], capture_output=True, check=False)
        cluster.close()  # once more: its directory could not go while this was mounted in it


def fill_disk(node):
    """Takes whatever room there is; returns the file that has it."""
    path = os.path.join(node.data, "filler")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path
