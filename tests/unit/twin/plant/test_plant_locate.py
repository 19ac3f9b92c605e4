"""Lines of keys in a TOML file, checked against the paths that tomllib finds."""

import textwrap
import tomllib
from typing import Any

import pytest

from twin.plant.locate import Path, line_of, locate
from twin.plant.problem import hint, key_text


def paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths(item, (*path, key)) for key, item in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(item, (*path, i)) for i, item in enumerate(value)))
    return found


DOCUMENT = textwrap.dedent(
    '''\
    site = "a # b [c] \\" = 1"  # [[line]]
    "quoted key" = 'x # y'
    a.b . "c.d" = 1
    a.b.e = 2
    empty = ""
    text = """
    [line]
    key = 3 \\""" "quotes"""""
    raw = \'\'\'
    # 'no' comment
    \'\'\'\'
    inline = { x = 1, "y z" = [ { u = 2 }, { v.w = 3 } ], t = {} }
    many = [ # [
      1, # ]
      "[",
      [2, 3,
       4],
      2026-01-01 10:00:00,
    ]
    [table]  # [x]
    key = true
      indented = 1.5e3
    [[line]]
    id = 1
    [[line.station]]
    id = 2
    [line.station.states]
    "A # \\u0042]" = "x"
    [[line.station]]
    id = 3
    [[line]]
    [line.calendar]
    zone = 4
    [[line.station]]
    id = 5
    [ deep . "er" ]
    k = 6
    [[ x . y ]]
    [[ x . y ]]
    k = 7
    [deep]
    late = 8'''
)
LINES: dict[Path, int] = {
    ("site",): 1,
    ("quoted key",): 2,
    ("a",): 3,
    ("a", "b"): 3,
    ("a", "b", "c.d"): 3,
    ("a", "b", "e"): 4,
    ("empty",): 5,
    ("text",): 6,
    ("raw",): 9,
    ("inline",): 12,
    ("inline", "x"): 12,
    ("inline", "y z"): 12,
    ("inline", "y z", 0): 12,
    ("inline", "y z", 0, "u"): 12,
    ("inline", "y z", 1): 12,
    ("inline", "y z", 1, "v"): 12,
    ("inline", "y z", 1, "v", "w"): 12,
    ("inline", "t"): 12,
    ("many",): 13,
    ("many", 0): 14,
    ("many", 1): 15,
    ("many", 2): 16,
    ("many", 2, 0): 16,
    ("many", 2, 1): 16,
    ("many", 2, 2): 17,
    ("many", 3): 18,
    ("table",): 20,
    ("table", "key"): 21,
    ("table", "indented"): 22,
    ("line",): 23,
    ("line", 0): 23,
    ("line", 0, "id"): 24,
    ("line", 0, "station"): 25,
    ("line", 0, "station", 0): 25,
    ("line", 0, "station", 0, "id"): 26,
    ("line", 0, "station", 0, "states"): 27,
    ("line", 0, "station", 0, "states", "A # B]"): 28,
    ("line", 0, "station", 1): 29,
    ("line", 0, "station", 1, "id"): 30,
    ("line", 1): 31,
    ("line", 1, "calendar"): 32,
    ("line", 1, "calendar", "zone"): 33,
    ("line", 1, "station"): 34,
    ("line", 1, "station", 0): 34,
    ("line", 1, "station", 0, "id"): 35,
    ("deep",): 41,  # its own header, though an earlier one went through it
    ("deep", "er"): 36,
    ("deep", "er", "k"): 37,
    ("x",): 38,
    ("x", "y"): 38,
    ("x", "y", 0): 38,
    ("x", "y", 1): 39,
    ("x", "y", 1, "k"): 40,
    ("deep", "late"): 42,
}


def test_every_path_is_found_on_its_line() -> None:
    assert locate(DOCUMENT) == LINES
    assert paths(tomllib.loads(DOCUMENT)) == set(LINES)


def test_windows_line_ends() -> None:
    assert locate(DOCUMENT.replace("\n", "\r\n")) == LINES


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment", "a = 1", "[a]", "[[a]]\n", "a = {}", "a = []", "\ta=[[],\n{}]"]
)
def test_small_documents(text: str) -> None:
    assert set(locate(text)) == paths(tomllib.loads(text))


def test_a_missing_key_is_at_the_table_around_it() -> None:
    lines = locate(DOCUMENT)
    assert line_of(lines, ("line", 0, "station", 1, "no", "such")) == 29
    assert line_of(lines, ("nothing",)) == 1


def test_key_text_names_tables_by_id() -> None:
    data = {"line": [{"id": "L 1", "windows": ["x"]}, {}], "a b": {"c": 1}}
    assert key_text(("line", 0, "windows", 0), data) == "line[L 1].windows[1]"
    assert key_text(("line", 1, "id"), data) == "line[2].id"
    assert key_text(("a b", "c", "gone"), data) == '"a b".c.gone'
    assert key_text((), data) == ""


def test_hint() -> None:
    assert hint("statoin", ["station", "state"]) == '; did you mean "station"?'
    assert hint("RUNNING", ["running"]) == '; did you mean "running"?'
    assert hint("zzz", ["b", "a"]) == "; known: a, b"
    assert hint("zzz", [str(i) for i in range(20)], most=2) == "; known: 0, 1, ..."
    assert hint("zzz", []) == "; none is declared"
