"""Kafka Streams: built once by Maven into .cache, run with the Java the local broker runs on."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from streams.local.broker import BrokerError
from streams.local.java import find_java
from tests.bench.peers.peer import ROOT, PeerError, answer

PROJECT: Final = Path(__file__).with_name("kafka_streams")
BUILD_LIMIT_S: Final = 900


def kafka_streams(*arguments: object) -> dict[str, Any]:
    """The program's answer. Raises PeerError."""
    try:
        java, _, _ = find_java()
    except BrokerError as error:
        raise PeerError(str(error)) from None
    folder = built()
    classpath = f"{folder / 'classes'}:{folder / 'jars'}/*"
    return answer([str(java), "-Xmx2g", "-cp", classpath, "taktwin.peers.Main", *map(str, arguments)])


def built() -> Path:
    """The folder with the classes and jars; named by what they are made of, so another source is another folder."""
    sources = sorted([PROJECT / "pom.xml", *PROJECT.rglob("*.java")])
    content = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:8]
    folder = ROOT / ".cache" / f"kafka-streams-{content}"
    if (folder / "built").exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise PeerError("Kafka Streams needs Maven, and there is no `mvn` on the path")
    places = [f"-Dbuild.folder={folder}", f"-DoutputDirectory={folder / 'jars'}"]
    goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    command = [maven, "-q", "-B", "-f", str(PROJECT / "pom.xml"), *places, *goals]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S)  # noqa: S603  our own command
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise PeerError(f"Maven could not build {PROJECT.name}; is it online?\n{said}")
    (folder / "built").touch()
    return folder
