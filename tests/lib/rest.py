# SPDX-License-Identifier: Apache-2.0
# A client of REST interfaces for tests: plain HTTP with the standard library, one connection per thread and process
# asked, and what a schema registry's clients say most often. Nothing of it hides an answer's status.
import http.client
import json
import urllib.parse

MEDIA = "application/vnd.schemaregistry.v1+json"


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error(self):
        """The error_code, None when there is none."""
        found = self.json
        return found.get("error_code") if isinstance(found, dict) else None

    def __repr__(self):
        return "%d %s" % (self.status, self.text)


class Rest:
    def __init__(self, url, seconds=15):
        parts = urllib.parse.urlparse(url)
        self.address, self.seconds, self.connection = (parts.hostname, parts.port), seconds, None

    def ask(self, method, path, body=None, headers=None):
        """body: JSON as an object, or text that is sent as it is. Raises OSError or HTTPException when there is no
        answer; the next attempt has a new connection."""
        sent = {"Content-Type": MEDIA, "Accept": MEDIA, **(headers or {})}
        text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=self.seconds)
        try:
            self.connection.request(method, path, text, sent)
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Registry(Rest):
    """The schema registry at a URL."""

    @staticmethod
    def subject_path(subject):
        return "/subjects/" + urllib.parse.quote(subject, safe="")

    def register(self, subject, schema, **more):
        """schema: an object, or a schema's text. The answer."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.ask("POST", self.subject_path(subject) + "/versions", {"schema": text, **more})

    def id_of(self, subject, schema, **more):
        """Registers and returns the id; an answer that is not 200 fails."""
        answer = self.register(subject, schema, **more)
        assert answer.status == 200, answer
        return answer.json["id"]

    def versions(self, subject, query=""):
        return self.get(self.subject_path(subject) + "/versions" + query)

    def subjects(self, query=""):
        return self.get("/subjects" + query).json

    def delete(self, subject, version=None, permanent=False):
        path = self.subject_path(subject) + ("/versions/%s" % version if version else "")
        return self.ask("DELETE", path + ("?permanent=true" if permanent else ""))


def record(name, *fields):
    """An Avro record; a field is a name (an int) or (name, type) or (name, type, default)."""
    made = []
    for field in fields:
        field = (field, "int") if isinstance(field, str) else field
        made.append(dict(zip(("name", "type", "default"), field)))
    return {"type": "record", "name": name, "fields": made}
