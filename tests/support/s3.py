"""A real S3 server with keys, on 127.0.0.1: SeaweedFS, of PyPI."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.support.streams import free_port

KEY: Final = "taktwin"
SECRET: Final = "not-a-secret"  # noqa: S105  of a server on loopback
_READY_WITHIN_S: Final = 60.0


class S3Server:
    """A context manager; `start` and `kill` may be called any number of times, the objects stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = _free_ports()
        self._begun = False  # the addresses are known to somebody

    @property
    def port(self) -> int:
        return self._ports[3]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        for left in (2, 1, 0):
            try:
                self._start()
            except (OSError, urllib.error.URLError):
                self.kill()
                if self._begun or not left:
                    raise
                self._ports = _free_ports()  # somebody was quicker with one of them
            else:
                self._begun = True
                return

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        credentials = [{"accessKey": KEY, "secretKey": SECRET}]
        config.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": actions}]}))
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        master, volume, filer, s3 = self._ports
        options: dict[str, Any] = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": data,
            "master.port": master,
            "volume.port": volume,
            "filer.port": filer,
            "s3.port": s3,
            "s3.config": config,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 40,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        program = Path(sys.executable).with_name("weed")
        command = [str(program), "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)  # noqa: S603
        self._wait()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        """Until it takes an object: the port is open before the volumes are there."""
        from twin.store.s3 import ObjectStore

        until = time.monotonic() + _READY_WITHIN_S
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1)  # noqa: S310
                    ObjectStore("s3://test/ready").put("x", b"x")
                    return
                except (OSError, urllib.error.URLError):
                    assert self._process is not None
                    if time.monotonic() > until or self._process.poll() is not None:
                        raise
                    time.sleep(0.2)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def __enter__(self) -> "S3Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _free_ports() -> list[int]:
    """Four, with those above them by 10,000, which the server takes for gRPC."""
    found = list[int]()
    while len(found) < 4:
        port = free_port()
        with socket.socket() as probe:
            if port < 50_000 and port not in found and probe.connect_ex(("127.0.0.1", port + 10_000)):
                found.append(port)
    return found
