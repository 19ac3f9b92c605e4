"""A draft on its way: what a log says of lines and stations, written down as a plant and a mapping."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from twin.sources.roles import class_of
from twin.sources.sniff import quoted

_MOST_LEFT_OUT: Final = 8  # names of what no rule reads


def _plain(seconds: float) -> str:
    """To the nanosecond, without an exponent, which no duration has."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


@dataclass(slots=True)
class Station:
    """What a draft of a plant says of one station."""

    words: Counter[str] = field(default_factory=Counter)  # state words
    counters: dict[str, str] = field(default_factory=dict)  # id -> quality
    cycle_s: float | None = None  # the time of a part where it goes fast


@dataclass(slots=True)
class Draft:
    """Two TOML texts, and what to look at in them."""

    mapping: str
    plant: str
    edit: list[str]


class Drafter:
    """Collects what a log says, and writes it down."""

    def __init__(self, name: str) -> None:
        self.line = "line-1"
        self.name = name
        self.stations: dict[str, Station] = {}
        self.products: list[str] = []
        self.rules: list[str] = []
        self.head: list[str] = []
        self.edit: list[str] = []
        self.zone = "UTC"
        self.lateness_s = 0.0
        self.by_cycle = False
        self.orders = False
        self.jump_days = 1
        self.staleness_s = 0.0

    def station(self, name: str) -> Station:
        return self.stations.setdefault(name, Station())

    def left_out(self, names: Sequence[str]) -> None:
        """Say at the end of the mapping which columns or tags no rule reads."""
        if names:
            more = ", ..." if len(names) > _MOST_LEFT_OUT else ""
            self.rules.append(f"\n# no rule reads: {', '.join(names[:_MOST_LEFT_OUT])}{more}")

    def plant(self) -> str:
        text = [
            f"# Drafted from {self.name}. What is marked `look` is a guess.",
            'site = "site"',
            "",
            '[[area]]\nid = "area"',
            "",
            "[[line]]",
            f"id = {quoted(self.line)}",
            'area = "area"',
            'type = "cell"  # look: "flow" with buffers between the stations makes bottlenecks',
            f'lateness = "{max(0, round(self.lateness_s + 0.5)) if self.lateness_s else 0}s"',
            f'max_jump = "{self.jump_days}d"',
            'windows = ["1h/1min"]',
            'publish_every = "1min"',
        ]
        if self.staleness_s > 900:
            text.append(f'staleness = "{round(self.staleness_s)}s"  # look: the log is silent for so long')
        if self.by_cycle:
            text.append('parts_from = "cycle"')
        if self.orders:
            text.append("requires_order = true")
        for name, one in self.stations.items():
            text += ["", "[[line.station]]", f"id = {quoted(name)}"]
            if one.cycle_s and one.cycle_s >= 1e-9:
                text.append(f'ideal_cycle = "{_plain(one.cycle_s)}s"  # look: the pace of the fastest tenth of the log')
            for counter, quality in one.counters.items():
                text += ["", "[[line.station.counter]]", f"id = {quoted(counter)}"]
                mark = "  # look: are scrap and rework some of them?" if quality == "total" else ""
                text += [f'quality = "{quality}"{mark}'] if quality != "good" else []
        text += [line for product in self.products for line in ("", "[[line.product]]", f"id = {quoted(product)}")]
        words = sorted({word for one in self.stations.values() for word in one.words})
        if words:
            text += ["", "[line.states]"]
            for word in words:
                name, sure = class_of(word, words)
                if word != "unknown":
                    text.append(f'{quoted(word)} = "{name}"' + ("" if sure else "  # look"))
            unsure = [word for word in words if word != "unknown" and not class_of(word, words)[1]]
            if unsure:
                self.edit.append(f"plant.toml [line.states]: what {', '.join(unsure[:6])} mean")
        if self.zone != "UTC":
            text += ["", "[line.calendar]", f"zone = {quoted(self.zone)}"]
        return "\n".join(text) + "\n"

    def mapping(self) -> str:
        head = [f"# Drafted from {self.name}.", f"line = {quoted(self.line)}", *self.head]
        return "\n".join([*head, *self.rules]) + "\n"

    def draft(self) -> Draft:
        plant = self.plant()
        return Draft(self.mapping(), plant, self.edit)

    def event(self, kind: str, *lines: str) -> None:
        self.rules.append("\n".join(["", "[[event]]", f'type = "{kind}"', *lines]))
