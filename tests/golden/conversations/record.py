#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Records what a real client says first: starts a cluster of ours behind a proxy, runs the client's command with
# MILLRACE_BOOTSTRAP set and the address in place of BOOTSTRAP, and writes one line per request in the order of
# arrival: connection, request and answer as hexadecimal, both without length. Run again for a new client:
#
#     tests/golden/conversations/record.py kcat-2.0.2 sh -c 'printf "k:v\n" | kcat -P -b BOOTSTRAP -t first -K : && ...'
#
# The file is replayed by conversations.c (codec) and tests/e2e/test_conversations.py (a running node).
import os
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import cluster as lib  # noqa: E402

FRAME_MAX = 8192  # longer ones are data, not conversation
FRAMES_MAX = 60


class Proxy:
    """Passes connections on and keeps the frames of both ways."""

    def __init__(self, upstream):
        self.upstream, self.lock, self.exchanges, self.connections = upstream, threading.Lock(), [], 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            node = socket.create_connection(self.upstream)
            with self.lock:
                number, self.connections = self.connections, self.connections + 1
            open_requests = {}
            threading.Thread(target=self.pump, args=(client, node, number, open_requests, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(node, client, number, open_requests, False), daemon=True).start()

    def pump(self, source, sink, number, open_requests, request):
        try:
            while True:
                prefix = receive(source, 4)
                frame = receive(source, struct.unpack(">i", prefix)[0])
                self.keep(number, frame, open_requests, request)
                sink.sendall(prefix + frame)
        except (EOFError, OSError):
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def keep(self, number, frame, open_requests, request):
        with self.lock:
            if request:
                exchange = [number, frame, b""]
                self.exchanges.append(exchange)
                open_requests[frame[4:8]] = exchange
            elif frame[:4] in open_requests:
                open_requests.pop(frame[:4])[2] = frame


def receive(source, length):
    data = b""
    while len(data) < length:
        part = source.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def main():
    name, command = sys.argv[1], sys.argv[2:]
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".txt")
    with lib.Cluster() as started:
        proxy = Proxy(("127.0.0.1", started.storage[0].kafka_port))
        started.storage[0].settings = {"advertised.listeners": "PLAINTEXT://127.0.0.1:%d" % proxy.port}
        started.storage[0].restart()
        started.storage[0].wait_ready()
        bootstrap = "127.0.0.1:%d" % proxy.port
        subprocess.run([part.replace("BOOTSTRAP", bootstrap) for part in command], check=True, timeout=120,
                       env=dict(os.environ, MILLRACE_BOOTSTRAP=bootstrap))
    with open(target, "w") as out:
        out.write("# first conversation of %s; made by record.py\n" % name)
        for number, request, answer in proxy.exchanges[:FRAMES_MAX]:
            if max(len(request), len(answer)) <= FRAME_MAX:
                out.write("%d %s %s\n" % (number, request.hex(), answer.hex() or "-"))
    print("%s: %d requests on %d connections" % (target, len(proxy.exchanges), proxy.connections))


if __name__ == "__main__":
    main()
