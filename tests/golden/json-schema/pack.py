#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""JSON-Schema-Test-Suite into the files of this folder: pack.py SUITE, where SUITE has its tests/ and remotes/ (Debian's
json-schema-test-suite, or json/ in the source package of PyPI's jsonschema, which knows all drafts). Of every draft the required
tests: a line for each remote text, then one for each schema with its values."""
import gzip
import json
import pathlib
import sys

DRAFTS = ("draft4", "draft6", "draft7", "draft2019-09", "draft2020-12")


def remotes(suite, draft):
    """(URI, text) of what the tests of a draft may refer to."""
    for path in sorted((suite / "remotes").rglob("*.json")):
        name = path.relative_to(suite / "remotes").as_posix()
        if name.startswith(draft + "/") or not name.startswith("draft"):
            yield f"http://localhost:1234/{name}", path.read_text()


def lines(suite, draft):
    for name, text in remotes(suite, draft):
        yield {"remote": name, "text": text}
    for path in sorted((suite / "tests" / draft).glob("*.json")):
        for group in json.loads(path.read_text()):
            yield {"name": f"{path.stem}: {group['description']}", "schema": json.dumps(group["schema"]),
                   "values": [[case["description"], json.dumps(case["data"]), case["valid"]] for case in group["tests"]]}


def main():
    suite, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    for draft in DRAFTS:
        text = "".join(json.dumps(line) + "\n" for line in lines(suite, draft))
        (here / f"{draft}.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
