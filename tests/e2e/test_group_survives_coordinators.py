# SPDX-License-Identifier: Apache-2.0
# A stable group while its coordinators die one after the other: the storage nodes send the members' requests to the
# new owner, so no member sees an error, none is lost and no rebalance starts; everything is read once.
import subprocess
import time

import pytest

import cluster as lib

MEMBERS, RECORDS, OUTAGE_S = 3, 300, 4


class Member:
    def __init__(self, cluster, directory, number):
        self.log_path = directory / ("member-%d.log" % number)
        self.log = open(self.log_path, "w")
        self.process = subprocess.Popen(
            ["kcat", "-b", cluster.kafka, "-G", "g", "t", "-u", "-X", "auto.offset.reset=earliest",
             "-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=300", "-X", "auto.commit.interval.ms=300"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)

    def said(self):
        """What it said about its group and its connections."""
        return [line for line in self.log_path.read_text().splitlines() if "Reached end" not in line]

    def stop(self):
        self.process.terminate()
        records = self.process.communicate()[0].split()
        self.log.close()
        return records


@pytest.fixture
def started():
    with lib.Cluster(storage=2, controllers=1, coordinators=2) as running:
        running.create_topic("t", partitions=2 * MEMBERS, replication=2)
        yield running


def settled(members):
    """Whether the three share the partitions evenly."""
    last = [member.said()[-1:] for member in members]
    return all(lines and "assigned: t" in lines[0] and lines[0].count("t [") == 2 for lines in last)


def test_no_member_notices(started, tmp_path):
    members = [Member(started, tmp_path, i) for i in range(MEMBERS)]
    lib.wait_until(lambda: settled(members), 40, "the group to settle")
    started.produce("t", ["before-%d" % i for i in range(RECORDS)])
    before = [member.said() for member in members]
    for coordinator in started.coordinators:
        coordinator.kill()
        time.sleep(OUTAGE_S)
        coordinator.start()
        coordinator.wait_ready()
    started.produce("t", ["after-%d" % i for i in range(RECORDS)])
    time.sleep(2)
    assert [member.said() for member in members] == before, "a member said something about its group"
    read = [record for member in members for record in member.stop()]
    assert len(read) == len(set(read)) == 2 * RECORDS
