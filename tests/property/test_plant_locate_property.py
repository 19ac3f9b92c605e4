"""Any TOML document: the locator finds exactly the paths that tomllib finds, each on a line that holds its key."""

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twin.plant.locate import Path, locate

TEXT = st.text(st.sampled_from("ab#[]{}=\"'\\,. \n\té"), max_size=8)
BARE = st.text("abz-_09", min_size=1, max_size=3)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@st.composite
def keys(draw: st.DrawFn) -> str:
    return draw(st.one_of(BARE, TEXT.map(quoted)))


@st.composite
def strings(draw: st.DrawFn) -> str:
    text = draw(TEXT)
    if "'" not in text and "\n" not in text and draw(st.booleans()):
        return f"'{text}'"
    if draw(st.booleans()):
        body = text.replace("\\", "\\\\").replace('"""', '""\\"')
        return f'"""{body}"""' if not body.endswith('"') else f'"""{body[:-1]}\\""""'
    return quoted(text)


SPACE = st.sampled_from(["", " ", "\n", " # ], [x] \" '\n", "\t"])
SCALARS = st.one_of(st.sampled_from(["1", "-2.5e3", "true", "2026-01-01 10:00:00", "10:00:00", "0x1F"]), strings())


@st.composite
def arrays(draw: st.DrawFn, item: st.SearchStrategy[str]) -> str:
    parts = [draw(SPACE) + part + draw(SPACE) for part in draw(st.lists(item, max_size=3))]
    return f"[{','.join(parts)}{draw(SPACE)}]"


@st.composite
def tables(draw: st.DrawFn, item: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(keys(), max_size=3, unique_by=lambda k: tomllib.loads(f"{k}=1").popitem()[0]))
    return "{" + ", ".join(f"{name} = {draw(item)}" for name in names) + "}"


VALUES = st.recursive(SCALARS, lambda item: st.one_of(arrays(item), tables(item)), max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Statements that may contradict each other: only what tomllib accepts is kept, one by one."""
    text = ""
    for _ in range(draw(st.integers(0, 8))):
        name = ".".join(draw(st.lists(keys(), min_size=1, max_size=3)))
        form = draw(st.sampled_from(["{} = {}", "[{}]", "[[{}]]", "[[{}]]"]))
        statement = form.format(name, draw(VALUES)) if "=" in form else form.format(name)
        longer = text + statement + draw(st.sampled_from(["\n", "  # end\n", "\n\n"]))
        try:
            tomllib.loads(longer)
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    return text


def paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths(item, (*path, key)) for key, item in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(item, (*path, i)) for i, item in enumerate(value)))
    return found


@given(documents())
def test_the_locator_agrees_with_tomllib(text: str) -> None:
    lines = locate(text)
    assert set(lines) == paths(tomllib.loads(text))
    rows = text.split("\n")
    for path, line in lines.items():
        key = path[-1]
        if isinstance(key, str) and key.isalnum() and key.isascii():
            assert key in rows[line - 1]
