"""A container engine, and docker-compose.yml running on it: what `make image` works with."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "taktwin:0.1.0"
PLANT: Final = "--plant=/plant/demo/plant.toml"
STORED: Final = "s3://plant/audit"
_LIMIT_S: Final = 300.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Docker:
    """The client against one engine. `compose`: of this checkout."""

    def __init__(self, host: str) -> None:
        # Debian's client has BuildKit built in; a newer one would want a plugin for it.
        client = Path("/usr/bin/docker")
        self._client = str(client) if client.exists() else "docker"
        plugins = ROOT / ".cache" / "docker-config" / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        link = plugins / "docker-compose"
        if not link.exists():
            link.symlink_to(ROOT / ".cache" / "tools" / "docker-compose")
        self._environment = {
            **os.environ,
            "DOCKER_HOST": host,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(plugins.parent),
            "PATH": f"/usr/bin:{os.environ['PATH']}",
        }
        self._more: tuple[str, ...] = ()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.other(self._client, *command, check=check)

    def other(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert not check or ran.returncode == 0, (
            f"{' '.join(command)}: {ran.returncode}\n{ran.stdout[-3000:]}{ran.stderr[-4000:]}"
        )
        return ran

    def start(self, *command: str) -> "subprocess.Popen[str]":
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([self._client, *command], cwd=ROOT, env=self._environment, text=True, **pipes)

    @functools.cached_property
    def networks(self) -> bool:
        """Whether containers can have networks here; else they share one loopback (deploy/compose.alone.yml)."""
        made = self.run("network", "create", "taktwin_probe", check=False).returncode == 0
        if made:
            self.run("network", "rm", "taktwin_probe")
        return made

    @property
    def composed(self) -> tuple[str, ...]:
        alone = () if self.networks else ("--file", "deploy/compose.alone.yml")
        return ("compose", "--file", "docker-compose.yml", *alone, *self._more)

    @contextlib.contextmanager
    def with_objects(self) -> Iterator[None]:
        """The stack with audit and snapshots in object storage, and an S3 server of its own."""
        before, more = self._environment, ("deploy/compose.objects.yml", "tests/deploy/compose.s3.yml")
        self._environment = {
            **before,
            "TAKTWIN_AUDIT": STORED,
            "TAKTWIN_WEED": str(Path(sys.executable).with_name("weed")),
            "AWS_ENDPOINT_URL": "http://s3:8333",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "taktwin",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        }
        self._more = tuple(part for name in more for part in ("--file", name))
        try:
            yield
        finally:
            self._environment, self._more = before, ()

    def compose(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(*self.composed, *command, check=check)

    def has(self, image: str) -> bool:
        return self.run("image", "inspect", image, check=False).returncode == 0

    def in_image(
        self, *command: str, options: tuple[str, ...] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        alone = ("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp:uid=10001,mode=0700")
        return self.run(*alone, *options, IMAGE, *command, check=check)


class Stack:
    """docker-compose.yml, running."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self.fed = 0  # records

    def up(self, *services: str) -> float:
        begun = time.monotonic()
        command = ("up", "--no-build", "--detach", "--wait", "--wait-timeout=300", *services)
        ran = self._docker.compose(*command, check=False)
        assert ran.returncode == 0, f"{ran.stderr.splitlines()[-1]}\n{self.logs()}"
        return time.monotonic() - begun

    def workers(self) -> list[str]:
        return self._docker.compose("ps", "--quiet", "worker").stdout.split()

    def kill_one(self) -> None:
        """kill -9 from outside: `docker kill` would count as a person's wish and keep it from starting again."""
        found = self._docker.run("inspect", "--format={{.State.Pid}}", self.workers()[0]).stdout
        os.kill(int(found), signal.SIGKILL)

    def ended(self, service: str) -> bool:
        """Whether a service that runs once has done so. Raises AssertionError where it failed."""
        (found,) = self._docker.compose("ps", "--all", "--format={{.State}} {{.ExitCode}}", service).stdout.splitlines()
        assert found in ("running 0", "exited 0"), f"{service}: {found}\n{self.logs()}"
        return found == "exited 0"

    def sent(self) -> int:
        """Records in the events topic, as Kafka says."""
        script = (
            "import asyncio, os\n"
            "from aiokafka import AIOKafkaConsumer, TopicPartition\n"
            "async def main():\n"
            "    async with AIOKafkaConsumer(bootstrap_servers=os.environ['TAKTWIN_BOOTSTRAP']) as consumer:\n"
            "        places = [TopicPartition('twin.events', p) for p in range(5)]\n"
            "        print(sum((await consumer.end_offsets(places)).values()))\n"
            "asyncio.run(main())\n"
        )
        return int(self._docker.compose("exec", "-T", "worker", "python", "-c", script).stdout)

    def starts(self) -> int:
        """How often the engine has started a worker again."""
        found = self._docker.run("inspect", "--format={{.RestartCount}}", *self.workers()).stdout
        return sum(map(int, found.split()))

    def feed(self, *logs: str, kill: bool = False) -> None:
        """Send logs, and kill a worker meanwhile."""
        command = ("run", "--rm", "--no-deps", "-T", "feeder", "feed", "--json", PLANT, *logs)
        feeding = self._docker.start(*self._docker.composed, *command)
        if kill:
            self.kill_one()
        said, wrong = feeding.communicate(timeout=_LIMIT_S)
        assert feeding.returncode == 0, wrong
        self.fed += json.loads(said)["sent"]["records"]

    def committed(self) -> int | None:
        """Records that are committed; None while somebody is not ready, or has some that are not."""
        found: list[dict[str, int]] = []
        for worker in self.workers():
            ran = self._docker.run("exec", worker, "twin", "health", "--json", check=False)
            body = json.loads(ran.stdout or "{}").get("body", {})
            if ran.returncode or "partitions" not in body:
                return None
            found += body["partitions"].values()
        if len(found) != 5 or any(one["lag"] or one["committed"] != one["next"] for one in found):
            return None
        return sum(one["committed"] for one in found)

    def wait(self, what: str, condition: Callable[[], bool]) -> float:
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < _LIMIT_S, f"{what}: not within {_LIMIT_S} s\n{self.logs()}"
            time.sleep(1)
        return time.monotonic() - begun

    def calm(self) -> bool:
        return self.committed() == self.fed

    def logs(self) -> str:
        return self._docker.compose("logs", "--tail=30", check=False).stdout[-6000:]

    def ask(self, where: str) -> Any:
        """JSON of an address within the network, asked by a worker."""
        script = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
        return json.loads(self._docker.compose("exec", "-T", "worker", "python", "-c", script, where).stdout)
