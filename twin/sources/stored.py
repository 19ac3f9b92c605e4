"""Logs in object storage: copied into a folder, and read there as any others."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twin import store
from twin.audit import fetch, layout
from twin.audit.fetch import Cache
from twin.sources.source import SourceError
from twin.store import FILES_TOGETHER, Found, Store, each

_SCHEME: Final = "s3://"
_PATTERN: Final = frozenset("*?[")


def local(places: Sequence[str], folder: Path, cache: Cache) -> list[str]:
    """The same logs as paths: what is named by a URL is copied below `folder`, to FOLDER/BUCKET/KEY.

    A URL names an object, a pattern of them (`s3://logs/2026/*.csv`), or all of a prefix: its objects, or an audit
    root, of which the events are copied alone. Raises SourceError, AuditError, StoreError.
    """
    return [one for place in places for one in (_copied(place, folder, cache) if store.is_url(place) else [place])]


def _copied(url: str, folder: Path, cache: Cache) -> list[str]:
    above, _, name = url.removeprefix(_SCHEME).rstrip("/").rpartition("/")
    if above and url.startswith(_SCHEME):
        beside, place = store.opened(_SCHEME + above), folder / above
        if _PATTERN & set(name):
            found = [one for one in _direct(beside) if fnmatch.fnmatchcase(one.key, name)]
            if not found:
                raise SourceError(f"{url}: no object fits the pattern; check the bucket and the prefix")
            return _get(beside, found, place, cache)
        if not url.endswith("/") and beside.size(name) is not None:
            return _get(beside, [one for one in _direct(beside) if one.key == name], place, cache)
    within, place = store.opened(url.rstrip("/")), folder / url.removeprefix(_SCHEME).rstrip("/")
    if within.listed(layout.FILES):
        place.mkdir(parents=True, exist_ok=True)
        fetch.copy(within, place, cache, sets=("events",))
        return [str(place)]
    every = [one for one in within.listed("") if fetch.is_plain(one.key)]
    parquet = [one for one in every if one.key.endswith(".parquet")]
    found = parquet or [one for one in every if "/" not in one.key and not one.key.startswith(".")]
    if not found:
        raise SourceError(f"{url}: there are no objects in it; check the bucket and the prefix")
    _get(within, found, place, cache)
    return [str(place)]


def _direct(place: Store) -> list[Found]:
    """Objects of a prefix itself, not of those below."""
    return [one for one in place.listed("") if "/" not in one.key and not one.key.startswith(".")]


def _get(place: Store, found: Sequence[Found], folder: Path, cache: Cache) -> list[str]:
    def copy(one: Found) -> str:
        target = folder / one.key
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            cache.get_log(place, one, target)
        return str(target)

    return each(copy, found, FILES_TOGETHER)
