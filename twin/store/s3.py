"""A prefix of a bucket, by obstore. Credentials, region and endpoint come from the standard AWS_* variables."""

import errno
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from twin.store import Found, StoreError, missing

if TYPE_CHECKING:
    from obstore.store import S3Store

_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?", re.ASCII)
# Short hold-ups (a throttled or a lost request) are tried again here; longer ones by whoever calls.
_RETRIES: Final = 8
_RETRY_FOR: Final = timedelta(seconds=20)
_ANSWER_WITHIN: Final = timedelta(seconds=60)
_CONNECT_WITHIN: Final = timedelta(seconds=5)
# In what obstore says: the endpoint, and the code that the server gave.
_WHERE: Final = re.compile(r"(https?://[^/ ]+)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_MOST_REASON: Final = 200
_AT_ONCE: Final = 1_000
_PART_BYTES: Final = 8 << 20


class ObjectStore:
    """See `twin.store.Store`."""

    def __init__(self, url: str) -> None:
        match = _URL.fullmatch(url.rstrip("/"))
        if match is None or any(part in ("", ".", "..") for part in (match[2] or "x").split("/")):
            raise StoreError(errno.EINVAL, "is no place for objects: write s3://BUCKET/PREFIX", url)
        try:
            import obstore
            import obstore.store
        except ModuleNotFoundError as error:
            raise StoreError(
                errno.EINVAL, "object storage needs obstore, which is not installed; install taktwin[s3]", url
            ) from error
        self.url = url.rstrip("/")
        self.failures = 0
        self._obstore: Any = obstore
        self._store: S3Store = obstore.store.S3Store(
            match[1],
            prefix=match[2] or None,
            client_options={"allow_http": True, "timeout": _ANSWER_WITHIN, "connect_timeout": _CONNECT_WITHIN},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
        )

    def get(self, key: str) -> tuple[bytes, str]:
        try:
            found = self._obstore.get(self._store, key)
            return bytes(found.bytes()), str(found.meta["e_tag"] or "")
        except FileNotFoundError as error:
            raise self._absent(key, error) from None
        except self._errors as error:
            raise self._failed(key, "read", error) from error

    def get_into(self, key: str, file: BinaryIO) -> str:
        try:
            found = self._obstore.get(self._store, key)
            for part in found.stream(min_chunk_size=_PART_BYTES):
                file.write(part)
            return str(found.meta["e_tag"] or "")
        except FileNotFoundError as error:
            raise self._absent(key, error) from None
        except self._errors as error:
            raise self._failed(key, "read", error) from error

    def put_new(self, key: str, data: bytes) -> bool:
        return self._put(key, data, "create")

    def replace(self, key: str, data: bytes, version: str) -> bool:
        return self._put(key, data, {"e_tag": version})

    def put(self, key: str, data: bytes) -> None:
        self._put(key, data, "overwrite")

    def _put(self, key: str, data: bytes, mode: Any) -> bool:
        refused = (self._obstore.exceptions.AlreadyExistsError, self._obstore.exceptions.PreconditionError)
        try:
            # In one request, not in parts: it is there at once, or not at all, and a condition holds for all of it.
            self._obstore.put(self._store, key, data, mode=mode, use_multipart=False)
        except refused:
            return False
        except FileNotFoundError as error:
            if mode != "create" and "NoSuchKey" in str(error):
                return False
            raise self._failed(key, "written", error) from error
        except self._errors as error:
            raise self._failed(key, "written", error) from error
        return True

    def size(self, key: str) -> int | None:
        try:
            return int(self._obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None
        except self._errors as error:
            raise self._failed(key, "looked up", error) from error

    def listed(self, prefix: str, after: str = "") -> list[Found]:
        try:
            chunks = self._obstore.list(self._store, prefix or None, offset=after or None, chunk_size=_AT_ONCE)
            found = [
                Found(one["path"], one["size"], one["e_tag"] or "", int(one["last_modified"].timestamp() * 1e9))
                for chunk in chunks
                for one in chunk
            ]
        except FileNotFoundError as error:
            raise self._failed(prefix, "listed", error) from error
        except self._errors as error:
            raise self._failed(prefix, "listed", error) from error
        return sorted(found, key=lambda one: one.key)

    def delete(self, keys: Sequence[str]) -> None:
        for begin in range(0, len(keys), _AT_ONCE):
            try:
                self._obstore.delete(self._store, list(keys[begin : begin + _AT_ONCE]))
            except FileNotFoundError:
                continue
            except self._errors as error:
                raise self._failed(keys[begin], "deleted", error) from error

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._obstore.exceptions.BaseError, OSError, ValueError)

    def _absent(self, key: str, error: Exception) -> Exception:
        """A key that is not there; but not where the whole bucket is not: then nothing is known of the key."""
        return self._failed(key, "read", error) if "NoSuchBucket" in str(error) else missing(self, key)

    def _failed(self, key: str, what: str, error: Exception) -> StoreError:
        self.failures += 1
        said = " ".join(str(error).partition("\n\nDebug source")[0].split())
        where, code = _WHERE.search(said), _CODE.search(said)
        reason = code[1] if code is not None else said.rpartition(" - ")[2][:_MOST_REASON]
        refused = (self._obstore.exceptions.PermissionDeniedError, self._obstore.exceptions.UnauthenticatedError)
        number = errno.EIO
        if reason == "NoSuchBucket":
            advice = "make the bucket, or name another"
        elif isinstance(error, refused) or "403 Forbidden" in said:
            number, advice = errno.EACCES, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy"
        else:
            advice = "check AWS_ENDPOINT_URL and AWS_REGION, and that the server is up"
        place = where[1] if where is not None else "the endpoint"
        return StoreError(number, f"cannot be {what} at {place} ({reason}); {advice}", f"{self.url}/{key}")
