# SPDX-License-Identifier: Apache-2.0
"""Schema registry clients of other makers against two registry processes of millrace, end to end through topics. Each
client is a program that goes through steps: PROGRAM BOOTSTRAP REGISTRY[,REGISTRY] STEP ends with 0 or says what went
wrong."""
import dataclasses
import json
import pathlib
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
JAVA = HERE / "java/schemas/target"
ENVIRONMENT = HERE / "python/env/confluent-kafka-schemas-2.16.1"
STEP_SECONDS = 120
BASIC = ("wire", "register", "evolve", "reject", "references", "delete")
FORMATS = {"json": "JSON", "protobuf": "PROTOBUF"}  # a step that begins so needs the registry to serve that format


@dataclasses.dataclass
class Program:
    name: str
    command: list
    needs: pathlib.Path  # what setup.sh makes
    steps: tuple

    @property
    def missing(self):
        return None if self.needs.exists() else f"setup.sh could not install {self.needs.relative_to(HERE)}"


def python(name, program, steps):
    return Program(name, [ENVIRONMENT / "bin/python", HERE / "python" / program], ENVIRONMENT / "done", steps)


def programs():
    return [
        python("confluent-kafka (Python) 2.16.1", "schemas.py",
               ("wire", "header", "evolve", "reject", "references", "delete", "settings", "metadata", "contexts",
                "another_process")),
        python("confluent-kafka (Python) 2.16.1", "schema_formats.py",
               ("json_wire", "json_evolve", "json_references", "protobuf_wire", "protobuf_nested", "protobuf_evolve",
                "protobuf_references")),
        Program("@kafkajs/confluent-schema-registry 4.1.0", ["node", HERE / "node/schemas.js"],
                HERE / "node/node_modules/@kafkajs/confluent-schema-registry", BASIC + ("json_wire", "protobuf_wire")),
        Program("franz-go sr 1.8.0", [HERE / "go/bin/schemas"], HERE / "go/bin/schemas",
                BASIC + ("settings", "json_wire", "protobuf_wire")),
        Program("Java (Flink 2.3.0, Confluent's client 7.5.3)",
                ["java", "-Xmx256m", "-cp", f"{JAVA}/classes:{JAVA}/lib/*", "Schemas"], JAVA / "classes/Schemas.class",
                BASIC + ("settings",)),
    ]


def missing():
    """What is needed and not here, or None."""
    return None if cluster.have("millrace-registry") else "millrace-registry is not built"


def run_step(program, running, urls, step):
    """"ok" or "FAIL: what" of one step."""
    done = subprocess.run([*program.command, running.kafka, ",".join(urls), step], capture_output=True, text=True,
                          timeout=STEP_SECONDS)
    return "ok" if done.returncode == 0 else "FAIL: " + (done.stderr or done.stdout).strip()[-2000:]


def run_program(program, running, steps, say):
    """{step: "ok", "n/a: reason" or "FAIL: what"}"""
    results = {}
    urls = [daemon.url for daemon in running.registries]
    with urllib.request.urlopen(urls[0] + "/schemas/types") as answer:
        served = json.loads(answer.read())
    for step in steps:
        needed = FORMATS.get(step.split("_")[0])
        absent = needed and needed not in served
        results[step] = f"n/a: the registry does not serve {needed}" if absent else run_step(program, running, urls, step)
        say(f"registry: {program.name}: {step}: {results[step]}")
    return results


def run(say, outcome, client="", step=""):
    """Every client that is here; client: part of a name, step: one of the steps."""
    with cluster.Cluster(registries=2) as running:
        for program in [one for one in programs() if client.lower() in one.name.lower()]:
            steps = [one for one in program.steps if step in ("", one)]
            if steps and program.missing:
                outcome.skip(program.name, program.missing)
            elif steps:
                outcome.take(program.name, run_program(program, running, steps, say))
