# SPDX-License-Identifier: Apache-2.0
# JSON Schema in the schema registry as a client sees it: register, evolve, reject with the reason, look up, normalize,
# references, compatibility routes, what is there after a restart.
import http.server
import json
import threading

import pytest

from cluster import Cluster, have
from rest import Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry", "millrace"),
                                reason="daemons are not built")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=1) as running:
        yield running


class Json(Registry):
    """A registry asked about JSON schemas."""

    def register(self, subject, schema, query="", **more):
        return self.ask("POST", self.subject_path(subject) + "/versions" + query, self.body(schema, **more))

    def look_up(self, subject, schema, query="", **more):
        return self.ask("POST", self.subject_path(subject) + query, self.body(schema, **more))

    def check(self, subject, schema, version="", **more):
        path = "/compatibility" + self.subject_path(subject) + "/versions" + version + "?verbose=true"
        return self.ask("POST", path, self.body(schema, **more)).json

    def text(self, subject, version, query=""):
        return self.get("%s/versions/%s/schema%s" % (self.subject_path(subject), version, query)).text

    @staticmethod
    def body(schema, **more):
        return {"schema": schema if isinstance(schema, str) else json.dumps(schema), "schemaType": "JSON", **more}


@pytest.fixture
def registry(cluster):
    client = Json(cluster.registries[0].url)
    yield client
    client.close()


def thing(closed=True, required=(), **properties):
    """A JSON schema of an object; a property is the name of a type, or a schema."""
    made = {"type": "object", "properties": {name: {"type": kind} if isinstance(kind, str) else kind
                                             for name, kind in properties.items()}}
    if closed:
        made["additionalProperties"] = False
    if required:
        made["required"] = list(required)
    return made


def refer(name, subject, version=1):
    return {"name": name, "subject": subject, "version": version}


def test_json_is_among_the_types(registry):
    assert set(registry.get("/schemas/types").json) >= {"JSON", "AVRO"}


def test_schemas_evolve(registry):
    first = registry.id_of("evolve", thing(a="string"))
    second = registry.id_of("evolve", thing(a="string", b="number"))
    assert second > first and registry.id_of("evolve", thing(a="string")) == first
    assert registry.versions("evolve").json == [1, 2]
    latest = registry.get("/subjects/evolve/versions/latest").json
    assert latest["schemaType"] == "JSON" and latest["id"] == second
    assert json.loads(latest["schema"]) == thing(a="string", b="number")
    by_id = registry.get("/schemas/ids/%d" % first).json
    assert by_id["schemaType"] == "JSON" and json.loads(by_id["schema"]) == thing(a="string")


def test_what_does_not_fit_is_refused_with_the_reason(registry):
    registry.id_of("refuse", thing(a={"type": "integer", "maximum": 10}))
    refused = registry.register("refuse", thing(a={"type": "integer", "maximum": 5}))
    assert (refused.status, refused.error) == (409, 40901)
    for part in ("MAXIMUM_DECREASED", "#/properties/a/maximum", "new:'5'", "old:'10'", "remedy:", "oldSchemaVersion: 1"):
        assert part in refused.json["message"], refused
    assert registry.versions("refuse").json == [1]


@pytest.mark.parametrize("level, old, new, code", [
    ("BACKWARD", thing(closed=False, a="string"), thing(closed=False, a="string", b="number"),
     "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"),
    ("FORWARD", thing(closed=False, a="string"), thing(closed=False, a="string", b="number"), None),
    ("FORWARD", thing(a="string"), thing(a="string", b="number"), "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
    ("BACKWARD", thing(a="string"), thing(a="string", b="number", required=["b"]),
     "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"),
    ("FULL", thing(a="integer"), thing(a="number"), "TYPE_NARROWED"),
    ("BACKWARD", {"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}, "TYPE_CHANGED"),
    ("BACKWARD", {"enum": ["a", "b"]}, {"enum": ["a"]}, "ENUM_ARRAY_NARROWED"),
    ("NONE", thing(a="string"), {"type": "null"}, None)])
def test_levels(registry, level, old, new, code):
    subject = "level-%s-%s" % (level, code)
    registry.ask("PUT", "/config/" + subject, {"compatibility": level})
    registry.id_of(subject, old)
    told = registry.check(subject, new)
    assert told["is_compatible"] == (code is None), told
    assert code is None or any('errorType:"%s"' % code in message for message in told["messages"]), told
    assert registry.register(subject, new).status == (200 if code is None else 409)


def test_transitive_levels_look_at_all_versions(registry):
    registry.ask("PUT", "/config/transitive", {"compatibility": "NONE"})
    registry.id_of("transitive", thing(a="string"))
    registry.id_of("transitive", thing(b="string"))
    registry.ask("PUT", "/config/transitive", {"compatibility": "BACKWARD_TRANSITIVE"})
    told = registry.check("transitive", thing(a="number", b="string"))
    assert not told["is_compatible"] and any("TYPE_CHANGED" in message for message in told["messages"])
    assert any("oldSchemaVersion: 1" in message for message in told["messages"])
    assert registry.check("transitive", thing(a="number", b="string"), "/2")["is_compatible"]


def test_a_text_is_kept_as_it_was_written_and_normalized_when_asked(registry):
    text = ' { "title" : "T", "type":"object", "maxProperties": 1e2, "default": {"x":1.10} } '
    registry.id_of("texts", text)
    assert registry.text("texts", 1) == '{"title":"T","type":"object","maxProperties":1E+2,"default":{"x":1.10}}'
    registry.ask("PUT", "/config/normal", {"normalize": True})
    registry.id_of("normal", text)
    normal = '{"default":{"x":1.10},"maxProperties":1E+2,"title":"T","type":"object"}'
    assert registry.text("normal", 1) == normal
    registry.ask("PUT", "/config/normal", {"normalize": False})
    other = '{"type":"object","title":"T","default":{"x":1.10},"maxProperties":1e2}'
    assert registry.look_up("normal", other).error == 40403
    assert registry.look_up("normal", other, "?normalize=true").json["version"] == 1
    assert registry.register("normal", other, "?normalize=true").json["id"] == registry.get(
        "/subjects/normal/versions/1").json["id"]


def test_what_is_no_schema_is_refused_with_the_reason(registry):
    for schema, says in (("{", "line 1"), ("5", "a schema is an object"), ('{"type":"text"}', "keyword type"),
                         ('{"$ref":"#/definitions/none"}', "leads nowhere"), ('{"pattern":"("}', "regular expression"),
                         ('{"properties":{"$$own":{}}}', "$$own"), ("", "Empty schema"),
                         ('{"$ref":"http://example.com/never-fetched"}', "leads nowhere")):
        answer = registry.register("wrong", schema)
        assert (answer.status, answer.error) == (422, 42201) and says in answer.json["message"], answer
    assert registry.versions("wrong").error == 40401


def test_no_reference_is_fetched(registry):
    """A $ref, $id or $schema that is an address makes the registry no client of that address."""
    asked = []

    class Trap(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with http.server.HTTPServer(("127.0.0.1", 0), Trap) as trap:
        threading.Thread(target=trap.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d/schema" % trap.server_address[1]
        assert registry.register("trap", {"$ref": url}).error == 42201
        assert registry.register("trap", {"properties": {"a": {"$ref": url + "#/definitions/x"}}}).error == 42201
        registry.register("trap", {"$schema": url, "type": "object"})
        assert registry.register("trap2", {"$id": url, "type": "object"}).status == 200
        assert registry.get("/subjects/trap2/versions/1?format=resolved").status == 200
        trap.shutdown()
    assert asked == []


def test_references_by_name_and_by_id(registry):
    registry.id_of("money", {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]})
    registry.id_of("currency", {"$id": "http://example.com/currency", "definitions": {"code": {"enum": ["EUR", "CHF"]}}})
    order = {"type": "object", "properties": {"price": {"$ref": "money.json"},
                                              "currency": {"$ref": "http://example.com/currency#/definitions/code"}}}
    references = [refer("money.json", "money"), refer("http://example.com/currency", "currency")]
    assert registry.register("order", order).error == 42201
    number = registry.id_of("order", order, references=references)
    assert registry.get("/schemas/ids/%d" % number).json["references"] == references
    assert registry.get("/subjects/money/versions/1/referencedby").json == [number]
    assert registry.delete("money").error == 42206
    assert registry.look_up("order", order, references=references).json["version"] == 1
    resolved = json.loads(registry.text("order", 1, "?format=resolved"))
    assert resolved["properties"]["price"] == {"$ref": "#/definitions/money.json"}
    assert resolved["definitions"]["money.json"]["required"] == ["amount"]
    wider = {"type": "object", "properties": {"price": {"type": "object"}, "currency": {"type": "string"}}}
    assert not registry.check("order", wider)["is_compatible"]
    assert registry.register("order", order, references=[refer("money.json", "money", 9)] + references[1:]).error == 42201


def test_what_a_reference_leads_to_is_compared(registry):
    for version, kind in ((1, "integer"), (2, "number"), (3, "string")):
        registry.ask("PUT", "/config/part", {"compatibility": "NONE"})
        registry.id_of("part", {"type": kind})
        assert registry.versions("part").json[-1] == version
    whole = {"type": "array", "items": {"$ref": "part"}}
    registry.id_of("whole", whole, references=[refer("part", "part", 1)])
    registry.id_of("whole", whole, references=[refer("part", "part", 2)])
    refused = registry.register("whole", whole, references=[refer("part", "part", 3)])
    assert refused.status == 409 and "TYPE_CHANGED" in refused.text and "#/items" in refused.text


def test_a_recursive_schema_of_2020_12(registry):
    def tree(kind):
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/node", "$defs": {
            "node": thing(value=kind, children={"type": "array", "items": {"$ref": "#/$defs/node"}})}}
    registry.id_of("tree", tree("integer"))
    registry.id_of("tree", tree("number"))
    refused = registry.register("tree", tree("string"))
    assert refused.status == 409 and "#/properties/value" in refused.text


def test_a_subject_does_not_change_its_format_unless_nothing_is_compared(registry):
    registry.id_of("format", thing(a="string"))
    avro = {"schema": json.dumps(record("R", "x"))}
    refused = registry.ask("POST", "/subjects/format/versions", avro)
    assert refused.status == 409 and "different schema type" in refused.text
    registry.ask("PUT", "/config/format", {"compatibility": "NONE"})
    assert registry.ask("POST", "/subjects/format/versions", avro).status == 200


def test_metadata_and_rules_go_with_json_too(registry):
    number = registry.id_of("contract", thing(a="string"), metadata={"properties": {"owner": "me"}},
                            ruleSet={"domainRules": [{"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL",
                                                      "expr": "true"}]})
    found = registry.get("/subjects/contract/versions/1").json
    assert found["id"] == number and found["metadata"]["properties"] == {"owner": "me"}
    assert found["ruleSet"]["domainRules"][0]["name"] == "r"


def test_json_from_the_command_line(cluster, registry, tmp_path):
    old, bad = tmp_path / "old.json", tmp_path / "bad.json"
    old.write_text(json.dumps(thing(a="string"), indent=2))
    bad.write_text(json.dumps(thing(a="number")))

    def schema(*arguments, code=0):
        done = cluster.cli("schema", *arguments, "--registry", cluster.registries[0].url, check=False)
        assert done.returncode == code, done
        return done.stdout

    schema("register", "cli", old, "--type", "JSON")
    told = schema("check", "cli", bad, "--type", "JSON", code=1)
    assert "TYPE_CHANGED" in told and "#/properties/a" in told
    assert json.loads(schema("get", "cli")) == thing(a="string")


def entity(path, kind, *tags):
    return {"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": list(tags)}


def test_a_schema_is_tagged_by_the_paths_of_its_properties(registry):
    inner = thing(name="string")
    registry.register("tagged", thing(a={"type": "string", "confluent:tags": ["OLD"]}, rows={"type": "array", "items": inner}))
    wanted = [entity("object", "SR_RECORD", "TABLE"), entity("object.rows.array.object.name", "SR_FIELD", "PII")]
    answer = registry.ask("POST", "/subjects/tagged/versions/latest/tags",
                          {"tagsToAdd": wanted, "tagsToRemove": [entity("object.a", "SR_FIELD", "OLD")]})
    assert answer.status == 200, answer.text
    assert registry.get("/subjects/tagged/versions/2?findTags=*").json["schemaTags"] == wanted
    assert registry.get("/subjects/tagged/versions/1?findTags=*").json["schemaTags"] == [entity("object.a", "SR_FIELD", "OLD")]
    read = json.loads(registry.text("tagged", 2))
    assert read["properties"]["rows"]["items"]["properties"]["name"]["confluent:tags"] == ["PII"]
    assert "confluent:tags" not in read["properties"]["a"]
    registry.register("tagged", thing(a="string", rows={"type": "array", "items": inner}, b="string"), propagateSchemaTags=True)
    assert registry.get("/subjects/tagged/versions/3?findTags=*").json["schemaTags"] == wanted
    refused = registry.ask("POST", "/subjects/tagged/versions/2/tags", {"tagsToAdd": [entity("object.none", "SR_FIELD", "X")]})
    assert refused.json["error_code"] == 42201


def test_all_is_there_after_a_restart_of_everything(cluster, registry):
    part = registry.id_of("kept-part", {"type": "string", "maxLength": 3})
    whole = registry.id_of("kept", {"items": {"$ref": "kept-part"}}, references=[refer("kept-part", "kept-part")])
    text = registry.text("kept", 1)
    cluster.stop()
    cluster.restart_all()
    registry.close()
    assert registry.get("/subjects/kept/versions/1").json["id"] == whole > part
    assert registry.text("kept", 1) == text
    refused = registry.register("kept-part", {"type": "string", "maxLength": 2})
    assert refused.status == 409 and "MAX_LENGTH_DECREASED" in refused.text
