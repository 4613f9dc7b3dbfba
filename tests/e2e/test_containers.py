# SPDX-License-Identifier: Apache-2.0
# The images and the cluster of compose.yaml: docker/smoke does the work and says why it cannot.
import os
import subprocess

import pytest

import cluster as lib

SKIPPED = 77


def test_the_compose_cluster_works():
    done = subprocess.run([os.path.join(lib.ROOT, "docker", "smoke")], text=True, capture_output=True)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
