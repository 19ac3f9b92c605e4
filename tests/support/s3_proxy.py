"""Between a client and an S3 server: refuses, loses answers, is slow, or lets a put arrive late. Counts what it did."""

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_SLOW_DOWN: Final = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>'
)
_LATE_S: Final = 3.0


class S3Proxy:
    """A context manager. Each share is of the requests, drawn from a seed."""

    def __init__(self, port: int, seed: int = 0, host: str = "127.0.0.1") -> None:
        self._target = port
        self._chance = random.Random(seed)  # noqa: S311  repeatable
        self.throttle = self.lose = self.late = 0.0
        self.pause_s = 0.0
        self._arrivals: list[float] = []  # of late puts
        self.done: Counter[str] = Counter()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _any(self) -> None:
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815  names of the base class

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://{host}:{self._server.server_address[1]}"

    @property
    def held(self) -> int:
        """Puts that have not arrived yet."""
        now = time.monotonic()
        return sum(due > now for due in self._arrivals)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.done["requests"] += 1
        time.sleep(self.pause_s)
        if self._chance.random() < self.throttle:
            self.done["throttled"] += 1
            self._answer(request, 503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
            return
        if request.command == "PUT" and self._chance.random() < self.late:
            self.done["late"] += 1
            self._arrivals.append(time.monotonic() + _LATE_S)
            request.close_connection = True
            threading.Timer(
                _LATE_S, self._forward, (request.command, request.path, dict(request.headers), body)
            ).start()
            return
        answer = self._forward(request.command, request.path, dict(request.headers), body)
        if answer is None or self._chance.random() < self.lose:
            self.done["lost" if answer else "gone"] += 1
            request.close_connection = True
            return
        self._answer(request, *answer)

    def _forward(
        self, command: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=20)
        try:
            connection.request(command, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, dict(answer.getheaders()), data
        except OSError:
            return None
        finally:
            connection.close()

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes) -> None:
        try:
            request.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    request.send_header(name, value)
            length = headers.get("Content-Length", "0") if request.command == "HEAD" else str(len(data))
            request.send_header("Content-Length", length)
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(data)
        except OSError:
            request.close_connection = True

    def __enter__(self) -> "S3Proxy":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
