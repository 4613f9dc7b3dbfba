# SPDX-License-Identifier: Apache-2.0
# The DEK registry as clients see it: two processes over one topic of its own, keys of a local key-encryption service, a
# change of the owner and a restart, and that no key is anywhere but in an answer.
import base64
import json

import pytest

from cluster import Cluster, have, wait_until
from rest import Registry

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry"),
                                reason="daemons are not built")

KEKS = "/dek-registry/v1/keks"
SECRET = "a-secret-of-the-test"
SETTINGS = {"registry": {"millrace.registry.local.kms.secret": SECRET}}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=2, settings=SETTINGS) as running:
        yield running


@pytest.fixture
def registries(cluster):
    clients = [Registry(daemon.url) for daemon in cluster.registries]
    yield clients
    for client in clients:
        client.close()


def kek(client, name, **more):
    return client.ask("POST", KEKS, {"name": name, "kmsType": "local-kms", "kmsKeyId": "id", **more})


def test_a_key_made_at_one_registry_is_read_at_the_other(cluster, registries):
    one, other = registries
    assert other.get(KEKS).json == []
    assert kek(one, "k1", shared=True, doc="of the test").status == 200
    made = other.ask("POST", KEKS + "/k1/deks", {"subject": "orders-value"})
    assert made.status == 200, made
    for client in registries:
        read = client.get(KEKS + "/k1/deks/orders-value").json
        assert read["keyMaterial"] == made.json["keyMaterial"] and len(base64.b64decode(read["keyMaterial"])) == 34
        assert client.get(KEKS).json == ["k1"] and client.get(KEKS + "/k1/deks").json == ["orders-value"]
        assert client.get(KEKS + "/k1/deks/orders-value/versions").json == [1]
    topics = [t["topic"] for t in cluster.metadata()["topics"]]
    assert "_dek_registry_keys" in topics


def test_records_are_confluents_and_hold_no_key(cluster, registries):
    kek(registries[0], "form", shared=True)
    made = registries[0].ask("POST", KEKS + "/form/deks/s", {"algorithm": "AES256_SIV", "version": 2}).json
    records = {key: json.loads(value) for _, _, key, value in cluster.consume("_dek_registry_keys") if value}
    assert records['{"tenant":"default","name":"form","type":"KEK"}']["kmsKeyId"] == "id"
    stored = records['{"tenant":"default","kekName":"form","subject":"s","algorithm":"AES256_SIV","version":2,"type":"DEK"}']
    assert stored["encryptedKeyMaterial"] == made["encryptedKeyMaterial"]
    assert made["keyMaterial"] not in json.dumps(list(records.values()))


def test_no_log_line_has_a_key_or_the_secret(cluster, registries):
    kek(registries[0], "quiet", shared=True, kmsProps={"secret": "another-secret"})
    made = [client.ask("POST", KEKS + "/quiet/deks/s%d" % i, {}).json["keyMaterial"]
            for i, client in enumerate(registries)]
    for client in registries:
        assert "secret" not in client.get(KEKS + "/quiet").text
    for daemon in cluster.registries:
        text = daemon.log()
        assert not any(word in text for word in made + [SECRET, "another-secret"])


def test_errors_have_confluents_codes_and_media_types(registries):
    client = registries[1]
    kek(client, "codes")
    for method, path, body, error in (
            ("GET", "/none", None, 40470), ("GET", "/codes/deks/s", None, 40470), ("POST", "/codes/test", None, 42271),
            ("POST", "", {"name": "codes", "kmsType": "local-kms", "kmsKeyId": "other"}, 40971),
            ("POST", "", {"name": "x y", "kmsType": "a", "kmsKeyId": "b"}, 42271),
            ("POST", "/codes/deks", {"subject": "s"}, 42271), ("DELETE", "/codes?permanent=true", None, 40471),
            ("GET", "/codes/deks/s/versions/zero", None, 42202), ("PATCH", "/codes", None, 405)):
        answer = client.ask(method, KEKS + path, body)
        assert answer.error == error and answer.status == error // 100 or error == answer.status, (method, path, answer)
    assert client.get(KEKS, Accept="text/html").status == 406
    assert client.ask("POST", KEKS, {"name": "k"}, {"Content-Type": "text/plain"}).status == 415
    assert client.get(KEKS + "/codes").headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"


def test_deleted_undeleted_and_gone(registries):
    one, other = registries
    kek(one, "life", shared=True)
    first = one.ask("POST", KEKS + "/life/deks/s", {}).json
    assert other.ask("DELETE", KEKS + "/life").error == 42272
    assert other.ask("DELETE", KEKS + "/life/deks/s").status == 204
    assert one.get(KEKS + "/life/deks/s").error == 40470
    assert one.ask("POST", KEKS + "/life/deks/s/undelete").status == 204
    assert other.get(KEKS + "/life/deks/s").json["keyMaterial"] == first["keyMaterial"]
    for path in ("/life/deks/s/versions/1", "/life"):
        assert other.ask("DELETE", KEKS + path).status == 204
        assert one.ask("DELETE", KEKS + path + "?permanent=true").status in (204, 422)
    assert one.ask("DELETE", KEKS + "/life?permanent=true").status in (204, 404)
    assert one.get(KEKS + "/life?deleted=true").error == 40470


def test_keys_survive_a_kill_of_their_owner_and_a_restart(cluster, registries):
    kek(registries[0], "kept", shared=True)
    made = registries[0].ask("POST", KEKS + "/kept/deks/s", {}).json["keyMaterial"]
    for daemon in cluster.registries:
        daemon.kill()
        daemon.start().wait_ready()
        client = Registry(daemon.url)
        assert wait_until(lambda: client.get(KEKS + "/kept/deks/s").status == 200, 20, "the key again")
        assert client.get(KEKS + "/kept/deks/s").json["keyMaterial"] == made
        assert client.ask("POST", KEKS + "/kept/deks/s-%s" % daemon.name, {}).status == 200
        client.close()
