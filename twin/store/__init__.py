"""Object storage: whole objects under keys, and the two conditions that the protocol of an audit root rests on.

A store has no renaming and no appending. An object is there whole or not at all; `put_new` is refused where one is, and
`replace` where another one is than was read. Everything else (what may be listed, what is fenced) is made of these.
"""

import errno
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, TypeVar

# Requests of one call that are under way together.
TOGETHER: Final = 16
# Of whole files, each some ten megabytes of memory while it is under way.
FILES_TOGETHER: Final = 4
T = TypeVar("T")
R = TypeVar("R")


class StoreError(OSError):
    """The store refused or did not answer: `strerror` says where and why, `filename` is the object's URL."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a listing names it. `version` is another one whenever the content is."""

    key: str
    size: int
    version: str
    changed_ns: int  # when it was put, by the store's clock


class Store(Protocol):
    """The objects under one prefix of a bucket. Methods block, may be called by threads, and raise StoreError."""

    @property
    def url(self) -> str: ...

    @property
    def failures(self) -> int:
        """Calls that have failed so far."""

    def get(self, key: str) -> tuple[bytes, str]:
        """Content and version. Raises FileNotFoundError."""

    def get_into(self, key: str, file: BinaryIO) -> str:
        """Write an object's content, of any size, to a file. Returns its version. Raises FileNotFoundError."""

    def put_new(self, key: str, data: bytes) -> bool:
        """False: there is one, and it stays. After a lost answer that may be the one that was put."""

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """False: it is another one by now, or gone, and stays as it is."""

    def put(self, key: str, data: bytes) -> None:
        """Over whatever is there: only for what may be lost."""

    def size(self, key: str) -> int | None:
        """Of the object; None: there is none."""

    def listed(self, prefix: str, after: str = "") -> list[Found]:
        """All under a path such as `_files/p00000`, by rising key, or those behind a key."""

    def delete(self, keys: Sequence[str]) -> None:
        """Take objects away; what is not there is no error."""


def is_url(place: object) -> bool:
    return isinstance(place, str) and "://" in place


def opened(url: str) -> Store:
    """The store of `s3://BUCKET/PREFIX`. Nothing is asked of it yet. Raises StoreError."""
    from twin.store.s3 import ObjectStore  # an optional extra: only a URL needs it

    return ObjectStore(url)


def each(function: Callable[[T], R], things: Iterable[T], together: int = TOGETHER) -> list[R]:
    """The results in order, several requests at a time; the first error is raised."""
    with ThreadPoolExecutor(together, thread_name_prefix="store") as pool:
        return list(pool.map(function, things))


def put_same(store: Store, key: str, data: bytes) -> bool:
    """Put an object that is always the same under its key. True: it is there. False: another one is, and stays."""
    return store.put_new(key, data) or store.get(key)[0] == data


def check_conditions(store: Store, key: str) -> None:
    """That the store keeps the two promises, by an object that is there and stays as it is. Raises StoreError."""
    data, _ = store.get(key)
    if store.put_new(key, data) or store.replace(key, data, "0" * 32):
        raise StoreError(
            errno.EINVAL,
            "was put over another, though a condition forbade it: this server ignores If-None-Match or If-Match, so "
            "two workers could write different things under one name; take one that knows them (docs/storage.md)",
            f"{store.url}/{key}",
        )


def missing(store: Store, key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "is not there", f"{store.url}/{key}")
