# SPDX-License-Identifier: Apache-2.0
"""A generated run over the registry's description of itself: schemathesis makes requests of services/registry/openapi.yaml,
fitting ones and others, and every answer must be one that the description has. Nothing may be answered 5xx, but 500 where a
key service cannot be used (Confluent's 50070)."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = HERE / "python/env/schemathesis-4.32.5"
DESCRIPTION = HERE.parents[1] / "services/registry/openapi.yaml"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
KEYS_CHECKS = CHECKS.replace("not_a_server_error,", "")  # 500 is in their description, no other 5xx is
SETTINGS = {"registry": {"millrace.registry.local.kms.secret": "of the test"}}
STEPS = {"schemas": ("--exclude-path-regex=^/dek-registry", CHECKS),
         "keys": ("--include-path-regex=^/dek-registry", KEYS_CHECKS)}
EXAMPLES, RUN_SECONDS, SECONDS = 40, 300, 900


def missing():
    """What is needed and not here, or None."""
    if not cluster.have("millrace-registry"):
        return "millrace-registry is not built"
    return None if (ENVIRONMENT / "done").exists() else "setup.sh python could not install schemathesis"


def run_step(url, step, examples):
    paths, checks = STEPS[step]
    command = [ENVIRONMENT / "bin/schemathesis", "run", DESCRIPTION, "--url", url, "--checks", checks, paths, "--no-color",
               "--phases=examples,coverage,fuzzing", "--max-examples=%d" % examples, "--generation-database=none",
               "--seed=1", "--workers=2", "--suppress-health-check=all", "--continue-on-failure", "--max-time=%d" % RUN_SECONDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd="/tmp")
    summary = [line.strip() for line in done.stdout.splitlines() if "generated" in line or "Operations:" in line]
    return done.returncode == 0, "; ".join(summary), done.stdout + done.stderr


def run(say, outcome, only="", examples=EXAMPLES):
    results = {}
    with cluster.Cluster(coordinators=0, registries=2, settings=SETTINGS) as running:
        for step in [one for one in STEPS if only in ("", one)]:
            good, summary, text = run_step(running.registries[0].url, step, examples)
            results[step] = "ok" if good else "FAIL: " + text[-6000:]
            say("openapi: %s: %s (%s)" % (step, results[step], summary))
            if not all(daemon.running() for daemon in running.registries):
                results[step] = "FAIL: a registry has ended"
    outcome.take("the registry's description", results)
