"""On which line of a TOML file stands a key?

tomllib keeps no positions. This reads a document that tomllib has already accepted, so it only follows the structure
and checks nothing.
"""

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_SKIP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may end in up to two quotes of its own before the closing three.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")' + r"|'''.*?'''(?!')" + r'|"(?:[^"\\]|\\.)*"' + r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


def locate(text: str) -> dict[Path, int]:
    """Line, from 1, of every table, key and array element of a valid TOML document.

    A path holds keys and, for arrays and arrays of tables, indices: ("line", 0, "station", 2, "id"). A table is on the
    line of its header; one that was never written as a header, on the line that first goes through it.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Line of a path or, where it does not stand in the file (a missing key), of the innermost table around it."""
    while path not in lines:
        if not path:
            return 1
        path = path[:-1]
    return lines[path]


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._breaks = [i for i, c in enumerate(text) if c == "\n"]
        self._last: dict[Path, int] = {}  # array of tables -> index of its newest table

    def document(self) -> None:
        base: Path = ()
        while self._skip() < len(self.text):
            if self.text.startswith("[[", self.at):
                base = self._header(2)
            elif self.text[self.at] == "[":
                base = self._header(1)
            else:
                self._pair(base)

    def _header(self, brackets: int) -> Path:
        line = self._line()
        self.at += brackets
        *outer, last = self._key()
        self.at += brackets
        path: Path = ()
        for key in outer:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._last:
                path = (*path, self._last[path])
        path = (*path, last)
        if brackets == 2:
            self._last[path] = self._last.get(path, -1) + 1
            self.lines.setdefault(path, line)
            path = (*path, self._last[path])
        self.lines[path] = line
        return path

    def _pair(self, base: Path) -> None:
        line = self._line()
        path = base
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at += 1  # "="
        self._skip()
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening in "[{":
            self.at += 1
            index = 0
            while self.text[self._skip()] not in "]}":
                if opening == "{":
                    self._pair(path)
                else:
                    self.lines[(*path, index)] = self._line()
                    self._value((*path, index))
                    index += 1
                if self.text[self._skip()] == ",":
                    self.at += 1
            self.at += 1
        elif opening in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _key(self) -> list[str]:
        """A dotted key, with the space around it."""
        parts = []
        while True:
            self._skip()
            if self.text[self.at] in "\"'":
                # tomllib itself undoes the escapes.
                parts.append(str(tomllib.loads(f"key = {self._take(_STRING)}")["key"]))
            else:
                parts.append(self._take(_BARE_KEY))
            if self.text[self._skip()] != ".":
                return parts
            self.at += 1

    def _skip(self) -> int:
        """Over space, line ends and comments; the new position."""
        self._take(_SKIP)
        return self.at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"not valid TOML at character {self.at}"
        self.at = match.end()
        return match[0]

    def _line(self) -> int:
        return bisect_right(self._breaks, self.at - 1) + 1
