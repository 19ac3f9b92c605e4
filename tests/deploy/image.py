"""`make image`: the image and docker-compose.yml, seen working with a real engine.

Build, size and contents. As a newcomer would: `up` from nothing to healthy, the demo's logs, the page, Prometheus, a
killed worker, `down` and `up`. The drill: a backup in the midst of the logs, all lost, restored. The audit's digest
must be that of a replay each time; in object storage, too. What a start says that is slow or cannot succeed; a changed
source outside kernels/ that compiles no kernel.

    python -m tests.deploy.image [--only PART ...]

Takes the engine of DOCKER_HOST, or one of its own with no way out (root, dockerd; Debian: docker.io mmdebstrap).
Images that cannot be pulled are made under their official names. Ends what it started; --keep leaves the engine for a
look.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.deploy.stack import IMAGE, PLANT, ROOT, STORED, Docker, Stack, say

CACHE: Final = ROOT / ".cache" / "deploy"
BASE: Final = "python:3.13-slim-bookworm"
KAFKA: Final = "apache/kafka:4.1.1"
PROMETHEUS: Final = "prom/prometheus:v3.5.0"
PARTS: Final = ("size", "stack", "drill", "objects", "alone", "change", "cold")
MOST_UNPACKED_MB: Final = 650
MOST_COMPRESSED_MB: Final = 230
LOGS: Final = [
    f"/plant/{name}" for name in ("tablet-press/3.csv.gz", "tablet-press/5.csv.gz", "five-stations/events.csv.gz")
]


def built(docker: Docker) -> None:
    for image, make in (
        (BASE, ("tests/deploy/base.sh", BASE)),
        (KAFKA, ("tests/deploy/kafka/build.sh", KAFKA, BASE)),
        (PROMETHEUS, ("tests/deploy/prometheus/build.sh", PROMETHEUS, BASE)),
    ):
        if not docker.has(image) and docker.run("pull", "--quiet", image, check=False).returncode:
            say(f"{image} cannot be pulled: made here")
            docker.other(str(ROOT / make[0]), *make[1:])
    said, took_s = build(docker, ROOT, IMAGE)
    say(f"built in {took_s:.0f} s; kernels: {said or 'this layer was kept'}")


def build(docker: Docker, context: Path, tag: str) -> tuple[str, float]:
    """What warming said of the kernels, empty where the layer was kept; and the time."""
    begun = time.monotonic()
    options = ("--network=host", "--progress=plain", f"--file={context}/deploy/Dockerfile", f"--tag={tag}")
    told = docker.run("build", *options, str(context)).stderr
    warmed = re.findall(r"kernels: (\d+ loaded, \d+ compiled) in", told)
    return warmed[0] if warmed else "", time.monotonic() - begun


def check_change(docker: Docker) -> None:
    """A source outside kernels/ that changed: another image, and no kernel is compiled."""
    with tempfile.TemporaryDirectory(prefix="taktwin-context-") as name:
        context = Path(name)
        for one in ("kernels", "twin", "streams", "examples", "deploy"):
            shutil.copytree(ROOT / one, context / one, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        for one in ("pyproject.toml", "uv.lock", "README.md", ".dockerignore"):
            shutil.copy2(ROOT / one, context / one)
        with (context / "twin" / "version.py").open("a") as changed:
            changed.write(f"\n_CHANGED = {time.time_ns()}\n")
        said, took_s = build(docker, context, "taktwin:changed")
    assert said.endswith(", 0 compiled"), said
    say(f"a source outside kernels/ changed: built in {took_s:.0f} s; kernels: {said}")
    docker.run("image", "rm", "taktwin:changed")


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
    for command in (("audit", "recompute", "/replayed/audit"), ("audit", "verify", "/replayed/audit")):
        script = (
            "import sys; from streams.cli import main; from streams.worker.warm import counts\n"
            "assert main(sys.argv[1:]) == 0; print(counts())\n"
        )
        options = ("--entrypoint=python", "--volume=taktwin_replayed:/replayed")
        said = docker.in_image("-c", script, *command, options=options).stdout.splitlines()[-1]
        assert said.endswith(", 0)"), f"{command}: {said}"
        say(f"kernels of twin {command[1]}: (there, compiled) = {said}")
    owner = docker.in_image(
        "-c", "import os; print(os.getuid(), os.stat('/opt/taktwin/cache').st_uid)", options=("--entrypoint=python",)
    )
    assert owner.stdout.split() == ["10001", "0"]
    plant = f"--volume={ROOT}/examples:/plant:ro"
    for what, code, options, command in (
        ("audit volume read-only", 74, (plant, "--volume=taktwin_replayed:/data:ro"), ("worker", PLANT)),
        ("Kafka not there", 1, (plant, "--tmpfs=/data:uid=10001"), ("worker", PLANT, "--bootstrap=127.0.0.1:9092")),
        ("no plant", 2, (), ("worker", "--plant=/none.toml")),
    ):
        ran = docker.in_image(*command, options=options, check=False)
        told = [line for line in ran.stderr.splitlines() if "IPv4 forwarding" not in line]
        assert ran.returncode == code, f"{what}: {ran.returncode}\n{ran.stderr}"
        assert len(told) == 1, told
        say(f"{what}: exit code {code}, says: {told[-1]}")


def check_cold(docker: Docker) -> None:
    """Kernels that are not those of this processor: one line before, one after, and it goes on."""
    options = (f"--volume={ROOT}/examples:/plant:ro", "--tmpfs=/data:uid=10001", "--env=NUMBA_CPU_NAME=x86-64-v2")
    begun = time.monotonic()
    ran = docker.in_image("worker", PLANT, "--bootstrap=127.0.0.1:9092", options=options, check=False)
    told = [line for line in ran.stderr.splitlines() if "IPv4 forwarding" not in line]
    assert ran.returncode == 1, ran.stderr
    waiting, compiled, kafka = told
    assert "waiting for the kernels to be compiled" in waiting
    assert "the kernels are compiled (" in compiled
    assert "before Kafka is there" in kafka
    say(f"cold kernels, {time.monotonic() - begun:.0f} s:\n  {waiting}\n  {compiled}")


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


def replayed(docker: Docker) -> None:
    """A replay of the demo's logs in a volume of its own."""
    docker.run("volume", "create", "taktwin_replayed")
    volume = "--volume=taktwin_replayed:/replayed"
    docker.run("run", "--rm", "--network=none", "--user=0", volume, "--entrypoint=chown", IMAGE, "10001", "/replayed")
    plant = f"--volume={ROOT}/examples:/plant:ro"
    docker.in_image("replay", PLANT, *LOGS, "--audit", "/replayed/audit", options=(plant, volume))


def check_stack(docker: Docker) -> None:
    """What `docker compose up` gives to a newcomer, and what is left of it after a kill, and after down and up."""
    stack = Stack(docker)
    say("docker-compose.yml as it is" if docker.networks else "no container networks here: deploy/compose.alone.yml")
    took_s = stack.up("kafka", "topics", "worker", "page")
    names = sorted(docker.compose("ps", "--format={{.Service}} {{.Status}}").stdout.splitlines())
    say(f"up: from nothing to healthy in {took_s:.1f} s: {'; '.join(names)}")
    docker.compose("up", "--no-build", "--detach", "feeder")
    stack.kill_one()
    took_s = stack.wait("the feeder", lambda: stack.ended("feeder"))
    stack.fed = stack.sent()
    took_s += stack.wait("calm", stack.calm)
    say(f"a worker killed (-9); all {stack.fed:,} records are fed, folded and committed {took_s:.1f} s later")
    digest(docker, "the feeder's logs, after a killed worker")
    check_page(docker, stack)
    if docker.networks:
        check_prometheus(stack)
    before = stack.starts()
    begun = time.monotonic()
    docker.compose("--profile", "observe", "down", "--timeout=15")
    say(f"down in {time.monotonic() - begun:.1f} s; up again in {stack.up():.1f} s")
    stack.wait("calm", lambda: stack.ended("feeder") and stack.calm())
    assert stack.sent() == stack.fed
    digest(docker, "after down and up of everything (the feeder finds the topics full and feeds nothing twice)")
    assert before >= 1, "the killed worker was not started again"
    docker.compose("down", "--volumes", "--timeout=15")


def check_page(docker: Docker, stack: Stack) -> None:
    """By the only names it is known by: this machine's own, through its published port."""
    if docker.networks:
        with urllib.request.urlopen("http://127.0.0.1:8088/api/v1/lines", timeout=10) as answer:
            found = json.load(answer)
    else:
        found = stack.ask("http://127.0.0.1:8088/api/v1/lines")
    lines = sorted(one["line"] for one in found["lines"])
    assert lines == ["five-stations", "tablet-press"], found
    say(f"the page, http://127.0.0.1:8088/, knows {', '.join(lines)}")


def check_prometheus(stack: Stack) -> None:
    took_s = stack.up("prometheus")

    def asked(path: str) -> Any:
        return stack.ask(f"http://prometheus:9090/api/v1/{path}")["data"]

    def scraped() -> bool:
        active = asked("targets")["activeTargets"]
        return [one["health"] for one in active] == ["up", "up"]

    took_s += stack.wait("Prometheus finds the workers", scraped)
    rules = [rule for group in asked("rules")["groups"] for rule in group["rules"]]
    committed = asked("query?query=sum(max%20by(partition)(twin_committed_offset))")["result"][0]["value"][1]
    assert int(committed) == stack.fed, committed
    say(f"Prometheus scrapes both workers {took_s:.0f} s after `up`, {len(rules)} rules; committed: {committed}")


def check_drill(docker: Docker) -> None:
    stack = Stack(docker)
    stack.up("kafka", "topics", "worker")
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
    digest(docker, "fed in two parts, with a kill and a stop")
    docker.compose("stop", "worker")
    new = files(docker)
    tar(docker, "rm", "-rf", "/data/audit", "&&", "tar", "-C", "/data", "-xf", "/backup/audit.tar")
    assert files(docker) == old != new
    say(f"all of the volume lost, {new} files; the older backup restored, {old} files")
    stack.up("worker")
    say(f"made again from Kafka {stack.wait('calm', stack.calm):.1f} s after the workers were ready")
    digest(docker, "after the restore of the older backup")


def check_objects(docker: Docker) -> None:
    """deploy/compose.objects.yml: the same logs into object storage, a worker killed, all started again."""
    if not docker.networks:
        say("object storage: not tried, it needs container networks")
        return
    with docker.with_objects(), contextlib.ExitStack() as ends:
        ends.callback(docker.compose, "down", "--volumes", "--timeout=15", check=False)
        stack = Stack(docker)
        took_s = stack.up()
        names = sorted(docker.compose("ps", "--format={{.Service}} {{.Status}}").stdout.splitlines())
        say(f"object storage: from nothing to healthy and fed in {took_s:.1f} s: {'; '.join(names)}")
        assert stack.ended("feeder")
        stack.kill_one()
        stack.fed = stack.sent()
        took_s = stack.wait("calm", stack.calm)
        say(f"a worker killed (-9); all {stack.fed:,} records are committed {took_s:.1f} s later")
        digest_of_objects(docker, "the feeder's logs, after a killed worker")
        with urllib.request.urlopen("http://127.0.0.1:8088/api/v1/lines", timeout=10) as answer:
            lines = sorted(one["line"] for one in json.load(answer)["lines"])
        assert lines == ["five-stations", "tablet-press"], lines
        say(f"the page, of the bucket, knows {', '.join(lines)}")
        docker.compose("rm", "--stop", "--force", "worker", "page", "feeder", "topics")
        docker.run("volume", "rm", "taktwin_audit", "taktwin_page")
        say(f"all but Kafka and the bucket gone, volumes too; up again in {stack.up():.1f} s")
        stack.wait("calm", lambda: stack.ended("feeder") and stack.calm())
        digest_of_objects(docker, "after that")


def digest_of_objects(docker: Docker, what: str) -> None:
    command = ("run", "--rm", "--no-deps", "-T", "--volume=taktwin_replayed:/replayed", "worker", "audit", "digest")
    ran = docker.compose(*command, STORED, "--against", "/replayed/audit", check=False)
    assert ran.returncode == 0, f"{what}: {ran.stdout}{ran.stderr}"
    say(f"{what}: {STORED} is the replay's\n  " + "\n  ".join(ran.stdout.strip().splitlines()))


def files(docker: Docker) -> int:
    """Files in the volume: published ones, rows that wait for one, snapshots."""
    counting = "import pathlib; print(sum(path.is_file() for path in pathlib.Path('/data/audit').rglob('*')))"
    ran = docker.in_image("-c", counting, options=("--volume=taktwin_audit:/data", "--entrypoint=python"))
    return int(ran.stdout)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true", help="leave the engine running")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="of the image that is there already")
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
        if not args.only:
            built(docker)
            check_sources(docker)
        stack.callback(docker.run, "volume", "rm", "--force", "taktwin_replayed", "taktwin_backup", check=False)
        stack.callback(docker.compose, "--profile", "observe", "down", "--volumes", "--timeout=15", check=False)
        replayed(docker)
        parts: dict[str, Callable[[], None]] = {
            "size": lambda: check_size(docker),
            "stack": lambda: check_stack(docker),
            "drill": lambda: check_drill(docker),
            "objects": lambda: check_objects(docker),
            "alone": lambda: check_alone(docker),
            "change": lambda: check_change(docker),
            "cold": lambda: check_cold(docker),
        }
        for name in args.only or PARTS:
            parts[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
