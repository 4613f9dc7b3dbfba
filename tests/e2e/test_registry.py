# SPDX-License-Identifier: Apache-2.0
# The schema registry as a client sees it: register, evolve, reject, delete; errors and media types; what is there after
# a restart; `_schemas` as Confluent's registry keeps it.
import json

import pytest

from cluster import Cluster, have, wait_until
from rest import MEDIA, Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry", "millrace"),
                                reason="daemons are not built")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=1) as running:
        yield running


@pytest.fixture
def registry(cluster):
    client = Registry(cluster.registries[0].url)
    yield client
    client.close()


def test_nothing_is_made_before_the_first_schema(cluster, registry):
    assert registry.subjects() == [] and registry.get("/config").status == 200
    assert registry.get("/schemas/ids/1").error == 40403
    assert "_schemas" not in [t["topic"] for t in cluster.metadata()["topics"]]
    assert registry.id_of("first", "\"null\"") == 1
    assert "_schemas" in [t["topic"] for t in cluster.metadata()["topics"]]


def test_schemas_evolve_and_what_does_not_fit_is_refused_with_the_reason(registry):
    first = registry.id_of("evolve", record("E", "x"))
    second = registry.id_of("evolve", record("E", "x", ("y", "int", 1)))
    assert second > first and registry.id_of("evolve", record("E", "x")) == first
    refused = registry.register("evolve", record("E", "x", "z"))
    assert refused.status == 409 and refused.error == 40901
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in refused.text and "oldSchemaVersion: 2" in refused.text
    check = registry.ask("POST", "/compatibility/subjects/evolve/versions?verbose=true",
                         {"schema": json.dumps(record("E", "x", "z"))}).json
    assert not check["is_compatible"] and len(check["messages"]) >= 3
    assert registry.versions("evolve").json == [1, 2]
    latest = registry.get("/subjects/evolve/versions/latest").json
    assert latest["version"] == 2 and latest["id"] == second
    assert json.loads(registry.get("/schemas/ids/%d" % first).json["schema"]) == record("E", "x")


def test_deleted_softly_a_schema_is_read_by_id_and_for_good_it_is_gone(registry):
    number = registry.id_of("gone", record("Gone", "x"))
    assert registry.delete("gone", permanent=True).error == 40405
    assert registry.delete("gone").json == [1]
    assert "gone" not in registry.subjects() and "gone" in registry.subjects("?deleted=true")
    assert registry.delete("gone").error == 40404
    assert registry.get("/schemas/ids/%d" % number).status == 200
    assert registry.delete("gone", permanent=True).json == [1]
    assert registry.get("/schemas/ids/%d" % number).error == 40403
    assert "gone" not in registry.subjects("?deleted=true")
    assert registry.id_of("gone", record("Other", "x")) > number, "no id is given twice"


def test_names_with_slashes_colons_and_other_letters(registry):
    for subject in ("a/b", "ü:ñ %41", "spaces in it"):
        registry.id_of(subject, "\"string\"")
        assert registry.versions(subject).json == [1]
        assert subject in registry.subjects()


def test_contexts_by_path_and_by_name(registry):
    registry.id_of("plain", record("P", "x"))
    made = registry.ask("POST", "/contexts/dev/subjects/inner/versions", {"schema": "\"int\""})
    assert made.json == {"id": 1}
    assert registry.get("/contexts/.dev/subjects").json == [":.dev:inner"]
    assert registry.versions(":.dev:inner").json == [1]
    assert registry.get("/contexts/:.dev:/subjects").json == [":.dev:inner"]
    assert registry.get("/contexts/dev/subjects/:.dev:inner/versions").json == [1]
    assert registry.get("/contexts/dev/subjects/:.:plain/versions").json == [1]
    assert ":.dev:inner" in registry.get("/contexts/other/subjects?subjectPrefix=:*:").json
    assert registry.get("/contexts/a:b/subjects").status == 400
    assert registry.get("/contexts/dev/schemas/ids/1").json == {"schema": "\"int\""}
    assert registry.ask("PUT", "/contexts/dev/config", {"compatibility": "NONE"}).status == 200
    assert registry.get("/config/:.dev:").json == {"compatibilityLevel": "NONE"}
    assert registry.get("/config").json == {"compatibilityLevel": "BACKWARD"}
    assert set(registry.get("/contexts").json) >= {".", ".dev"}


@pytest.mark.parametrize("accept, answered", [
    (MEDIA, MEDIA), ("*/*", MEDIA), ("application/json", "application/json"), ("", MEDIA),
    ("text/html, application/json;q=0.5", "application/json"),
    ("application/vnd.schemaregistry+json, application/json; q=0.9", "application/vnd.schemaregistry+json"),
    ("text/html", None)])
def test_media_types_of_answers(registry, accept, answered):
    got = registry.get("/subjects", Accept=accept)
    assert got.status == (200 if answered else 406)
    assert got.headers["Content-Type"] == (answered or MEDIA)


@pytest.mark.parametrize("method, path, body, headers, status, error", [
    ("GET", "/subjects/none/versions", None, {}, 404, 40401),
    ("GET", "/subjects/none/versions/1", None, {}, 404, 40401),
    ("GET", "/subjects/none/versions/0", None, {}, 422, 42202),
    ("GET", "/schemas/ids/99999", None, {}, 404, 40403),
    ("GET", "/schemas/ids/x", None, {}, 404, 404),
    ("GET", "/config/none", None, {}, 404, 40408),
    ("GET", "/mode/none", None, {}, 404, 40409),
    ("GET", "/nothing", None, {}, 404, 404),
    ("PUT", "/config", {"compatibility": "MUCH"}, {}, 422, 42203),
    ("PUT", "/mode", {"mode": "MUCH"}, {}, 422, 42204),
    ("PUT", "/config", "{", {}, 400, 400),
    ("POST", "/subjects/x/versions", {"schema": "{}"}, {}, 422, 42201),
    ("POST", "/subjects/x/versions", {"schema": "{\"type\":5}", "schemaType": "JSON"}, {}, 422, 42201),
    ("POST", "/subjects/x/versions", "", {}, 400, 400),
    ("POST", "/subjects/x/versions", {"schema": "\"int\"", "id": 7}, {}, 422, 42205),
    ("POST", "/subjects/x/versions", {"schema": "\"int\""}, {"Content-Type": "text/xml"}, 415, 415),
    ("POST", "/subjects/caf%E9/versions", {"schema": "\"int\""}, {}, 400, 400),
    ("PUT", "/config/:.caf%E9:", {"compatibility": "NONE"}, {}, 400, 400),
    ("GET", "/contexts/caf%E9/subjects", None, {}, 400, 400),
    ("DELETE", "/contexts/caf%E9", None, {}, 400, 400),
    ("GET", "/subjects?subjectPrefix=caf%E9", None, {}, 400, 400),
    ("DELETE", "/subjects/none", None, {}, 404, 40401),
    ("PATCH", "/config", None, {}, 405, 405)])
def test_errors_have_confluents_codes(registry, method, path, body, headers, status, error):
    answer = registry.ask(method, path, body, headers)
    assert (answer.status, answer.error) == (status, error), answer


def test_a_body_too_large_is_refused(registry):
    try:
        assert registry.ask("POST", "/subjects/large/versions", {"schema": "\"int\"", "x": "y" * (3 << 20)}).status == 413
    except ConnectionError:
        pass  # the answer came while the body was being sent, and the connection was closed behind it
    assert registry.versions("large").error == 40401


def test_what_the_clients_see_is_in_the_topic_in_confluents_form(cluster, registry):
    registry.id_of("form", record("Form", "x"))
    registry.ask("PUT", "/config/form", {"compatibility": "FULL"})
    records = {json.loads(key)["keytype"] + ":" + str(json.loads(key).get("subject")): (key, value)
               for _, _, key, value in cluster.consume("_schemas")}
    key, value = records["SCHEMA:form"]
    assert key == '{"keytype":"SCHEMA","subject":"form","version":1,"magic":1}'
    found = json.loads(value)
    assert found["subject"] == "form" and found["version"] == 1 and found["deleted"] is False and found["id"] > 0
    assert json.loads(found["schema"]) == record("Form", "x")
    assert records["CONFIG:form"][0] == '{"keytype":"CONFIG","subject":"form","magic":0}'
    config = cluster.cli("config", "list", "--topic", "_schemas").stdout
    assert "cleanup.policy" in config and "compact" in config


def test_metrics_and_health(cluster, registry):
    daemon = cluster.registries[0]
    registry.id_of("counted", "\"int\"")
    wait_until(lambda: daemon.metric("millrace_registry_subjects") > 0 and
               daemon.metric("millrace_registry_owner") == 1, what="the gauges")
    assert daemon.metric("millrace_registry_requests_total") > 0
    assert daemon.http("/health/ready")[0] == 200


def test_all_is_there_after_a_restart_of_everything(cluster, registry):
    numbers = {"kept-%d" % i: registry.id_of("kept-%d" % i, record("K%d" % i, "x")) for i in range(20)}
    registry.delete("kept-0")
    registry.delete("kept-1")
    registry.delete("kept-1", permanent=True)
    before = registry.subjects("?deleted=true")
    cluster.stop()
    cluster.restart_all()
    registry.close()
    assert registry.subjects("?deleted=true") == before
    assert "kept-0" not in registry.subjects()
    for subject, number in list(numbers.items())[2:]:
        assert registry.get("/subjects/%s/versions/1" % subject).json["id"] == number
    assert registry.id_of("kept-new", record("New", "x")) == max(numbers.values()) + 1


def test_a_registry_waits_for_late_storage_and_recovers_by_itself(cluster, registry):
    storage, daemon = cluster.storage[0], cluster.registries[0]
    number = registry.id_of("late", record("Late", "x"))
    storage.kill()
    daemon.restart()
    wait_until(lambda: daemon.http("/health/ready")[0] == 503, what="it to run and wait")
    storage.start()
    daemon.wait_ready()
    registry.close()
    assert registry.get("/schemas/ids/%d" % number).status == 200
    assert registry.id_of("late-2", "\"long\"") > 0


def test_an_answer_comes_in_time_when_a_write_cannot_be_committed(cluster, registry):
    registry.id_of("before", "\"int\"")
    cluster.storage[0].kill()
    try:
        answer = registry.register("stuck", "\"int\"")
        assert (answer.status, answer.error) == (500, 50002), answer
    finally:
        cluster.storage[0].start().wait_ready()
    wait_until(lambda: registry.register("stuck", "\"int\"").status == 200, 30, "the write to be taken again")


def test_schemas_from_the_command_line(cluster, registry, tmp_path):
    old, new, bad = (tmp_path / name for name in ("old.avsc", "new.avsc", "bad.avsc"))
    old.write_text(json.dumps(record("C", "x"), indent=2))
    new.write_text(json.dumps(record("C", "x", ("y", "int", 1))))
    bad.write_text(json.dumps(record("C", "z")))

    def schema(*arguments, code=0, **more):
        done = cluster.cli("schema", *arguments, "--registry", cluster.registries[0].url, check=False, **more)
        assert done.returncode == code, done
        return done.stdout

    number = int(schema("register", "cli", old))
    assert schema("register", "cli", input=old.read_text()).strip() == str(number)
    assert schema("check", "cli", new) == "compatible\n"
    told = schema("check", "cli", bad, code=1)
    assert told.startswith("not compatible") and "READER_FIELD_MISSING_DEFAULT_VALUE" in told
    schema("register", "cli", bad, code=1)
    schema("register", "cli", new)
    assert json.loads(schema("get", "cli")) == record("C", "x", ("y", "int", 1))
    assert json.loads(schema("get", "--id", number)) == record("C", "x")
    lines = schema("diff", "cli", 1, code=1).splitlines()
    assert [line for line in lines if line[0] == "-"] == [] and any('"name":\t"y"' in l for l in lines if l[0] == "+")
    assert schema("diff", "cli", 2)
    assert ["cli", 2, "AVRO"] in [[r["subject"], r["version"], r["type"]] for r in json.loads(schema("list", "--json"))]
    assert schema("config", "cli") == "BACKWARD\n"
    assert schema("config", "cli", "--level", "FULL") == "FULL\n" and schema("config", "cli") == "FULL\n"
    assert schema("config", "cli", "--policy", "LENIENT") == "LENIENT\n" and schema("config", "cli") == "FULL\n"
    assert json.loads(schema("config", "cli", "--json"))["compatibilityPolicy"] == "LENIENT"
    assert schema("config", "cli", "--delete") == "FULL\n" and schema("config", "cli") == "BACKWARD\n"
    assert schema("mode", "cli", "--set", "READONLY") == "READONLY\n"
    schema("delete", "cli", code=1)
    schema("mode", "cli", "--delete")
    user = tmp_path / "user.avsc"
    user.write_text(json.dumps(record("U", ("c", "C"))))
    schema("register", "user", user, "--reference", "C=cli:2")
    schema("register", "user", user, "--reference", "nonsense", code=2)
    schema("delete", "cli", code=1)
    schema("delete", "cli", "--version", 1)
    schema("delete", "user")
    schema("delete", "cli")
    schema("delete", "cli", "--permanent")
    schema("get", "cli", code=1)
    done = cluster.cli("schema", "list", "--registry", "http://127.0.0.1:1", check=False)
    assert done.returncode == 3 and "no schema registry answers" in done.stderr
