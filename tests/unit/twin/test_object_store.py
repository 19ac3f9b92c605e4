"""The same promises of a store in memory and of a real S3 server, and what the server's refusals are told as."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.objects import MemoryStore
from tests.support.s3 import S3Server
from twin.store import Store, StoreError, opened, put_same


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    request.getfixturevalue("s3")
    found = opened("s3://test/contract")
    found.delete([one.key for one in found.listed("")])
    return found


def test_what_is_put_is_there_whole_and_stays(store: Store) -> None:
    data = bytes(range(256)) * 40_000  # more than one part of an upload in parts
    assert store.size("a/b") is None
    assert store.put_new("a/b", data)
    assert not store.put_new("a/b", b"another")
    found, version = store.get("a/b")
    assert found == data
    assert store.size("a/b") == len(data)
    assert put_same(store, "a/b", data)
    assert not put_same(store, "a/b", b"another")
    assert store.get("a/b") == (data, version)


def test_replaced_only_where_nobody_else_has(store: Store) -> None:
    assert not store.replace("m", b"0", "0")
    store.put("m", b"1")
    version = store.get("m")[1]
    assert store.replace("m", b"2", version)
    assert not store.replace("m", b"3", version)
    assert store.get("m")[0] == b"2"


def test_of_many_at_once_one_is_first(store: Store) -> None:
    start = threading.Barrier(8)

    def put(number: int) -> bool:
        start.wait()
        return store.put_new("one", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(put, range(8)))
    assert first.count(True) == 1
    assert store.get("one")[0] == b"%d" % first.index(True)


def test_listed_by_folder_and_from_a_key_on(store: Store) -> None:
    for key in ("p/00001/a", "p/00001/b", "p/00001/c", "p/000011", "q"):
        store.put_new(key, b"x")
    assert [one.key for one in store.listed("p/00001")] == ["p/00001/a", "p/00001/b", "p/00001/c"]
    assert [one.key for one in store.listed("p/00001", "p/00001/a")] == ["p/00001/b", "p/00001/c"]
    assert [one.key for one in store.listed("")] == ["p/00001/a", "p/00001/b", "p/00001/c", "p/000011", "q"]
    assert store.listed("none") == []
    assert {one.version for one in store.listed("")} == {store.get("q")[1]}
    store.delete(["p/00001/b", "not-there", "q"])
    assert [one.key for one in store.listed("")] == ["p/00001/a", "p/00001/c", "p/000011"]
    with pytest.raises(FileNotFoundError):
        store.get("q")


def test_more_objects_than_a_listing_has_at_once(s3: S3Server) -> None:
    store = opened("s3://test/many")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put_new(f"k/{number:05d}", b""), range(1_050)))
    assert [one.key for one in store.listed("k")] == [f"k/{number:05d}" for number in range(1_050)]
    assert len(store.listed("k", "k/00999")) == 50
    store.delete([one.key for one in store.listed("k")])
    assert store.listed("k") == []


def test_refusals_say_where_why_and_what_to_do(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=rf"s3://nobucket/x/k: cannot be read at {s3.endpoint} \(NoSuchBucket\); make"):
        opened("s3://nobucket/x").get("k")
    with pytest.raises(StoreError, match="NoSuchBucket"):
        opened("s3://nobucket/x").listed("")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused = opened("s3://test/x")
    with pytest.raises(StoreError, match=r"SignatureDoesNotMatch\); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"):
        refused.put_new("k", b"")
    assert refused.failures == 1


@pytest.mark.parametrize(
    "url", ["s3://", "s3://b", "gs://bucket/x", "s3://bucket/a/../b", "s3://bucket//x", "S3://b/x"]
)
def test_what_is_no_place_for_objects(url: str) -> None:
    with pytest.raises(StoreError, match="write s3://BUCKET/PREFIX"):
        opened(url)


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(StoreError, match=r"cannot be looked up at http://127.0.0.1:9 .*AWS_ENDPOINT_URL"):
        opened("s3://test/x").size("k")


def test_one_server_is_many_roots(s3: S3Server, tmp_path: Path) -> None:
    one, other = opened("s3://test/roots/a/"), opened("s3://test/roots/b")
    one.put("k", b"1")
    assert other.size("k") is None
    assert one.url == "s3://test/roots/a"
