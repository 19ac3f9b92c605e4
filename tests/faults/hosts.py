"""Two workers on two hosts (network namespaces) that share one Kafka and one S3 server, and are cut off in turn.

    python -m tests.faults.hosts          needs root and `ip`

A cut is silent: packets go to a hardware address that nobody has. After each cut what a reader sees is sound and ends
at or below what is committed; at the end nothing is missing and nothing is there twice, and the digest is that of a
worker with a folder. Prints JSON; the exit code is 1 where anything differed.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings, process_environment
from tests.support.s3 import S3Server
from tests.support.s3_proxy import S3Proxy
from tests.support.streams import LINES, Worker, committed, own_settings, produce
from twin.audit import AuditError, fetch
from twin.audit.digest import digest
from twin.audit.intervals import contents
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.store import opened

KAFKA, S3, HOSTS = "10.77.0.1", "10.77.0.2", {"a": "10.77.0.11", "b": "10.77.0.12"}
BRIDGE: Final = "taktwin0"
NOBODY: Final = "02:00:00:00:00:99"
EVENTS: Final = 1_500  # of each line
CUT_S: Final = 12.0
CUTS: Final = (("a", KAFKA), ("a", S3), ("b", KAFKA), ("b", S3), ("both", S3), ("both", KAFKA))


def ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)  # noqa: S603, S607  our own words


class Network:
    """A bridge with Kafka's and the server's addresses, and a namespace for each host."""

    def __enter__(self) -> "Network":
        self.__exit__()
        ip("link", "add", BRIDGE, "type", "bridge")
        for address in (KAFKA, S3):
            ip("addr", "add", f"{address}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for host, address in HOSTS.items():
            space, outer = f"taktwin-{host}", f"ttw-{host}"
            ip("netns", "add", space)
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", outer, "master", BRIDGE, "up")
            ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for host in HOSTS:
            ip("netns", "del", f"taktwin-{host}", check=False)
        ip("link", "del", BRIDGE, check=False)

    def cut(self, host: str, address: str) -> None:
        space = f"taktwin-{host}"
        ip("-n", space, "neigh", "replace", address, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")

    def heal(self, host: str, address: str) -> None:
        ip("-n", f"taktwin-{host}", "neigh", "del", address, "dev", "eth0", check=False)


class Host:
    """A worker in a namespace, started again when it ends, as an orchestrator does."""

    def __init__(self, name: str, settings: Settings, environment: dict[str, str], folder: Path) -> None:
        self.name, self.ends = name, list[int]()
        self._settings, self._environment, self._folder = settings, environment, folder
        self._process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            self.ends.append(code)
            self._process = None
        if self._process is None:
            place = self._folder / self.name
            place.mkdir(exist_ok=True)
            environment = process_environment(self._settings) | self._environment | {"TMPDIR": str(place)}
            command = ["ip", "netns", "exec", f"taktwin-{self.name}", sys.executable, "-m", "streams.cli", "worker"]
            with (self._folder / f"{self.name}.log").open("ab") as log:
                self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


async def looked(settings: Settings) -> tuple[int, list[str]]:
    """Events that a reader sees, and what is wrong with them."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        try:
            fetch.copy(opened(settings.audit), root)
        except AuditError as error:
            return 0, [] if "no such audit root" in str(error) else [str(error)]
        at = await committed(settings)
        report = verify(root)
        wrong = [] if report.sound else [f"not sound: {report.differences[0]}"]
        found = contents(root)
        for partition in found.partitions:
            both = (*found.published.get(partition, ()), *found.waiting.get(partition, ()))
            end = max((one.next_offset for one in both), default=0)
            if end > at.get(partition, (0, ""))[0]:
                wrong.append(f"partition {partition}: visible to {end}, committed {at.get(partition)}")
        return digest(root)["events"].rows, wrong


async def run(folder: Path) -> dict[str, Any]:
    outside = free_port()
    inside = free_port()
    properties = {
        "listeners": f"PLAINTEXT://127.0.0.1:{inside},OUT://{KAFKA}:{outside},CONTROLLER://127.0.0.1:{free_port()}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{inside},OUT://{KAFKA}:{outside}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,OUT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    properties["controller.quorum.voters"] = f"1@{properties['listeners'].rpartition('CONTROLLER://')[2]}"
    wrong: list[str] = []
    with (
        Network() as network,
        S3Server(folder / "s3") as server,
        S3Proxy(server.port, host=S3) as proxy,
        LocalBroker(folder / "kafka", port=inside, properties=properties) as broker,
    ):
        os.environ.update(server.environment)  # of the readers here: directly
        audit = f"s3://test/{folder.name.lower().replace('_', '-')}"
        settings = replace(own_settings(broker, "hosts", folder), audit=audit, publish_after_s=5.0)
        away = replace(settings, bootstrap=f"{KAFKA}:{outside}", storage_limit_s=20.0)
        await ensure(settings)
        environment = server.environment | {"AWS_ENDPOINT_URL": proxy.endpoint}
        hosts = {name: Host(name, away, environment, folder) for name in HOSTS}
        feeding = asyncio.create_task(produce(settings, 0, EVENTS, pause_s=len(CUTS) * 2 * CUT_S / EVENTS))
        seen = []
        for number, (who, address) in enumerate((("", ""), *CUTS)):
            cut = [host for host in HOSTS if who in (host, "both")]
            for host in cut:
                network.cut(host, address)
            for phase in range(2):
                until = time.monotonic() + CUT_S
                while time.monotonic() < until:
                    for host in hosts.values():
                        host.tend()
                    await asyncio.sleep(0.5)
                if phase == 0 and number % 3 == 2 and cut:
                    hosts[cut[0]].kill()  # while it is cut off
                if phase == 0:
                    for host in cut:
                        network.heal(host, address)
                rows, found = await looked(settings)
                seen.append(rows)
                wrong += [f"{who} cut off from {address}: {one}" for one in found]
        await feeding
        until = time.monotonic() + 120
        while (rows := (await looked(settings))[0]) < EVENTS * len(LINES) and time.monotonic() < until:
            for host in hosts.values():
                host.tend()
            await asyncio.sleep(1.0)
        for host in hosts.values():
            host.stop()
        rows, found = await looked(settings)
        wrong += found
        if rows != EVENTS * len(LINES):
            wrong.append(f"{rows} events are visible, {EVENTS * len(LINES)} were sent")
        control = replace(settings, group="control", audit=str(folder / "control"), publish_after_s=0.0)
        worker = Worker(control, folder / "control.log", real=True)
        try:
            for _ in range(120):
                if sum(end for end, _ in (await committed(control)).values()) >= rows:
                    break
                await asyncio.sleep(1.0)
        finally:
            worker.end()
        with tempfile.TemporaryDirectory() as name:
            fetch.copy(opened(settings.audit), Path(name))
            if digest(Path(name)) != digest(folder / "control"):
                wrong.append("another digest than with a folder")
            if not recompute(Path(name)).sound:
                wrong.append("does not follow from its events")
        ends = {name: host.ends for name, host in hosts.items()}
    return {"cuts": len(CUTS), "seen": seen, "ends": ends, "requests": proxy.done["requests"], "wrong": wrong}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="taktwin-hosts-") as name:
        folder = Path(name)
        found = asyncio.run(run(folder))
        print(json.dumps(found, indent=1))  # noqa: T201  the command's output
        if found["wrong"]:
            for log in sorted(folder.glob("*.log")):
                print(log.name, log.read_text()[-4_000:], file=sys.stderr)  # noqa: T201
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
