# SPDX-License-Identifier: Apache-2.0
# Protobuf at the schema registry: texts are stored as Confluent's registry lays them out, imports are references,
# serialized descriptors are taken and given, changes that do not fit are refused with the reason.
import base64
import json

import pytest

from cluster import Cluster, have
from rest import Registry

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry", "millrace"),
                                reason="daemons are not built")

USER = 'syntax = "proto3";\npackage shop;\n\nmessage User {\n  string name = 1;\n  int32 age = 2;\n}\n'


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=1) as running:
        yield running


class Protobuf(Registry):
    def send(self, subject, text, **more):
        return self.register(subject, text, schemaType="PROTOBUF", **more)

    def number(self, subject, text, **more):
        return self.id_of(subject, text, schemaType="PROTOBUF", **more)

    def look_up(self, subject, text, query="", **more):
        return self.ask("POST", self.subject_path(subject) + query, {"schema": text, "schemaType": "PROTOBUF", **more})

    def schema(self, number, query=""):
        return self.get("/schemas/ids/%d%s" % (number, query)).json


@pytest.fixture
def registry(cluster):
    client = Protobuf(cluster.registries[0].url)
    yield client
    client.close()


def test_a_text_is_stored_without_its_comments_and_blanks(registry):
    assert "PROTOBUF" in registry.get("/schemas/types").json
    number = registry.number("users", 'syntax="proto3"; package shop;message User{string name=1;// the name\nint32 age=2;}')
    assert registry.schema(number) == {"schemaType": "PROTOBUF", "schema": USER}
    assert registry.number("users", "// once more\n" + USER) == number
    found = registry.look_up("users", USER.replace("\n", " ")).json
    assert (found["subject"], found["version"], found["id"], found["schemaType"]) == ("users", 1, number, "PROTOBUF")
    assert registry.get("/subjects/users/versions/1/schema").text == USER
    assert registry.look_up("users", USER.replace("int32 age", "int32 years")).error == 40403


def test_the_normal_form_makes_texts_that_mean_the_same_one(registry):
    one = 'syntax = "proto3"; package p; message T { U u = 2; int32 a = 1; message U { int32 b = 1; } }'
    other = 'syntax = "proto3"; package p; message T { int32 a = 1; .p.T.U u = 2; message U { int32 b = 1; } }'
    assert registry.number("plain", one) != registry.number("plain", other)
    answer = registry.ask("POST", "/subjects/normal/versions?normalize=true", {"schema": one, "schemaType": "PROTOBUF"})
    again = registry.ask("POST", "/subjects/normal/versions?normalize=true", {"schema": other, "schemaType": "PROTOBUF"})
    assert answer.status == 200 and answer.json["id"] == again.json["id"]
    assert "  int32 a = 1;\n  .p.T.U u = 2;\n" in registry.schema(answer.json["id"])["schema"]
    assert registry.look_up("normal", one, "?normalize=true").status == 200


def test_imports_are_references_or_built_in(registry):
    registry.number("shop/user.proto", USER)
    order = 'syntax = "proto3";\n\nimport "shop/user.proto";\nimport "google/protobuf/timestamp.proto";\n\n' \
            "message Order {\n  shop.User user = 1;\n  google.protobuf.Timestamp at = 2;\n}\n"
    reference = {"name": "shop/user.proto", "subject": "shop/user.proto", "version": 1}
    number = registry.number("orders", order, references=[reference])
    assert registry.schema(number) == {"schemaType": "PROTOBUF", "schema": order, "references": [reference]}
    assert registry.get("/subjects/shop%2Fuser.proto/versions/1/referencedby").json == [number]
    assert registry.delete("shop/user.proto").error == 42206
    alone = registry.send("orders", order)
    assert (alone.status, alone.error) == (422, 42201) and '3:1: Import "shop/user.proto" was not found' in alone.json["message"]
    second = 'syntax = "proto3"; import "orders.proto"; message Cart { repeated Order orders = 1; }'
    both = [{"name": "orders.proto", "subject": "orders", "version": 1}]
    assert registry.number("carts", second, references=both) > number, "what a reference imports comes with it"


def test_errors_say_where_the_text_is_wrong(registry):
    for text, where in (("message T {\n  optional int32 a = ;\n}", "2:22: Expected field number."),
                        ('syntax = "proto3"; message T { X x = 1; }', '1:32: "X" is not defined.'),
                        ("message T { reserved 1 to max; optional int32 a = 1; }", "reserved"),
                        ("message M { " * 300, "more than 200 brackets"), ('{"type": "int"}', "1:1: "), ("", "Empty")):
        refused = registry.send("wrong", text)
        assert (refused.status, refused.error) == (422, 42201) and where in refused.json["message"], refused
    assert registry.register("wrong", USER).error == 42201, "that is no Avro"
    assert registry.versions("wrong").error == 40401


def test_descriptors_in_base64_are_given_and_taken(registry):
    meta = 'syntax = "proto3"; import "confluent/meta.proto"; message D { int32 a = 1 [(confluent.field_meta).doc = "d"]; ' \
           "map<string, int64> m = 2; }"
    number = registry.number("described", meta)
    serialized = registry.schema(number, "?format=serialized")["schema"]
    assert b"confluent/meta.proto" in base64.b64decode(serialized)
    taken = registry.number("serialized", serialized)
    assert registry.schema(taken)["schema"].startswith('syntax = "proto3";\n')
    assert registry.schema(taken, "?format=serialized")["schema"] == serialized
    assert registry.number("serialized", serialized) == taken
    assert "field_meta" in registry.schema(number)["schema"]
    bare = registry.schema(number, "?format=ignore_extensions")["schema"]
    assert "field_meta" not in bare and "  int32 a = 1;\n" in bare
    assert registry.get("/subjects/described/versions/1?format=serialized").json["schema"] == serialized
    assert registry.get("/subjects/described/versions/1/schema?format=unheard-of").text == registry.schema(number)["schema"]


def test_what_does_not_fit_is_refused_with_the_reason(registry):
    registry.number("evolve", USER)
    registry.number("evolve", USER.replace("}", "  bool vip = 3;\n}"))
    refused = registry.send("evolve", USER.replace("int32 age", "string age"))
    assert refused.status == 409 and refused.error == 40901
    for part in ("FIELD_SCALAR_KIND_CHANGED", "#/User/2", "remedy", "oldSchemaVersion: 2"):
        assert part in refused.text, refused
    check = registry.ask("POST", "/compatibility/subjects/evolve/versions/1?verbose=true",
                         {"schema": 'syntax = "proto3"; package shop;', "schemaType": "PROTOBUF"}).json
    assert not check["is_compatible"]
    assert 'errorType:"MESSAGE_REMOVED", description:"The new schema is missing a MESSAGE type at path \'#/User\'' \
        in check["messages"][0]
    assert registry.ask("PUT", "/config/evolve", {"compatibility": "FORWARD"}).status == 200
    added = registry.send("evolve", USER + "\nmessage More {}\n")
    assert added.status == 409 and "The old schema is missing a MESSAGE type at path '#/More'" in added.text
    other = registry.register("evolve", '"int"')
    assert other.status == 409 and "different schema type" in other.text


def entity(path, kind, *tags):
    return {"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": list(tags)}


def test_messages_and_fields_are_tagged_by_their_paths(registry):
    subject = "/subjects/tagged/versions"
    text = ('syntax = "proto3"; package io.confluent.shop; message User { option (confluent.message_meta).tags = "OLD";'
            ' oneof contact { string mail = 1; string phone = 2; } repeated Item items = 3; message Item { int32 n = 1; } }')
    registry.send("tagged", text)
    add = [entity(".User.contact.mail", "SR_FIELD", "PII"), entity(".User.Item", "SR_RECORD", "A", "B")]
    wanted = [entity(".User.mail", "SR_FIELD", "PII"), add[1]]
    old = [entity(".User", "SR_RECORD", "OLD")]
    answer = registry.ask("POST", subject + "/latest/tags", {"tagsToAdd": add, "tagsToRemove": old})
    assert answer.status == 200, answer.text
    assert registry.get(subject + "/2?findTags=*").json["schemaTags"] == wanted
    assert registry.get(subject + "/2?findTags=PII").json["schemaTags"] == wanted[:1]
    assert registry.get(subject + "/1?findTags=*").json["schemaTags"] == old
    read = registry.get(subject + "/2/schema").text
    assert 'string mail = 1 [(confluent.field_meta) = {\n      tags: [\n        "PII"\n      ]\n    }];' in read
    assert "OLD" not in read and "import" not in read
    assert registry.look_up("tagged", read).json["version"] == 2
    descriptor = registry.get(subject + "/2?format=serialized").json["schema"]
    assert b"PII" in base64.b64decode(descriptor)
    kept = registry.send("tagged", text.replace("int32 n = 1;", "int32 n = 1; int32 m = 2;"), propagateSchemaTags=True)
    assert kept.status == 200, kept.text
    assert registry.get(subject + "/3?findTags=PII").json["schemaTags"] == wanted[:1]
    brought = registry.send("brought", USER, schemaTagsToAdd=[entity("User.age", "SR_FIELD", "X")])
    assert brought.status == 200 and '"X"' in brought.json["schema"], brought.text
    refused = registry.ask("POST", subject + "/latest/tags", {"tagsToAdd": [entity(".User.contact", "SR_FIELD", "X")]})
    assert refused.error == 42201


def test_all_is_there_after_a_restart(cluster, registry):
    number = registry.number("kept", USER.replace("shop", "kept"))
    registry.close()
    cluster.registries[0].restart()
    cluster.registries[0].wait_ready()
    client = Protobuf(cluster.registries[0].url)
    assert client.schema(number)["schema"] == USER.replace("shop", "kept")
    assert client.number("kept", USER.replace("shop", "kept")) == number
    records = [json.loads(value) for _, _, key, value in cluster.consume("_schemas")
               if json.loads(key).get("subject") == "kept" and value]
    assert records and records[0]["schemaType"] == "PROTOBUF" and records[0]["schema"] == USER.replace("shop", "kept")
    client.close()


def test_the_command_line_registers_and_checks(cluster, registry, tmp_path):
    good, bad = tmp_path / "good.proto", tmp_path / "bad.proto"
    good.write_text(USER.replace("shop", "cli"))
    bad.write_text(USER.replace("shop", "cli").replace("string name", "bool name"))

    def schema(*arguments, code=0):
        done = cluster.cli("schema", *arguments, "--registry", cluster.registries[0].url, check=False)
        assert done.returncode == code, done
        return done.stdout

    schema("register", "cli-pb", good, "--type", "PROTOBUF")
    assert schema("get", "cli-pb").strip() == good.read_text().strip()
    told = schema("check", "cli-pb", bad, "--type", "PROTOBUF", code=1)
    assert "FIELD_SCALAR_KIND_CHANGED" in told and "#/User/1" in told
