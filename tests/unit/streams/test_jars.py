"""The local Kafka runs on the jars that were looked at, and on no other."""

import hashlib
import json
from pathlib import Path

import pytest

from streams.local import jars, java
from streams.local.java import BrokerError, check_jars, resolve_jars

ONE, TWO = "org.x:one:1.0", "org.x:two:2.0"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two jars, and a repository that has them."""
    pinned = {jar: hashlib.sha256(jar.encode()).hexdigest() for jar in (ONE, TWO)}
    monkeypatch.setattr(java, "JARS", pinned)
    monkeypatch.setenv("TAKTWIN_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: "mvn")

    def resolve(work: Path, _java: Path) -> None:
        (work / "one-1.0.jar").write_bytes(ONE.encode())
        (work / "two-2.0.jar").write_bytes(TWO.encode())
        (work / "pom.xml").write_text("Maven's")

    monkeypatch.setattr(java, "_with_maven", resolve)
    return tmp_path


def test_every_jar_is_pinned() -> None:
    assert len(jars.JARS) == 47
    assert all(len(jar.split(":")) == 3 and len(bytes.fromhex(sha256)) == 32 for jar, sha256 in jars.JARS.items())
    assert len(set(jars.JARS.values())) == len(jars.JARS)


def test_what_was_resolved_is_checked_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, resolver = resolve_jars(Path("java"))
    assert (folder.parent, resolver) == (cache, "maven")
    monkeypatch.setattr(java, "check_jars", lambda _: pytest.fail("again"))
    assert resolve_jars(Path("java")) == (folder, "maven")


def test_a_folder_of_a_version_before_is_checked(cache: Path) -> None:
    folder, _ = resolve_jars(Path("java"))
    (folder / "resolved.json").write_text(json.dumps({"resolver": "jgo", "jars": [ONE, TWO]}))
    assert resolve_jars(Path("java")) == (folder, "jgo")
    (folder / "resolved.json").write_text(json.dumps({"resolver": "jgo", "jars": [ONE, TWO]}))
    (folder / "two-2.0.jar").write_bytes(b"other")
    with pytest.raises(BrokerError, match=r"two-2\.0\.jar has SHA-256 .* it is not the jar that was looked at"):
        resolve_jars(Path("java"))


def test_another_jar_than_the_pinned_one_is_never_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_with_maven", lambda work, _: (work / "one-1.0.jar").write_bytes(b"evil"))
    with pytest.raises(BrokerError, match=r"one-1\.0\.jar has SHA-256"):
        resolve_jars(Path("java"))
    assert [path.name for path in cache.iterdir()] == ["resolve.lock"]


def test_a_jar_too_many_or_too_few(cache: Path) -> None:
    folder, _ = resolve_jars(Path("java"))
    (folder / "three.jar").touch()  # Java loads all that lies there
    with pytest.raises(BrokerError, match=r"three\.jar is none of the local Kafka's jars"):
        check_jars(folder)
    (folder / "three.jar").rename(folder / "three.txt")
    (folder / "one-1.0.jar").unlink()
    with pytest.raises(BrokerError, match=r"one-1\.0\.jar is missing"):
        check_jars(folder)
