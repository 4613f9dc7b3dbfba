# SPDX-License-Identifier: Apache-2.0
"""kafka-metadata-quorum.sh against a cluster whose second controller follows without a vote: it is given one by the
properties of that controller, as Kafka's tool reads them, and loses it again."""
import json
import pathlib
import re

import brokers  # noqa: F401  (puts tests/lib on the path)
import cluster as lib
import tools

tools.MAIN["kafka-metadata-quorum"] = "org.apache.kafka.tools.MetadataQuorumCommand"


def commands(node, directory):
    """(step, arguments, pattern that the output must have); {config}: the properties of the controller."""
    meant = f"--controller-id {node} --controller-directory-id {directory}"
    voter = f'CurrentVoters:.*"id": {node}, "directoryId": "{directory}", "endpoints": \\["CONTROLLER://127'
    return [
        ("dry", "--command-config {config} add-controller --dry-run", rf"DRY RUN.*adding controller {node}"),
        ("add", "--command-config {config} add-controller", rf"Added controller {node} with directory id {directory}"),
        ("describe", "describe --status", voter),
        ("describe replication", "describe --replication", rf"^{node}\s+{directory}\s+\d+\s+0\s.*Follower"),
        ("remove", f"remove-controller {meant}", rf"Removed\s+KRaft controller {node} with directory id {directory}"),
        ("describe after it", "describe --status", rf'(?s)\A(?!.*CurrentVoters:[^\n]*"id": {node})'),
    ]


class Quorum:
    """What tools.Tools asks of what it runs against."""
    replication, directories = 1, None

    def __init__(self, cluster):
        self.bootstrap = cluster.kafka


def properties(controller, path):
    """A Kafka controller's; the tool looks for the directory id in its meta.properties."""
    address = f"127.0.0.1:{controller.rpc_port}"
    path.write_text(f"process.roles=controller\nnode.id={controller.id}\nlog.dirs={controller.data}\n"
                    f"metadata.log.dir={controller.data}\nlisteners=CONTROLLER://{address}\n"
                    f"controller.listener.names=CONTROLLER\ncontroller.quorum.bootstrap.servers={address}\n")
    return path


def followed(cluster, node):
    rows = json.loads(cluster.cli("quorum", "--admin", ",".join(
        f"127.0.0.1:{one.http_port}" for one in cluster.controllers), "--json", check=False).stdout)
    return any(row["controller"] == node and row["persisted"] for row in rows)


def run(say, directory):
    results, directory = {}, pathlib.Path(directory)
    with lib.Cluster(controllers=2, coordinators=0, dynamic=True) as cluster:
        controller = cluster.controllers[1]
        lib.wait_until(lambda: followed(cluster, controller.id), what="the second controller to follow")
        found = re.search(r"^directory.id=(\S+)", (pathlib.Path(controller.data) / "meta.properties").read_text(), re.M)
        tool = tools.Tools(Quorum(cluster), str(directory))
        config = properties(controller, directory / "controller.properties")
        for step, arguments, pattern in commands(controller.id, found[1]):
            results[step] = tool.step("kafka-metadata-quorum", arguments.format(config=config), None, pattern)
            say(f"kafka-metadata-quorum {step}: {results[step]}")
    return results
