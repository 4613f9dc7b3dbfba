# SPDX-License-Identifier: Apache-2.0
"""Counts results and writes the clients table between its two markers."""
import pathlib

BEGIN, END = "<!-- clients:begin -->", "<!-- clients:end -->"


class Outcome:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def skip(self, what, reason):
        self.skipped.append(f"{what}: {reason}")

    def take(self, what, results):
        """results: {step: "ok", "n/a: reason" or "FAIL: what"}"""
        for step, result in results.items():
            if result == "ok":
                self.passed += 1
            elif result.startswith("n/a: "):
                self.skip(f"{what}: {step}", result[5:])
            else:
                self.failed.append(f"{what}: {step}: {result}")

    def as_json(self):
        return {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}

    def finish(self, say):
        for one in self.failed:
            say(one)
        for one in self.skipped:
            say(f"skipped {one}")
        say(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0


def cell(result):
    return "ok" if result == "ok" else "-" if result is None or result.startswith("n/a") else "**failed**"


def clients_table(rows, steps):
    """Clients of one version per line: what every step gave."""
    lines = ["| client | version | " + " | ".join(steps) + " |", "|---" * (len(steps) + 2) + "|"]
    for client, results, _ in rows:
        if set(results) <= set(steps):
            lines.append(f"| {client.name} | {client.version} | "
                         + " | ".join(cell(results.get(step)) for step in steps) + " |")
    return lines


def commands_lines(rows, steps):
    """What has steps of its own (Kafka's tools) as one sentence each."""
    for one, results, _ in rows:
        if not set(results) <= set(steps):
            failed = [step for step, result in results.items() if result != "ok"]
            yield (f"{one.name} {one.version}: {len(results) - len(failed)} of {len(results)} commands ok"
                   + "".join(f", **failed** {step}" for step in failed) + ".")


def table(rows, steps):
    lines = clients_table(rows, steps)
    lines += ["", "Codecs: none, gzip, snappy, lz4 and zstd, looked up on the wire. `-`: the client does not offer it."]
    lines += ["", *commands_lines(rows, steps), "", "| client | API versions it used |", "|---|---|"]
    for client, _, versions in rows:
        used = ", ".join(f"{name} {'+'.join(map(str, numbers))}" for name, numbers in versions.items())
        lines.append(f"| {client.name} {client.version} | {used or '?'} |")
    return "\n".join(lines)


def write_table(path, rows, steps):
    path = pathlib.Path(path)
    text = path.read_text() if path.exists() else ""
    if BEGIN not in text:
        text += f"\n## Clients\nWritten by `make test-clients`.\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    path.write_text(before + BEGIN + "\n" + table(rows, steps) + "\n" + END + rest.split(END, 1)[1])
