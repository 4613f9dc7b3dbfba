# SPDX-License-Identifier: Apache-2.0
# `millrace produce` and `consume` with schemas of the registry: what a schema may be named by, what is on the wire, what
# is read back, and what they say of a line or a record that does not fit.
import http.server
import json
import os
import struct
import subprocess
import threading

import pytest

import cluster as lib
from produce import Connection, packed, records
from rest import Registry, record

pytestmark = pytest.mark.skipif(
    not lib.have("millrace", "millrace-controller", "millrace-storage", "millrace-registry"),
    reason="the daemons are not built")

ORDER = record("Order", ("id", "long"), ("item", ["null", "string"], None))
LINES = ['{"id":1,"item":{"string":"\u00e9toile"}}', '{"id":2,"item":null}']


@pytest.fixture(scope="module")
def cluster():
    with lib.Cluster(coordinators=1, registries=1) as running:
        yield running


@pytest.fixture
def registry(cluster):
    return Registry(cluster.registries[0].url)


@pytest.fixture
def topic(cluster, request):
    name = request.node.name.replace("[", "-").replace("]", "")
    cluster.create_topic(name)
    return name


@pytest.fixture
def cli(cluster, monkeypatch):
    """Runs a command with these lines; standard output, after the code was what it should be, and standard error."""
    monkeypatch.setenv("MILLRACE_REGISTRY", cluster.registries[0].url)

    def run(*arguments, lines=None, code=0):
        text = None if lines is None else "".join(line + "\n" for line in lines)
        done = cluster.cli(*arguments, input=text, check=False)
        assert done.returncode == code, (arguments, done)
        return done.stdout if code == 0 else done.stderr
    return run


def file_of(tmp_path, schema, name="schema.avsc"):
    path = tmp_path / name
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return str(path)


def read(cli, topic, *arguments):
    return cli("consume", topic, "--from-beginning", "--exit", *arguments).splitlines()


def test_a_file_is_registered_and_its_id_goes_before_each_value(cluster, registry, cli, topic, tmp_path):
    cli("produce", topic, "--value-schema", file_of(tmp_path, ORDER), lines=LINES)
    found = registry.get("/subjects/%s-value/versions/1" % topic).json
    assert json.loads(found["schema"]) == ORDER
    assert read(cli, topic, "--value-schema") == LINES
    raw = cluster.kcat("-C", "-t", topic, "-e", "-q", "-f", "%s", "-c", "1").stdout
    assert raw.encode() == struct.pack(">bI", 0, found["id"]) + b"\x02\x02\x0e" + "\u00e9toile".encode()


def test_a_schema_is_named_by_id_subject_version_or_text(registry, cli, topic):
    subject = "named-" + topic
    first = registry.id_of(subject, ORDER)
    second = registry.id_of(subject, record("Order", ("id", "long")))
    for name, number in (("id:%d" % first, first), (subject, second), (subject + ":1", first),
                         (subject + ":latest", second), (json.dumps(ORDER), first)):
        line = '{"id":7,"item":null}' if number == first else '{"id":7}'
        cli("produce", topic, "--value-schema", name, lines=[line])
        got = json.loads(read(cli, topic, "--value-schema", "--json")[-1])
        assert (got["value"], got["value_schema"]) == (json.loads(line), number), name
    assert registry.versions(topic + "-value").json == [1], "the text was registered, the others were there"


def test_keys_have_a_schema_of_their_own(registry, cli, topic):
    cli("produce", topic, "--key-schema", '"string"', "--value-schema", json.dumps(ORDER), "--key-separator", ":",
        lines=['"a:b":{"id":1,"item":null}'])
    assert registry.versions(topic + "-key").json == [1]
    assert read(cli, topic, "--key-schema", "--value-schema") == ['"a:b"\t{"id":1,"item":null}']
    got = json.loads(read(cli, topic, "--key-schema", "--value-schema", "--json")[0])
    assert got["key"] == "a:b" and got["key_schema"] != got["value_schema"]
    cli("produce", topic, "--key-schema", '"string"', lines=['"tab"\tany text'])
    assert read(cli, topic, "--key-schema")[-1] == '"tab"\tany text'
    assert "line 1: no key" in cli("produce", topic, "--key-schema", '"string"', lines=['"alone"'], code=1)


def test_subjects_can_be_chosen(registry, cli, topic):
    cli("produce", topic, "--key-schema", '"int"', "--value-schema", '"long"', "--subject", topic + "-of-values",
        "--key-subject", topic + "-of-keys", lines=["1\t2"])
    assert registry.versions(topic + "-of-values").status == registry.versions(topic + "-of-keys").status == 200
    assert registry.versions(topic + "-value").status == 404
    assert read(cli, topic, "--key-schema", "--value-schema") == ["1\t2"]


def test_without_registering_a_schema_must_be_there(registry, cli, topic, tmp_path):
    path = file_of(tmp_path, ORDER)
    assert "40401" in cli("produce", topic, "--value-schema", path, "--no-register", lines=LINES, code=1)
    assert read(cli, topic) == []
    number = registry.id_of(topic + "-value", ORDER)
    cli("produce", topic, "--value-schema", path, "--no-register", lines=LINES)
    assert json.loads(read(cli, topic, "--value-schema", "--json")[0])["value_schema"] == number


def test_a_schema_of_several_subjects(registry, cli, topic):
    registry.id_of(topic + "-leaf", record("Leaf", "x"))
    registry.id_of(topic + "-part", record("Part", ("leaf", "Leaf")),
                   references=[{"name": "Leaf", "subject": topic + "-leaf", "version": 1}])
    cli("produce", topic, "--value-schema", json.dumps(record("Whole", ("part", "Part"), ("leaf", "Leaf"))),
        "--reference", "Part=%s-part:1" % topic, "--reference", "Leaf=%s-leaf:1" % topic,
        lines=['{"part":{"leaf":{"x":1}},"leaf":{"x":2}}'])
    assert read(cli, topic, "--value-schema") == ['{"part":{"leaf":{"x":1}},"leaf":{"x":2}}']


def test_schemas_of_a_context(registry, cli, topic):
    subject, leaf = ":.%s:order" % topic, ":.%s:leaf" % topic
    registry.id_of(leaf, record("Leaf", "x"))
    registry.id_of(subject, record("Whole", ("leaf", "Leaf")),
                   references=[{"name": "Leaf", "subject": "leaf", "version": 1}])
    cli("produce", topic, "--value-schema", subject, lines=['{"leaf":{"x":1}}'])
    error = cli("produce", topic, "--value-schema", subject + ":1", lines=['{"leaf":{"x":1.5}}'], code=1)
    assert "line 1: value: /leaf/x" in error


def test_a_registry_s_url_may_name_a_context(cluster, registry, cli, topic):
    url = "%s/contexts/.%s/" % (cluster.registries[0].url, topic)
    cli("produce", topic, "--value-schema", json.dumps(ORDER), "--registry", url, lines=LINES)
    assert registry.subjects("?subjectPrefix=:*:").count(":.%s:%s-value" % (topic, topic)) == 1
    assert topic + "-value" not in registry.subjects("?subjectPrefix=" + topic)
    assert read(cli, topic, "--value-schema", "--registry", url) == LINES
    assert cli("schema", "list", "--registry", url).split("\n")[1].split()[1:] == ["1", "1", "AVRO"]


def test_each_record_is_read_by_the_schema_that_it_names(registry, cli, topic):
    for n in range(5):
        schema = record("Order", "n", *(("f%d" % i, "int", 0) for i in range(n)))
        cli("produce", topic, "--value-schema", json.dumps(schema),
            lines=[json.dumps({"n": n, **{"f%d" % i: i for i in range(n)}})])
    assert [len(json.loads(line)) for line in read(cli, topic, "--value-schema")] == [1, 2, 3, 4, 5]


def test_a_line_that_does_not_fit_is_told_by_its_number_and_what_was_before_it_is_sent(cli, topic):
    error = cli("produce", topic, "--value-schema", json.dumps(ORDER), code=1,
                lines=[LINES[0], LINES[1], '{"id":"x","item":null}', LINES[0]])
    assert "line 3: value: /id: " in error
    assert read(cli, topic, "--value-schema") == LINES
    error = cli("produce", topic, "--value-schema", json.dumps(ORDER), code=1, lines=['{"id":1 "item":null}'])
    assert "line 1: value: column 9: " in error
    error = cli("produce", topic, "--key-schema", '"int"', code=1, lines=['"x"\tv'])
    assert "line 1: key: " in error


def test_a_record_that_is_no_value_is_told_by_its_place(cluster, registry, cli, topic):
    cli("produce", topic, "--value-schema", json.dumps(ORDER), lines=[LINES[0]])
    number = registry.get("/subjects/%s-value/versions/1" % topic).json["id"]
    cli("produce", topic, lines=["plain"])
    cluster.kcat("-P", "-t", topic, "-D", "|", input=struct.pack(">bI", 0, 9999).decode("latin1") + "x")
    cluster.kcat("-P", "-t", topic, "-D", "|", input=struct.pack(">bI", 0, number).decode("latin1"))
    cli("produce", topic, "--value-schema", topic + "-value", lines=[LINES[1]])
    assert "partition 0, offset 1: value: no schema's id" in cli("consume", topic, "-B", "-e", "--value-schema", code=1)
    assert "Schema 9999 not found" in cli("consume", topic, "--offset", 2, "-e", "--value-schema", code=1)
    error = cli("consume", topic, "--offset", 3, "-e", "--value-schema", code=1)
    assert "partition 0, offset 3: value: not a value of schema %d (AVRO)" % number in error
    assert read(cli, topic, "--value-schema", "--skip-errors") == LINES


def guid_of(registry, subject):
    answer = registry.get("/subjects/%s/versions/1" % subject, **{"Confluent-Accept-Unknown-Properties": "true"})
    return answer.json["guid"]


def test_a_schema_named_in_a_header(cluster, registry, cli, topic):
    """As Confluent's HeaderSchemaIdSerializer writes it: a guid, behind it Protobuf's message indexes."""
    text = 'syntax = "proto3"; message First { string name = 1; } message Second { int32 number = 1; }'
    registry.id_of(topic + "-key", '"string"')
    registry.id_of(topic + "-value", text, schemaType="PROTOBUF")
    key, value = (guid_of(registry, topic + side) for side in ("-key", "-value"))

    def header(side, guid, rest=b""):
        return b"__%s_schema_id" % side, b"\1" + bytes.fromhex(guid.replace("-", "")) + rest

    with Connection(cluster) as connection:
        for headers in ([header(b"key", key), header(b"value", value, b"\2\2")],
                        [header(b"key", key), (b"__value_schema_id", b"\1short")]):
            batch = packed("none", records([b"\x08\7"], key=b"\4ab", headers=headers), 1)
            assert connection.produce(topic, batch)[0] == 0
    got = json.loads(cli("consume", topic, "-B", "-n", "1", "--key-schema", "--value-schema", "--json"))
    assert (got["key"], got["value"]) == ("ab", {"number": 7})
    assert (got["key_schema"], got["value_schema"]) == (key, value)
    error = cli("consume", topic, "--offset", 1, "-e", "--value-schema", code=1)
    assert "partition 0, offset 1: value: no schema's id in its header __value_schema_id" in error


def test_a_record_without_value_is_null(cluster, cli, topic):
    cluster.kcat("-P", "-t", topic, "-K", "\t", "-Z", input="key\t\n")
    assert read(cli, topic, "--value-schema") == ["null"]
    assert json.loads(read(cli, topic, "--value-schema", "--json")[0])["value"] is None


@pytest.mark.parametrize("arguments, code, text", [
    (("produce", "--value-schema", "id:x"), 2, "not the id of a schema"),
    (("produce", "--value-schema", "id:424242"), 1, "40403"),
    (("produce", "--value-schema", "absent:3"), 1, "'absent:3' is no file and no subject with that version"),
    (("produce", "--value-schema", '{"type":"nothing"}'), 1, "42201"),
    (("produce", "--value-schema", '"int"', "--schema-type", "xml"), 2, "AVRO, JSON or PROTOBUF"),
    (("produce", "--value-schema", '"int"', "--reference", "x"), 2, "NAME=SUBJECT:VERSION"),
    (("produce", "--no-register"), 2, "--no-register go with"),
    (("produce", "--subject", "x"), 2, "--subject and --reference go with"),
    (("produce", "--value-message", "M"), 2, "--value-message goes with --value-schema"),
    (("produce", "--value-schema", '"int"', "--key-message", "M"), 2, "--key-message go with --key-schema"),
    (("produce", "--schema-header"), 2, "--schema-header and --no-register go with"),
    (("consume", "--skip-errors"), 2, "--skip-errors goes with"),
    (("produce", "--value-schema", '"int"', "--registry", "http://127.0.0.1:1"), 3, "no schema registry answers"),
], ids=lambda value: "" if isinstance(value, (tuple, int)) else value.replace(" ", "_")[:24])
def test_what_cannot_be_is_said_before_anything_is_sent(cli, arguments, code, text):
    assert text in cli(arguments[0], "nowhere", *arguments[1:], lines=["1"], code=code)


def test_what_does_not_fit_the_subject_is_refused_with_the_reason(cli, topic):
    cli("produce", topic, "--value-schema", json.dumps(ORDER), lines=LINES)
    error = cli("produce", topic, "--value-schema", json.dumps(record("Order", "other")), lines=LINES, code=1)
    assert "40901" in error and "READER_FIELD_MISSING_DEFAULT_VALUE" in error


# ---- other formats ----

def payload(cluster, topic, number, payload):
    """A record with this schema's id and these bytes."""
    cluster.kcat("-P", "-t", topic, "-D", "|", input=(struct.pack(">bI", 0, number) + payload).decode("ascii"))


def raw_value(cluster, topic):
    return cluster.kcat("-C", "-t", topic, "-e", "-q", "-f", "%s", "-c", "1").stdout.encode()


def test_protobuf(cluster, registry, cli, topic, tmp_path):
    path = file_of(tmp_path, 'syntax = "proto3"; message Order { string item = 1; int32 count = 2; }\n'
                             "message Other { message Inner { string name = 1; } int32 x = 1; }\n", "order.proto")
    cli("produce", topic, "--value-schema", path, lines=['{"item":"tea","count":7}'])
    stored = registry.get("/subjects/%s-value/versions/1" % topic).json
    assert stored["schemaType"] == "PROTOBUF"
    assert raw_value(cluster, topic) == struct.pack(">bI", 0, stored["id"]) + b"\0\x0a\x03tea\x10\x07"
    payload(cluster, topic, stored["id"], b"\x02\x02\x08\x05")  # the second message: one number, 1, zig-zag
    payload(cluster, topic, stored["id"], b"\x04\x02\x00\x0a\x04deep")  # in it the first
    assert read(cli, topic, "--value-schema") == ['{"item":"tea","count":7}', '{"x":5}', '{"name":"deep"}']
    assert "line 2: value: " in cli("produce", topic, "--value-schema", path, lines=["{}", '{"nothing":1}'], code=1)
    payload(cluster, topic, stored["id"], b"\x02\x08")  # there is no fifth message
    assert "(PROTOBUF)" in cli("consume", topic, "-B", "-e", "--value-schema", code=1)


MESSAGES = ('syntax = "proto3"; package p; message First { string name = 1; } '
            'message Second { message Inner { int32 number = 1; } int32 number = 1; }')


def test_protobuf_messages_by_name(cluster, registry, cli, topic, tmp_path):
    path = file_of(tmp_path, MESSAGES, "messages.proto")
    wire = {"Second": b"\x02\x02", "p.Second.Inner": b"\x04\x02\x00", "First": b"\x00"}
    for at, (name, index) in enumerate(wire.items()):
        line = '{"name":"x"}' if name == "First" else '{"number":7}'
        cli("produce", topic, "--value-schema", path, "--value-message", name, lines=[line])
        number = registry.get("/subjects/%s-value/versions/1" % topic).json["id"]
        got = cluster.kcat("-C", "-t", topic, "-o", at, "-e", "-q", "-f", "%s", "-c", "1").stdout.encode()
        assert got == struct.pack(">bI", 0, number) + index + (b"\x0a\x01x" if name == "First" else b"\x08\x07")
    assert read(cli, topic, "--value-schema") == ['{"number":7}', '{"number":7}', '{"name":"x"}']
    assert "no message 'Third'" in cli("produce", topic, "--value-schema", path, "--value-message", "Third", lines=["{}"],
                                       code=1)
    assert "goes with a Protobuf schema" in cli("produce", topic, "--key-schema", '"int"', "--key-message", "M",
                                                lines=["1\t1"], code=2)
    assert len(read(cli, topic, "--value-schema")) == 3, "nothing more was sent"


def test_schemas_in_headers(cluster, registry, cli, topic, tmp_path):
    """What Confluent's deserializers read by __key_schema_id and __value_schema_id: nothing stands before the payloads."""
    path = file_of(tmp_path, MESSAGES, "messages.proto")
    cli("produce", topic, "--key-schema", '"string"', "--value-schema", path, "--value-message", "Second",
        "--schema-header", lines=['"ab"\t{"number":7}', '"cd"\t{"number":8}'])
    raw = cluster.kcat("-C", "-t", topic, "-e", "-q", "-f", "%k%s", "-c", "1").stdout.encode()
    assert raw == b"\x04ab" + b"\x08\x07"
    rows = [json.loads(row) for row in read(cli, topic, "--key-schema", "--value-schema", "--json")]
    assert [(row["key"], row["value"]) for row in rows] == [("ab", {"number": 7}), ("cd", {"number": 8})]
    guids = tuple(guid_of(registry, topic + side) for side in ("-key", "-value"))
    assert (rows[0]["key_schema"], rows[0]["value_schema"]) == guids


def test_protobuf_of_several_files(registry, cli, topic, tmp_path):
    registry.id_of(topic + "-part", 'syntax = "proto3"; package p; message Part { string name = 1; }', schemaType="PROTOBUF")
    path = file_of(tmp_path, 'syntax = "proto3"; import "part.proto"; message Whole { p.Part part = 1; }', "whole.proto")
    cli("produce", topic, "--value-schema", path, "--reference", "part.proto=%s-part:1" % topic,
        lines=['{"part":{"name":"wheel"}}'])
    assert read(cli, topic, "--value-schema") == ['{"part":{"name":"wheel"}}']


def test_json_schema(cluster, registry, cli, topic):
    schema = json.dumps({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]})
    cli("produce", topic, "--value-schema", schema, "--schema-type", "json", lines=['{"id": 1}'])
    stored = registry.get("/subjects/%s-value/versions/1" % topic).json
    assert stored["schemaType"] == "JSON"
    assert raw_value(cluster, topic) == struct.pack(">bI", 0, stored["id"]) + b'{"id": 1}'
    payload(cluster, topic, stored["id"], b'{\n "id": 2\n}')
    assert read(cli, topic, "--value-schema") == ['{"id": 1}', '{  "id": 2 }'], "a record, a line"
    error = cli("produce", topic, "--value-schema", "id:%d" % stored["id"], lines=['{"id":3}', '{"id":"x"}'], code=1)
    assert "line 2: value: " in error
    payload(cluster, topic, stored["id"], b'{"id":"x"}')
    assert "(JSON)" in cli("consume", topic, "-B", "-e", "--value-schema", code=1)


# ---- registries that answer anything: another one than ours ----

def version(text='"int"', *references):
    """What a registry answers for a schema; a reference is (name, subject)."""
    return json.dumps({"id": 1, "schema": text, "references": [
        {"name": name, "subject": subject, "version": 1} for name, subject in references]})


def chain(path):
    """Every subject refers to the next one, without end."""
    number = int(path.split("/")[2][1:]) if path.startswith("/subjects") else 0
    return version('"int"', ("n%d" % number, "s%d" % (number + 1)))


def fan(path):
    """One schema that refers to more than anybody has."""
    return version('"int"', *(("n%d" % i, "s%d" % i) for i in range(1200))) if "/ids/" in path else version()


@pytest.mark.parametrize("answer, text", [
    (chain, "more references than"),
    (fan, "more references than"),
    (lambda path: version('"int"', ("n", "s")), "more references than"),  # a circle
    (lambda path: "<html>", "no JSON"),
    (lambda path: "{}", "no schema"),
    (lambda path: '{"schema":"\\"int\\"","references":[{"name":"n"}]}', "without name, subject or version"),
    (lambda path: '{"schema":"{}","schemaType":"XML"}', "of type XML"),
    (lambda path: '{"schema":"{"}', "cannot be used"),
    (lambda path: version('"int"', ("n", "s")) if "/ids/" in path else version('"%s"' % ("x" * (9 << 20))), "longer than"),
], ids=("chain", "fan", "circle", "html", "empty", "nameless", "xml", "broken", "long"))
def test_what_another_registry_answers_is_taken_within_limits(answer, text):
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = answer(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run([lib.program("millrace"), "produce", "t", "--value-schema", "id:1", "--registry",
                               "http://127.0.0.1:%d" % server.server_address[1]], input="1", capture_output=True, text=True,
                              timeout=60, env=dict(os.environ, MILLRACE_BOOTSTRAP="127.0.0.1:1"))
        server.shutdown()
    assert done.returncode == 1 and text in done.stderr, done
