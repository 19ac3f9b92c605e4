"""What logs say of products: what is declared of them, and which are made without being known."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from kernels.codes import CYCLE, END, ORDER, PRODUCT
from twin.events.block import EventBlock
from twin.plant.model import Plant
from twin.sources.times import iso
from twin.wire.entries import read

_MOST_PACES: Final = 5  # shown of a place
_MOST_PRODUCTS: Final = 20  # shown


@dataclass(slots=True)
class _Declared:
    first: int
    count: int = 0
    paces: dict[str, list[str]] = field(default_factory=dict)  # station, "" the line -> what was said, each once


@dataclass(slots=True)
class _Made:
    first: int
    count: int = 0


Key = tuple[str, str]  # line, product


@dataclass(slots=True)
class ProductFacts:
    """Products of the logs that were read; `in_plant` are those of the plant file, which counts for them."""

    in_plant: set[Key] = field(default_factory=set)
    declared: dict[Key, _Declared] = field(default_factory=dict)
    made: dict[Key, _Made] = field(default_factory=dict)

    def note(self, block: EventBlock, plant: Plant) -> None:
        if not self.in_plant:
            self.in_plant = {(line.id, product.id) for line in plant.lines for product in line.products}
        starts = (block.type == ORDER) & (block.code != END)
        declares = (block.entry >= 0) & (starts | (block.type == PRODUCT))
        rows = np.flatnonzero(declares & (block.y >= 0))
        said = np.stack([block.line[rows], block.station[rows], block.y[rows], block.entry[rows]])
        different, first_of, of = np.unique(said, axis=1, return_index=True, return_inverse=True)
        for k in np.argsort(first_of).tolist():
            line, station, product, entry = different[:, k].tolist()
            text = ", ".join(pace_texts(block.words[entry]))
            if not text:
                continue
            mine = rows[of.reshape(-1) == k]
            ts = int(block.ts[mine].min())
            one = self.declared.setdefault((plant.lines[line].id, block.words[product]), _Declared(ts))
            one.first, one.count = min(one.first, ts), one.count + len(mine)
            paces = one.paces.setdefault(plant.stations[station].id if station >= 0 else "", [])
            if text not in paces and len(paces) <= _MOST_PACES:
                paces.append(text)
        rows = np.flatnonzero(((block.type == CYCLE) | (block.type == ORDER)) & (block.y >= 0))
        pairs = np.stack([block.line[rows], block.y[rows]])
        for line, word in np.unique(pairs, axis=1).T.tolist() if len(rows) else ():
            own = rows[(block.line[rows] == line) & (block.y[rows] == word)]
            key = plant.lines[line].id, block.words[word]
            if key not in self.in_plant:
                first = int(block.ts[own].min())
                found = self.made.setdefault(key, _Made(first))
                found.first, found.count = min(found.first, first), found.count + len(own)

    def unknown(self) -> dict[str, dict[str, int]]:
        """By line, the products that neither the plant file nor the logs declare, and how many events name them."""
        found: dict[str, dict[str, int]] = {}
        for (line, product), made in self.made.items():
            if (line, product) not in self.declared:
                found.setdefault(line, {})[product] = made.count
        return found

    def late(self) -> list[str]:
        """Products that were made before anything was declared of them: until then nothing is known."""
        return [
            f"{line}: product {product} is made from {iso(made.first)} on, and first declared at "
            f"{iso(self.declared[line, product].first)}: what began before has the station's own ideal cycle"
            for (line, product), made in self.made.items()
            if (line, product) in self.declared and made.first < self.declared[line, product].first
        ]

    def report(self) -> list[str]:
        """A line for each product that is declared."""
        found = []
        for (line, product), one in list(self.declared.items())[:_MOST_PRODUCTS]:
            places = []
            for station, paces in one.paces.items():
                more = f", then {', then '.join(paces[1:_MOST_PACES])}" if len(paces) > 1 else ""
                more += ", ..." if len(paces) > _MOST_PACES else ""
                places.append(f"{station or 'all stations'}: {paces[0]}{more}")
            text = f"{line}: product {product} declared from {iso(one.first)} on: {'; '.join(places)}"
            found.append(text + ("; the plant file has it, and counts" if (line, product) in self.in_plant else ""))
        others = len(self.declared) - _MOST_PRODUCTS
        return [*found, f"and {others:,} products more are declared"] if others > 0 else found

    def as_dict(self) -> dict[str, Any]:
        """By line and product; JSON."""
        found: dict[str, Any] = {}
        for (line, product), one in self.declared.items():
            made = self.made.get((line, product))
            found.setdefault(line, {})[product] = {
                "from": iso(one.first),
                "events": one.count,
                "paces": {station or "*": paces[:_MOST_PACES] for station, paces in one.paces.items()},
                "in_plant": (line, product) in self.in_plant,
                "made_before": iso(made.first) if made is not None and made.first < one.first else None,
            }
        return found


def pace_texts(word: str) -> list[str]:
    """What a block's word (twin.wire.entries) says of a product, for people."""
    said = read(word)
    told = (("ideal cycle", said.ideal_cycle), ("rate", said.rate), ("factor", said.factor))
    return [f"{name} {text}" for name, text in told if text is not None]
