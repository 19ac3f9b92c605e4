"""A local Kafka without containers: one KRaft node on 127.0.0.1, gone when its owner is gone."""

import atexit
import base64
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from streams.local import guard
from streams.local.java import BrokerError, BrokerTools, tools

__all__ = ["BrokerError", "BrokerTools", "LocalBroker", "tools"]

HOST: Final = "127.0.0.1"
_STARTS: Final = 3  # a free port found may be taken before Kafka binds it


class SecondListener(Protocol):
    """With TLS or SASL, for tests of the settings."""

    @property
    def port(self) -> int: ...

    def properties(self, host: str, lines: Mapping[str, str]) -> dict[str, str]:
        """Lines of server.properties to add to or replace in `lines`."""

    def format_options(self) -> list[str]:
        """For the formatting of new data: users live in the cluster's own metadata."""


class LocalBroker:
    """One Kafka broker; a context manager. `bootstrap` is known after `start()`.

    cluster_dir: the data's folder, kept; None: a temporary one, removed by `stop()`.
    port: 0 for any free one. partitions: of topics that are made without a number.
    properties: further lines of server.properties; they win.
    log_file: what Kafka prints; default `kafka.log` in the data's folder.
    cluster_id: shared by the nodes of a cluster; default one of its own.
    security: a second listener, at `secure_bootstrap`; the first stays as it is.
    """

    def __init__(
        self,
        cluster_dir: Path | None = None,
        *,
        port: int = 0,
        partitions: int = 4,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        cluster_id: str | None = None,
        security: SecondListener | None = None,
    ) -> None:
        self._security = security
        self._cluster_id = cluster_id
        self._kept = cluster_dir
        self._asked_port = port
        self._partitions = partitions
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._asked_log = log_file
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        self.log_file = log_file

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def secure_bootstrap(self) -> str:
        assert self._security is not None
        return f"{HOST}:{self._security.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the guard (its only child is the Java process), None when stopped."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, limit_s: float = 60.0) -> Self:
        """Format when new, start, wait until it answers metadata. Raises BrokerError with the log's end."""
        if self.running:
            return self
        found = tools()
        atexit.register(self.stop)
        try:
            folder = self._open_folder()
            for attempt in range(1, _STARTS + 1):
                self.port = self._asked_port or free_port()
                self._write_properties(folder)
                self._format(found, folder)
                self._launch(found, folder)
                if self._wait_ready(limit_s):
                    return self
                last = "\n".join(self._log_end())
                self._end_process(1.0)
                if attempt == _STARTS or self._asked_port or "Address already in use" not in last:
                    raise BrokerError(
                        f"Kafka on {self.bootstrap} did not get ready; log {self.log_file} ends with:\n{last}"
                    )
        except BaseException:  # also Ctrl-C: nothing may stay behind
            self.stop()
            raise
        raise AssertionError("unreachable")

    def stop(self, limit_s: float = 10.0) -> None:
        """SIGTERM, after `limit_s` SIGKILL; removes a temporary folder. Safe to call again."""
        atexit.unregister(self.stop)
        self._end_process(limit_s)
        if self._folder is not None and self._kept is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """kill -9, for fault tests; the data stay, `start()` continues on the same port."""
        self._asked_port = self.port
        self._kill_group()

    def pause(self, limit_s: float = 10.0) -> None:
        """An orderly stop that keeps the data, for fault tests; `start()` continues on the same port."""
        self._asked_port = self.port
        self._end_process(limit_s)

    def _kill_group(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # The group (a session of its own) holds the guard and the Java process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_folder(self) -> Path:
        if self._folder is None:
            if self._kept is None:
                self._folder = Path(tempfile.mkdtemp(prefix="taktwin-kafka-"))
            else:
                self._folder = self._kept.absolute()
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log_file = self._asked_log or self._folder / "kafka.log"
        return self._folder

    def _write_properties(self, folder: Path) -> None:
        controller = free_port()
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            # Static voters, not `--standalone`: the controller's port may differ at the next start of kept data.
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "data"),
            "num.partitions": str(self._partitions),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # After kill -9 a node may register again only when its session is over; the default is 9 s.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.segment.bytes": str(64 << 20),
            "num.network.threads": "2",
            "num.io.threads": "4",
        }
        if self._security is not None:
            lines |= self._security.properties(HOST, lines)
        lines |= self._properties
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        path = folder / "server.properties"
        path.unlink(missing_ok=True)
        with open(path, "x", opener=_owner_only) as file:
            file.write(text)

    def _format(self, found: BrokerTools, folder: Path) -> None:
        if (folder / "data" / "meta.properties").exists():
            return
        cluster = self._cluster_id or new_cluster_id()
        properties = str(folder / "server.properties")
        users = self._security.format_options() if self._security is not None else []
        tool = java_command(found, 128, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties, *users)
        run = subprocess.run(tool, capture_output=True, text=True, timeout=120, umask=0o077)  # noqa: S603  our own command
        if run.returncode:
            raise BrokerError(f"Kafka could not format {folder / 'data'}:\n{run.stdout}{run.stderr}")

    def _launch(self, found: BrokerTools, folder: Path) -> None:
        assert self.log_file is not None
        remove = [f"--remove={folder}"] if self._kept is None else []
        guarded = [sys.executable, "-I", "-S", guard.__file__, *remove, str(os.getpid()), "10"]
        kafka = java_command(found, self._heap_mb, "kafka.Kafka", str(folder / "server.properties"))
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own command
                guarded + kafka,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                umask=0o077,
                # A terminal's Ctrl-C must reach us, not the broker: clients stop first.
                start_new_session=True,
            )

    def _wait_ready(self, limit_s: float) -> bool:
        end = time.monotonic() + limit_s
        while self.running and time.monotonic() < end:
            if answers_metadata(HOST, self.port):
                return True
            time.sleep(0.05)
        return False

    def _log_end(self, lines: int = 20) -> list[str]:
        try:
            return self.log_file.read_text(errors="replace").splitlines()[-lines:] if self.log_file else []
        except OSError:
            return []

    def _end_process(self, limit_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.terminate()
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also Ctrl-C while waiting
            self._kill_group()


def java_command(found: BrokerTools, heap_mb: int, *command: str) -> list[str]:
    """A Java command line with Kafka's classes."""
    return [
        str(found.java),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dlog4j2.level=WARN",
        "-cp",
        found.classpath,
        *command,
    ]


def new_cluster_id() -> str:
    # The A: in one of 64 ids a "-" would come first, and be taken for an option.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # it may hold passwords


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers_metadata(host: str, port: int, limit_s: float = 1.0) -> bool:
    """True when a broker at host:port answers a Metadata request with a broker and a controller.

    An open port is not enough: Kafka accepts connections before the node is registered. The request is written by
    hand (Kafka protocol: api 3, version 1, no topics) so that waiting needs no event loop and no client.
    """
    request = struct.pack(">hhih", 3, 1, 7, -1) + struct.pack(">i", 0)
    try:
        with socket.create_connection((host, port), timeout=limit_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", _read(connection, 4))[0]
            answer = _read(connection, size)
            (brokers,) = struct.unpack_from(">i", answer, 4)
            at = 8
            for _ in range(brokers):
                at += 4  # node id
                at += 2 + struct.unpack_from(">h", answer, at)[0]  # host
                at += 4  # port
                at += 2 + max(struct.unpack_from(">h", answer, at)[0], 0)  # rack, -1 for none
            (controller,) = struct.unpack_from(">i", answer, at)
            return bool(brokers > 0 and controller >= 0)
    except (OSError, struct.error):
        return False


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
