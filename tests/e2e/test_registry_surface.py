# SPDX-License-Identifier: Apache-2.0
# The rest of the registry's REST surface with real daemons: associations, tags, pages and filters of every list, and what
# the server says to methods, media types and paths it does not have.
import json

import pytest

from cluster import Cluster, have
from rest import MEDIA, Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry"),
                                reason="daemons are not built")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=2) as running:
        yield running


@pytest.fixture
def registry(cluster):
    client = Registry(cluster.registries[0].url)
    yield client
    client.close()


@pytest.fixture
def other(cluster):
    client = Registry(cluster.registries[1].url)
    yield client
    client.close()


def resource(name, *associations):
    return {"resourceName": name, "resourceNamespace": "ns", "resourceId": "id-" + name,
            "associations": list(associations)}


def with_schema(kind, schema="\"string\""):
    return {"associationType": kind, "schema": {"schema": schema}}


def test_a_topic_gets_its_schemas_and_takes_them_along(registry, other):
    made = registry.ask("POST", "/associations", resource("t", with_schema("key"), with_schema("value", "\"int\"")))
    assert made.status == 200, made
    kinds = {a["associationType"]: a for a in made.json["associations"]}
    assert kinds["key"]["subject"] == ":.ns:t-key" and kinds["value"]["frozen"] and kinds["key"]["lifecycle"] == "STRONG"
    assert {kinds[k]["schema"]["id"] for k in kinds} == {1, 2}
    for client in (registry, other):
        found = client.get("/associations/resources/id-t").json
        assert [a["subject"] for a in found] == [":.ns:t-key", ":.ns:t-value"]
        assert client.get("/associations/resources/ns/t?associationType[]=key").json == found[:1]
        assert client.get("/associations/subjects/%3A.ns%3At-value").json == found[1:]
        assert client.get("/associations/resources/id-t?offset=1&limit=1").json == found[1:]
    assert other.ask("POST", "/associations", resource("t", with_schema("key", "\"long\""))).error == 40903
    assert other.delete(":.ns:t-key").error == 40904
    assert other.ask("DELETE", "/associations/resources/id-t").error == 40908
    assert other.ask("DELETE", "/associations/resources/id-t?cascadeLifecycle=true").status == 204
    assert registry.get("/associations/resources/id-t").json == []
    assert registry.versions(":.ns:t-key", "?deleted=true").error == 40401


def test_batches_of_associations(registry, other):
    registry.id_of("shared", record("S", "x"))
    batch = {"requests": [
        {**resource("a"), "associations": [{"opType": "UPSERT", "subject": "shared"}]},
        {**resource("b"), "associations": [{"opType": "CREATE", "subject": "nobody"}]}]}
    answer = other.ask("POST", "/associations:batchMutate", batch)
    assert answer.status == 207 and answer.json["results"][0]["result"]["associations"][0]["lifecycle"] == "WEAK"
    assert answer.json["results"][1]["error"]["error_code"] == 40907
    found = registry.ask("POST", "/associations:batchGet?includeSchemas=true",
                         {"requests": [{"resourceName": "a", "resourceNamespace": "ns"}]})
    assert found.status == 207
    assert found.json["results"][0]["result"]["associations"][0]["schema"]["subject"] == "shared"
    assert [s["subject"] for s in registry.get("/schemas?resourceType=topic").json] == ["shared"]


def test_a_tag_becomes_the_next_version(registry):
    registry.id_of("tagged", record("T", "x"))
    change = {"tagsToAdd": [{"schemaEntity": {"entityPath": "T.x", "entityType": "SR_FIELD"}, "tags": ["PII"]}]}
    answer = registry.ask("POST", "/subjects/tagged/versions/latest/tags", change)
    assert answer.status == 200, answer
    read = registry.get("/subjects/tagged/versions/2?findTags[]=PII").json
    assert read["schemaTags"] == change["tagsToAdd"]
    assert json.loads(read["schema"])["fields"][0]["confluent:tags"] == ["PII"]


def test_every_list_has_pages(registry):
    for i in range(3):
        registry.id_of("page", record("P", *["f%d" % n for n in range(1)], *[("g%d" % n, "int", 0) for n in range(i)]))
        registry.id_of("page-%d" % i, record("P", "f0"))
    number = registry.get("/subjects/page/versions/1").json["id"]
    for path in ("/subjects?subjectPrefix=page", "/subjects/page/versions", "/schemas?subjectPrefix=page",
                 "/schemas/ids/%d/subjects" % number, "/schemas/ids/%d/versions" % number, "/contexts"):
        mark = "&" if "?" in path else "?"
        whole = registry.get(path).json
        assert registry.get(path + mark + "limit=-1").json == whole
        assert registry.get(path + mark + "offset=0&limit=1").json == whole[:1], path
        assert registry.get(path + mark + "offset=1&limit=1").json == whole[1:2], path
        assert registry.get(path + mark + "offset=1000").json == [], path


def test_arguments_beyond_the_limit_are_refused_not_dropped(registry):
    registry.id_of("counted", record("C", "x"))
    for path in ("/subjects", "/contexts/.none/subjects"):
        few, many = ("%s?%s" % (path, "&".join("a%d=" % i for i in range(count))) for count in (24, 25))
        assert ("counted" in registry.get(few).json) == (path == "/subjects"), path
        assert registry.get(many).error == 414 and "arguments" in registry.get(many).text, path


def test_methods_and_media_types_the_server_does_not_have(registry):
    assert registry.ask("PUT", "/subjects").status == 405 and registry.ask("PUT", "/subjects").error == 405
    assert "GET" in registry.ask("PUT", "/subjects").headers["Allow"]
    assert registry.get("/nowhere").error == 404
    options = registry.ask("OPTIONS", "/config")
    assert options.status == 200 and options.headers["Allow"] == "GET, HEAD, PUT, DELETE"
    assert registry.ask("OPTIONS", "/nowhere").status == 404
    head = registry.ask("HEAD", "/subjects")
    assert head.status == 200 and head.text == "" and head.headers["Content-Type"] == MEDIA
    assert registry.get("/subjects", Accept="text/html").error == 406
    assert registry.get("/subjects", Accept="text/html, application/json;q=0.5").headers["Content-Type"] == "application/json"
    assert registry.ask("POST", "/subjects/s/versions", "<schema/>", {"Content-Type": "text/xml"}).error == 415
    assert registry.ask("POST", "/subjects/s/versions", "{").error == 400
    assert registry.ask("POST", "/subjects/s/versions", {"schema": "{"}).error == 42201


def test_the_description_is_served(registry):
    answer = registry.get("/openapi.yaml", Accept="*/*")
    assert answer.status == 200 and answer.text.startswith("openapi: 3.0") and "/dek-registry/v1/keks" in answer.text


@pytest.mark.parametrize("query", ["limit=abc", "offset=1x", "limit=99999999999", "offset=99999999999999999999"])
def test_a_page_that_is_no_number_is_not_there(registry, query):
    """As Confluent's server has it; taken for nothing it would answer the whole list."""
    for path in ("/subjects", "/schemas", "/contexts", "/schemas/ids/1/versions", "/dek-registry/v1/keks"):
        answer = registry.get(path + "?" + query)
        assert (answer.status, answer.json) == (404, {"error_code": 404, "message": "HTTP 404 Not Found"}), path
    assert registry.get("/subjects?limit=-1&offset=0").status == registry.get("/subjects?limit=&offset=").status == 200


def test_later_fields_are_for_clients_that_say_true(registry):
    registry.id_of("fields", record("F", "x"))
    for said, there in (("true", True), ("TRUE", True), ("false", False), ("", False), (None, False)):
        headers = {} if said is None else {"Confluent-Accept-Unknown-Properties": said}
        answer = registry.ask("GET", "/subjects/fields/versions/1", headers=headers)
        assert ("guid" in answer.json) == there, said
