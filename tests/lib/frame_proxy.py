# SPDX-License-Identifier: Apache-2.0
# Stands between a client and a storage node and understands just enough of Kafka's frames to pick a request by its API
# key: one can be held back as long as a test wants, or sent a second time over a connection of its own. Everything else
# passes as it is.
#
#     with Proxy(cluster.storage[0]) as proxy:  # proxy.kafka_port is where clients connect
#         held = proxy.hold(END)                # the next EndTxn stops here
#         late = Later(producer.end, True)      # ... of this producer, in a thread of its own
#         held.wait()
#         ...
#         held.release()
#         assert late.result() == FENCED
import socket
import struct
import threading


def read_frame(stream):
    """Length and all; None at the end of the stream."""
    head = _read(stream, 4)
    rest = head and _read(stream, struct.unpack(">i", head)[0])
    return head + rest if rest else None


def _read(stream, length):
    data = b""
    while len(data) < length:
        part = stream.recv(length - len(data))
        if not part:
            return None
        data += part
    return data


class Held:
    """A request that waits in the proxy."""

    def __init__(self, api):
        self.api, self.arrived, self.released = api, threading.Event(), threading.Event()

    def wait(self, seconds=20):
        assert self.arrived.wait(seconds), "no request of API %d came" % self.api

    def release(self):
        self.released.set()


class Proxy:
    def __init__(self, node):
        self.node, self.holds, self.doubled, self.lock = node, [], [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.kafka_port = self.listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for held in self.holds:
            held.release()

    def hold(self, api):
        """The next request of the API is held back; its connection stands still meanwhile."""
        held = Held(api)
        with self.lock:
            self.holds.append(held)
        return held

    def double(self, api):
        """The next request of the API is sent twice, at once and over two connections; one answer is passed on."""
        with self.lock:
            self.doubled.append(api)

    @staticmethod
    def _start(target, *arguments):
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self._start(self._requests, client, self._upstream())

    def _upstream(self):
        return socket.create_connection(("127.0.0.1", self.node.kafka_port))

    def _requests(self, client, node):
        self._start(self._answers, node, client)
        try:
            while (frame := read_frame(client)) is not None:
                self._treat(frame)
                node.sendall(frame)
        except OSError:
            pass
        node.close()

    @staticmethod
    def _answers(node, client):
        try:
            while (frame := read_frame(node)) is not None:
                client.sendall(frame)
        except OSError:
            pass
        client.close()

    def _treat(self, frame):
        api = struct.unpack_from(">h", frame, 4)[0]
        with self.lock:
            held = next((one for one in self.holds if one.api == api and not one.arrived.is_set()), None)
            doubled = api in self.doubled
            if held:
                held.arrived.set()
            if doubled:
                self.doubled.remove(api)
        if held:
            held.released.wait()
        if doubled:
            self._start(self._send_aside, frame)

    def _send_aside(self, frame):
        with self._upstream() as node:
            node.sendall(frame)
            read_frame(node)


class Later:
    """Runs an action in a thread; result() waits for what it returns."""

    def __init__(self, action, *arguments):
        self.value, self.failure = None, None
        self.thread = threading.Thread(target=self._run, args=(action, arguments), daemon=True)
        self.thread.start()

    def _run(self, action, arguments):
        try:
            self.value = action(*arguments)
        except BaseException as failure:  # told by result()
            self.failure = failure

    def result(self, seconds=30):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "no answer"
        if self.failure:
            raise self.failure
        return self.value
