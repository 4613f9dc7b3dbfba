# SPDX-License-Identifier: Apache-2.0
"""What the two Python clients share: arguments, output lines, the records. Described in tests/clients/README.md."""
import os
import signal
import sys
import threading

FILLER = "the quick brown fox jumps over the lazy dog; " * 2


class Arguments(dict):
    def number(self, key, otherwise):
        return int(self[key]) if key in self else otherwise


def say(*fields):
    sys.stdout.write("\t".join(str(field) for field in fields) + "\n")
    sys.stdout.flush()


def record(number):
    return f"key-{number % 997}".encode(), f"{number}:{FILLER}".encode()


def say_assigned(partitions):
    say("A", ",".join(str(number) for number in sorted(partitions)))


class Stop:
    """SIGTERM asks a member to commit what it read and to leave its group."""

    def __init__(self):
        self.asked = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.asked.set())

    def __bool__(self):
        return self.asked.is_set()


def run(verbs):
    arguments = Arguments(argument.split("=", 1) for argument in sys.argv[2:])
    arguments.setdefault("codec", "none")
    verbs[sys.argv[1]](arguments)
    sys.stdout.flush()
    os._exit(0)  # no client thread of a library may hold the process back
