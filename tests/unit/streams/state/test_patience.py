"""A disk that refuses is tried again, within a limit; what no waiting can mend is said at once."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.state.patience import GivenUpError, Patience, StorageError
from streams.state.snapshot_files import SnapshotError
from twin.audit import AuditError


def refusing(times: int, error: Callable[[], Exception]) -> Callable[[], int]:
    left = iter(range(times))

    def write() -> int:
        if next(left, None) is not None:
            raise error()
        return 7

    return write


def caused(kind: type[Exception], number: int) -> Callable[[], Exception]:
    def make() -> Exception:
        error = kind("cannot be written")
        error.__cause__ = OSError(number, os.strerror(number))
        return error

    return make


@pytest.mark.parametrize("kind", [AuditError, SnapshotError])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EROFS, errno.EDQUOT])
def test_what_the_disk_refuses_is_tried_again(
    kind: type[Exception], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    patience = Patience(60.0, first_delay_s=0.001)
    assert patience(refusing(4, caused(kind, number))) == 7
    assert caplog.text.count("trying again") == 4
    assert "takes data again" in caplog.text
    assert patience.waiting is None


@pytest.mark.parametrize(
    "error", [lambda: AuditError("already published"), caused(AuditError, errno.EACCES), lambda: ValueError("a bug")]
)
def test_what_waiting_cannot_mend_is_raised_at_once(error: Callable[[], Exception]) -> None:
    with pytest.raises(type(error())):
        Patience(60.0)(refusing(1, error))


def test_patience_has_an_end() -> None:
    with pytest.raises(StorageError, match="cannot be written; the disk refused for"):
        Patience(0.01, first_delay_s=0.004)(refusing(1000, caused(AuditError, errno.ENOSPC)))


def test_no_patience_raises_what_the_disk_says() -> None:
    with pytest.raises(OSError, match="No space"):
        Patience(0.0)(refusing(1, lambda: OSError(errno.ENOSPC, "No space")))


def test_waiting_is_told_and_can_be_given_up(tmp_path: Path) -> None:
    patience, ended = Patience(60.0, first_delay_s=30.0), []

    def call() -> None:
        with pytest.raises(GivenUpError):
            patience(lambda: (tmp_path / "nowhere" / "file").write_bytes(b""))
        ended.append(True)

    thread = threading.Thread(target=call)
    thread.start()
    while patience.waiting is None:
        time.sleep(0.001)
    assert "No such file" in patience.waiting[1]
    patience.give_up()
    thread.join(10)
    assert ended == [True]
    assert patience.waiting is None
    assert patience(lambda: 3) == 3
