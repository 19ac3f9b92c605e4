"""A record that the fold cannot bear is found, start by start, and set aside; what was not of a record never is."""

import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import exits
from streams.kafka.records import Record, Records
from streams.worker import poison
from streams.worker.poison import Note, NoteError, Notes, Piece, Suspect, decode, encode

AT = TP("twin.events", 3)
FILE = "note-p00003.json"


class Ended(BaseException):
    """Instead of the end of the process."""


class Killed(BaseException):
    """The process is gone; nothing of ours runs any more."""


@pytest.fixture(autouse=True)
def survive(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_now(code: int, message: str, error: BaseException | None = None) -> NoReturn:
        assert code == exits.INTERNAL
        raise Ended(message)

    monkeypatch.setattr(exits, "end_now", end_now)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here, and thousands of notes are written


def records(first: int, number: int) -> Records:
    return Records.of(Record(first + i, b"line", b"value", []) for i in range(number))


def life(
    folder: Path, bad: set[int], log_end: int, run: int, kills: bool = False, at: int = 0, error: Any = ValueError
) -> tuple[str, list[int], list[int]]:
    """One life of a process: (how it ended, offsets folded, offsets set aside)."""
    notes, folded, aside = Notes(folder, AT, at), [], []
    try:
        for first in range(at, log_end, run):
            for piece in notes.pieces(records(first, min(run, log_end - first))):
                offsets = [record.offset for record in piece.records]
                if piece.aside is not None:
                    aside += offsets
                    continue
                with notes.folding(piece):
                    if bad & set(offsets):
                        raise Killed if kills else error("on purpose")
                folded += offsets
            notes.folded()
    except Ended:
        return "ended", folded, aside
    except Killed:
        return "killed", folded, aside
    except MemoryError:
        return "no memory", folded, aside
    notes.passed(log_end)
    return "lived", folded, aside


def lives(folder: Path, *args: Any, **more: Any) -> list[tuple[str, list[int], list[int]]]:
    """Lives until one is no longer cut short."""
    found = []
    while not found or found[-1][0] != "lived":
        found.append(life(folder, *args, **more))
        assert len(found) < 40, "a crash loop without end"
    return found


def test_the_third_failure_of_an_offset_is_its_last(tmp_path: Path) -> None:
    found = lives(tmp_path, {57}, 100, 20)
    assert [end for end, _, _ in found] == ["ended", "ended", "ended", "lived"]
    assert found[0][1] == list(range(40))  # whole runs
    assert found[1][1] == found[2][1] == list(range(57))  # one at a time within the suspected run
    assert found[3][1:] == ([*range(57), *range(58, 100)], [57])
    assert not (tmp_path / FILE).exists()


def test_a_crash_without_a_last_word_is_found_as_well(tmp_path: Path) -> None:
    found = lives(tmp_path, {57}, 100, 20, kills=True)
    # Two starts that know nothing, the third notes runs, then the offset fails alone twice.
    assert [end for end, _, _ in found] == ["killed"] * 5 + ["lived"]
    assert found[5][1:] == ([*range(57), *range(58, 100)], [57])


@settings(max_examples=30)  # files are written
@given(st.sets(st.integers(0, 39), max_size=4), st.integers(1, 40), st.booleans(), st.integers(0, 10))
def test_exactly_the_bad_ones_are_set_aside(
    tmp_path_factory: pytest.TempPathFactory, bad: set[int], run: int, kills: bool, at: int
) -> None:
    folder = tmp_path_factory.mktemp("notes")
    bad = {offset for offset in bad if offset >= at}
    *cut, last = lives(folder, bad, 40, run, kills, at)
    assert last[1:] == ([o for o in range(at, 40) if o not in bad], sorted(bad))
    assert len(cut) <= 2 + 3 * len(bad)
    assert not list(folder.iterdir())


def test_no_memory_is_not_the_records_fault_at_first(tmp_path: Path) -> None:
    ends = [life(tmp_path, {3}, 10, 10, error=MemoryError)[0] for _ in range(2)]
    assert ends == ["no memory"] * 2
    assert decode((tmp_path / FILE).read_bytes()).suspects == []
    assert life(tmp_path, set(), 10, 10)[0] == "lived"  # memory came back
    assert not (tmp_path / FILE).exists()


def test_a_death_between_folds_blames_nobody(tmp_path: Path) -> None:
    """As by a full disk at each checkpoint: the last record of the log is not to blame, however often it comes."""
    for _ in range(10):
        notes = Notes(tmp_path, AT, 0)
        for piece in notes.pieces(records(0, 5)):
            assert piece.aside is None
            with notes.folding(piece):
                pass
        notes.folded()
        assert notes.suspects == []


def test_progress_ends_the_caution(tmp_path: Path) -> None:
    for _ in range(poison.MOST_STARTS):
        notes = Notes(tmp_path, AT, 0)
    assert notes.ahead
    notes.passed(1)
    assert not notes.ahead
    assert not Notes(tmp_path, AT, 1).ahead


def test_a_note_stays_until_its_offset_is_committed(tmp_path: Path) -> None:
    for _ in range(3):
        assert life(tmp_path, {57}, 100, 20)[0] == "ended"
    for committed in (10, 57):  # the replay behind an earlier commit must set it aside again
        notes = Notes(tmp_path, AT, committed)
        assert [piece.aside is None for piece in notes.pieces(records(57, 2))] == [False, True]
        notes.passed(committed)
    notes.passed(58)
    assert not (tmp_path / FILE).exists()


def test_the_detail_names_the_fault_and_no_folder_of_the_host(tmp_path: Path) -> None:
    notes = Notes(tmp_path, AT, 0)
    with (
        pytest.raises(Ended, match=r"twin.events/3: folding offset 0 failed, 1 of 3 times"),
        notes.folding(Piece(records(0, 1))),
    ):
        raise ValueError("two\nlines " + "x" * 10_000)
    error = decode((tmp_path / FILE).read_bytes()).suspects[0].error
    assert error.startswith("ValueError: two lines xxx")
    assert len(error) <= 4_000
    assert "test_the_detail_names_the_fault" in error  # a long message does not push its place out
    assert poison.told(_deep(20)).count("_raised_at") == 21
    assert len(poison.told(_deep(500))) <= 4_000
    assert "worker/test_poison.py:" in poison.told(_raised())
    assert str(Path(__file__).parents[2].parent) not in poison.told(_raised())


def _raised_at(depth: int) -> None:
    if not depth:
        raise ValueError("here")
    _raised_at(depth - 1)


def _deep(depth: int) -> Exception:
    try:
        _raised_at(depth)
    except ValueError as error:
        return error
    raise AssertionError


def _raised() -> Exception:
    try:
        raise ValueError("here")
    except ValueError as error:
        return error


suspects = st.builds(Suspect, *[st.integers(0, 2**62)] * 2, st.integers(0, 9), st.text(max_size=20))
notes_of = st.builds(
    Note,
    st.text(max_size=9),
    st.integers(0, 99),
    st.integers(-1, 2**62),
    st.integers(0, 9),
    st.lists(suspects, max_size=3),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)


@given(notes_of)
def test_a_note_round_trips(note: Note) -> None:
    assert decode(encode(note)) == note


@given(st.data())
def test_a_damaged_note_is_refused(data: st.DataObject) -> None:
    whole = encode(Note("t", 1, 5, 2, [Suspect(1, 9, 1, "e")], (1, 2)))
    at = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :]):
        with pytest.raises(NoteError):
            decode(damaged)


@pytest.mark.parametrize(
    "content", [b"", b"{}", encode(Note("other.events", 3)), encode(Note("twin.events", 3, version=9))]
)
def test_a_worker_starts_without_a_note_it_cannot_use(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert life(tmp_path, set(), 10, 5)[0] == "lived"
    assert "starting without it" in caplog.text


def test_a_folder_that_takes_no_note_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "no folder").write_text("a file")
    assert life(tmp_path / "no folder", set(), 10, 5)[0] == "lived"
    assert "cannot be written" in caplog.text
