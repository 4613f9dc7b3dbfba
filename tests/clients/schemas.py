# SPDX-License-Identifier: Apache-2.0
"""Schema registry clients of other makers against two registry processes of millrace: python/schemas.py."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = HERE / "python/env/confluent-kafka-schemas-2.16.1"
STEPS = ("wire", "header", "evolve", "reject", "references", "delete", "settings", "metadata", "contexts",
         "another_process")
STEP_SECONDS = 120


def missing():
    """What is needed and not here, or None."""
    if not cluster.have("millrace-registry"):
        return "millrace-registry is not built"
    return None if (ENVIRONMENT / "done").exists() else "setup.sh python could not install confluent-kafka's registry client"


def run(say, only=""):
    """{step: "ok" or "FAIL: what"} for report.Outcome."""
    results = {}
    with cluster.Cluster(registries=2) as running:
        urls = ",".join(daemon.url for daemon in running.registries)
        for step in [one for one in STEPS if only in ("", one)]:
            done = subprocess.run([ENVIRONMENT / "bin/python", HERE / "python/schemas.py", running.kafka, urls, step],
                                  capture_output=True, text=True, timeout=STEP_SECONDS)
            results[step] = "ok" if done.returncode == 0 else "FAIL: " + done.stderr.strip()[-2000:]
            say(f"registry: {step}: {results[step]}")
    return results
