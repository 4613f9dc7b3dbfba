# SPDX-License-Identifier: Apache-2.0
# End-to-end tests use real daemons; without the programs they are skipped with that reason.
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster  # noqa: E402


def pytest_collection_modifyitems(items):
    missing = [name for name in ("millrace-controller", "millrace-storage", "millrace-coordinator", "millrace")
               if not cluster.have(name)]
    missing += [] if shutil.which("kcat") else ["kcat"]
    if missing:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="not there: " + ", ".join(missing)))
