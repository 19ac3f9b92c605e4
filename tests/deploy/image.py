"""`make image`: the image and docker-compose.yml, seen working with a real engine.

Build, size and contents; the stack from nothing to healthy; the demo's logs through it while a worker is killed; a
backup in the midst of it; down and up again; the backup restored over what came later. The audit's digest must be that
of a replay each time. And what a start says that cannot succeed.

    python -m tests.deploy.image

Takes the engine of DOCKER_HOST, or one of its own without a network (root, dockerd; Debian: docker.io mmdebstrap).
Images that cannot be pulled are made under their official names. Ends what it started; --keep leaves the engine for a
look.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / ".cache" / "deploy"
IMAGE: Final = "taktwin:0.1.0"
BASE: Final = "python:3.13-slim-bookworm"
KAFKA: Final = "apache/kafka:4.1.1"
MOST_UNPACKED_MB: Final = 650
MOST_COMPRESSED_MB: Final = 230
LOGS: Final = [
    f"/plant/{name}" for name in ("tablet-press/3.csv.gz", "tablet-press/5.csv.gz", "five-stations/events.csv.gz")
]
PLANT: Final = "--plant=/plant/demo/plant.toml"
_LIMIT_S: Final = 300.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Docker:
    """The client against one engine. `compose`: of this checkout, alone on a private loopback."""

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

    def compose(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        files = ("--file", "docker-compose.yml", "--file", "deploy/compose.alone.yml")
        return self.run("compose", *files, *command, check=check)

    def has(self, image: str) -> bool:
        return self.run("image", "inspect", image, check=False).returncode == 0

    def in_image(
        self, *command: str, options: tuple[str, ...] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        alone = ("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp:uid=10001,mode=0700")
        return self.run(*alone, *options, IMAGE, *command, check=check)


def built(docker: Docker) -> None:
    for image, make in (
        (BASE, ("tests/deploy/base.sh", BASE)),
        (KAFKA, ("tests/deploy/kafka/build.sh", KAFKA, BASE)),
    ):
        if not docker.has(image) and docker.run("pull", "--quiet", image, check=False).returncode:
            say(f"{image} cannot be pulled: made here")
            docker.other(str(ROOT / make[0]), *make[1:])
    begun = time.monotonic()
    docker.run("build", "--network=host", "--file=deploy/Dockerfile", f"--tag={IMAGE}", ".")
    say(f"built in {time.monotonic() - begun:.0f} s")


def check_sources(docker: Docker) -> None:
    """The image holds these sources, not those of an earlier build."""
    script = (
        "import hashlib, pathlib, sys\n"
        "for name in ('kernels', 'streams', 'twin'):\n"
        "    root, digest = pathlib.Path(sys.argv[1]), hashlib.sha256()\n"
        "    for path in sorted((root / name).rglob('*.py')):\n"
        "        digest.update(f'{path.relative_to(root)}'.encode() + path.read_bytes())\n"
        "    print(name, digest.hexdigest())\n"
    )
    home = docker.in_image("-c", "import twin; print(twin.__file__)", options=("--entrypoint=python",)).stdout
    packages = str(Path(home.strip()).parents[1])
    held = docker.in_image("-c", script, packages, options=("--entrypoint=python",)).stdout
    here = docker.other(sys.executable, "-c", script, str(ROOT)).stdout
    assert held == here, f"the image holds other sources:\n{held}\n{here}"


def check_size(docker: Docker) -> None:
    unpacked = int(docker.run("image", "inspect", "--format={{.Size}}", IMAGE).stdout) / 1e6
    saved = subprocess.Popen([docker._client, "save", IMAGE], env=docker._environment, stdout=subprocess.PIPE)
    packed = subprocess.run(["gzip", "-6"], stdin=saved.stdout, capture_output=True, check=True)
    compressed = len(packed.stdout) / 1e6
    say(f"size: {unpacked:.0f} MB unpacked (at most {MOST_UNPACKED_MB})")
    say(f"size: {compressed:.0f} MB compressed (at most {MOST_COMPRESSED_MB})")
    script = (
        "import pathlib, collections\n"
        "root = pathlib.Path('/opt/taktwin'); sizes = collections.Counter()\n"
        "for path in root.rglob('*'):\n"
        "    if path.is_file() and not path.is_symlink():\n"
        "        parts = path.relative_to(root).parts\n"
        "        key = 'kernels, compiled' if parts[0] == 'cache' else 'other'\n"
        "        key = parts[3] if 'site-packages' in parts and len(parts) > 4 else key\n"
        "        sizes[key] += path.stat().st_size\n"
        "for name, size in sizes.most_common(14): print(f'{size / 1e6:8.1f} MB  {name}')\n"
        "print(f'{sum(sizes.values()) / 1e6:8.1f} MB  all of /opt/taktwin')\n"
    )
    say(docker.in_image("-c", script, options=("--entrypoint=python",)).stdout.rstrip())
    assert unpacked <= MOST_UNPACKED_MB
    assert compressed <= MOST_COMPRESSED_MB


def check_alone(docker: Docker) -> None:
    """What needs no stack: kernels without a miss as another user, and starts that cannot succeed."""
    say(f"kernels, non-root and read-only: {docker.in_image('warm', '--expect-hits').stdout.strip()}")
    owner = docker.in_image(
        "-c", "import os; print(os.getuid(), os.stat('/opt/taktwin/cache').st_uid)", options=("--entrypoint=python",)
    )
    assert owner.stdout.split() == ["10001", "0"]
    plant = f"--volume={ROOT}/examples:/plant:ro"
    for what, code, options, command in (
        ("audit volume read-only", 74, ("--env=TAKTWIN_AUDIT=/etc/audit", plant), ("worker", PLANT)),
        ("Kafka not there", 1, (plant, "--tmpfs=/data:uid=10001"), ("worker", PLANT, "--bootstrap=127.0.0.1:9092")),
        ("no plant", 2, (), ("worker", "--plant=/none.toml")),
    ):
        ran = docker.in_image(*command, options=options, check=False)
        told = [line for line in ran.stderr.splitlines() if "IPv4 forwarding" not in line]
        assert ran.returncode == code, f"{what}: {ran.returncode}\n{ran.stderr}"
        say(f"{what}: exit code {code}, says: {told[-1]}")


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

    def feed(self, *logs: str, kill: bool = False) -> None:
        """Send logs, and kill a worker meanwhile."""
        files = ("--file", "docker-compose.yml", "--file", "deploy/compose.alone.yml")
        command = ("run", "--rm", "--no-deps", "-T", "feeder", "feed", "--json", PLANT, *logs)
        feeding = self._docker.start("compose", *files, *command)
        if kill:
            self.kill_one()
        said, wrong = feeding.communicate(timeout=_LIMIT_S)
        assert feeding.returncode == 0, wrong
        self.fed += json.loads(said)["sent"]["records"]

    def committed(self) -> int | None:
        """Records that are committed; None while somebody is not ready."""
        total, partitions = 0, 0
        for worker in self.workers():
            ran = self._docker.run("exec", worker, "twin", "health", "--json", check=False)
            body = json.loads(ran.stdout or "{}").get("body", {})
            if ran.returncode or "partitions" not in body:
                return None
            total += sum(one["committed"] for one in body["partitions"].values())
            partitions += len(body["partitions"])
        return total if partitions == 5 else None

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


def digest(docker: Docker, what: str) -> None:
    ran = docker.in_image(
        "audit",
        "digest",
        "/data/audit",
        "--against",
        "/replayed/audit",
        options=("--volume=taktwin_audit:/data", "--volume=taktwin_replayed:/replayed"),
        check=False,
    )
    assert ran.returncode == 0, f"{what}: {ran.stdout}{ran.stderr}"
    say(f"{what}: the audit is the replay's\n  " + "\n  ".join(ran.stdout.strip().splitlines()))


def tar(docker: Docker, *command: str) -> None:
    volumes = ("--volume=taktwin_audit:/data", "--volume=taktwin_backup:/backup")
    docker.run("run", "--rm", "--network=none", "--user=0", *volumes, "--entrypoint=sh", IMAGE, "-c", " ".join(command))


def check_stack(docker: Docker) -> None:
    plant = f"--volume={ROOT}/examples:/plant:ro"
    docker.run("volume", "create", "taktwin_replayed")
    tar(docker, "true")
    docker.run(
        "run",
        "--rm",
        "--network=none",
        "--user=0",
        "--volume=taktwin_replayed:/replayed",
        "--entrypoint=chown",
        IMAGE,
        "10001",
        "/replayed",
    )
    docker.in_image(
        "replay",
        PLANT,
        *LOGS,
        "--audit",
        "/replayed/audit",
        options=(plant, "--volume=taktwin_replayed:/replayed"),
    )
    stack = Stack(docker)
    took_s = stack.up("kafka", "topics", "worker")
    say(f"up: from nothing to healthy in {took_s:.1f} s, with {len(stack.workers())} workers")
    stack.feed(*LOGS[:2], kill=True)
    say(f"{stack.fed:,} records fed, a worker killed (-9) meanwhile; it starts again by itself")
    say(f"all is folded and committed after {stack.wait('calm', stack.calm):.1f} s more")
    docker.compose("stop", "worker")
    tar(docker, "tar", "-C", "/data", "-cf", "/backup/audit.tar", ".")
    old = files(docker)
    say(f"workers stopped, a backup of the volume taken ({old} files), workers started")
    stack.up("worker")
    stack.feed(*LOGS[2:])
    stack.wait("calm", stack.calm)
    digest(docker, "after a killed worker and a stop")
    begun = time.monotonic()
    docker.compose("down", "--timeout=15")
    say(f"down in {time.monotonic() - begun:.1f} s; up again in {stack.up():.1f} s")
    stack.wait("calm", stack.calm)
    digest(docker, "after down and up of everything (the feeder finds the topics full and feeds nothing twice)")
    docker.compose("stop", "worker")
    new = files(docker)
    tar(docker, "rm", "-rf", "/data/audit", "&&", "tar", "-C", "/data", "-xf", "/backup/audit.tar")
    assert files(docker) == old < new
    say(f"all of the volume lost, {new} files; the older backup restored, {old} files")
    stack.up("worker")
    say(f"made again from Kafka {stack.wait('calm', stack.calm):.1f} s after the workers were ready")
    digest(docker, "after the restore of the older backup")


def files(docker: Docker) -> int:
    """Audit files in the volume."""
    counting = "import pathlib; print(len(list(pathlib.Path('/data/audit').rglob('*.parquet'))))"
    ran = docker.in_image("-c", counting, options=("--volume=taktwin_audit:/data", "--entrypoint=python"))
    return int(ran.stdout)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="leave the engine running")
    args = parser.parse_args()
    subprocess.run([ROOT / "tests" / "deploy" / "go-tool.sh", "docker-compose"], check=True)
    with contextlib.ExitStack() as stack:
        host = os.environ.get("DOCKER_HOST")
        if not host:
            engine = [ROOT / "tests" / "deploy" / "engine.sh"]
            folder = str(CACHE / "engine")
            started = subprocess.run([*engine, "start", folder], check=True, capture_output=True, text=True)
            host = started.stdout.strip()
            if not args.keep:
                stack.callback(subprocess.run, [*engine, "stop", folder], check=True)
        docker = Docker(host)
        say(f"engine {docker.run('version', '--format={{.Server.Version}}').stdout.strip()} at {host}")
        built(docker)
        check_sources(docker)
        check_size(docker)
        check_alone(docker)
        stack.callback(docker.run, "volume", "rm", "--force", "taktwin_replayed", "taktwin_backup", check=False)
        stack.callback(docker.compose, "down", "--volumes", "--timeout=15", check=False)
        check_stack(docker)
    return 0


if __name__ == "__main__":
    sys.exit(main())
