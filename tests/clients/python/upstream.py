"""A scripted provider on the loopback: keeps what it is asked, byte for byte, and answers as it was told.

Raw sockets rather than a server library: what goes over the wire is exactly what a test wrote.
"""

import queue
import socket
import threading
import time
from typing import NamedTuple

MODELS = b'{"object":"list","data":[{"id":"vendor/model-1","object":"model"}]}'

# What ends a body that comes in chunks.
END = b"0\r\n\r\n"


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict
    body: bytes


def whole(body, status="200 OK", content_type="application/json", **headers):
    """An answer with a length. Underscores in the names of further fields become hyphens."""
    body = body.encode() if isinstance(body, str) else body
    fields = {"content-type": content_type, "content-length": len(body)}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return [f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body]


def stream(pieces):
    """An event stream, each piece a chunk that is written on its own."""
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
        # Lets the piece arrive as one of its own.
        time.sleep(0.005)
    yield END


def events(*chunks):
    """The bytes of an event stream with these chunks, and its end."""
    return b"".join(b"data: %b\n\n" % chunk.encode() for chunk in [*chunks, "[DONE]"])


class Upstream:
    """The provider; each answer that it is given is used for one POST, and `otherwise` makes the other ones."""

    def __init__(self, otherwise=None):
        self._otherwise = otherwise or unscripted
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.requests = []
        self.left = threading.Event()
        self._answers = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, *answers):
        """What the next requests get: each an iterable of bytes."""
        for answer in answers:
            self._answers.put(answer)

    def reset(self):
        """Forgets what was asked, and what was to be answered."""
        self.requests.clear()
        self.left.clear()
        while not self._answers.empty():
            self._answers.get()

    def close(self):
        """Takes no more connections."""
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as reader:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := _read(reader)) is not None:
                self.requests.append(request)
                try:
                    for piece in self._next(request):
                        connection.sendall(piece)
                except OSError:
                    self.left.set()
                    return
                if request.headers.get("connection") == "close":
                    return

    def _next(self, request):
        if request.method == "GET":
            return whole(MODELS)
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return self._otherwise(request)


def unscripted(_):
    """The answer to what no test expects."""
    return whole('{"error":{"message":"the test scripted no answer"}}', "500 Internal Server Error")


def _read(reader):
    """The next request of a connection, or nothing at its end."""
    try:
        line = reader.readline()
    except OSError:
        return None
    if not line:
        return None
    method, path, _ = line.decode().split(" ")
    headers = {}
    while (field := reader.readline().decode().rstrip("\r\n")) != "":
        name, _, value = field.partition(":")
        assert name.lower() not in headers, f"`{name}` came twice"
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, reader.read(int(headers.get("content-length", 0))))
