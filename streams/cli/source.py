"""`twin source`: what a log holds, before anything is sent or folded."""

import argparse
from typing import TYPE_CHECKING, Any

from streams.cli.parser import add_json, add_plant, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from twin.sources.examine import Findings, StationFacts


def add(commands: "Commands") -> None:
    source = group(
        commands,
        "source",
        help="look at a log and its mapping before anything is sent",
        example="twin source check press.csv --mapping press.toml --plant plant.toml",
    )
    parser = command(
        source,
        "check",
        check,
        help="read logs without folding them: first rows beside their events, problems, words, counters",
        example="twin source check press.csv --suggest draft",
        more="Ends with 1 where something would be refused, or cannot be read. With --suggest no mapping is needed: a "
        "draft of the mapping and of the plant is written, for you to correct.",
    )
    parser.add_argument("logs", metavar="LOG", nargs="+", help="as for `twin replay`")
    parser.add_argument("--mapping", metavar="FILE", help="what the columns mean (default: the plant's own rules)")
    add_plant(parser, required=False)
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="rows shown beside their events (default: 5)")
    parser.add_argument(
        "--suggest", metavar="FOLDER", help="write mapping.toml and plant.toml drafted from the first log there"
    )
    parser.add_argument("--zone", metavar="ZONE", help="with --suggest: time zone of times without an offset")
    add_json(parser)
    command(
        source,
        "schema",
        schema,
        help="print the JSON Schema of mappings, for editors",
        example="twin source schema > mapping.schema.json",
    )


def schema(_args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.sources.mapping_shape import json_schema

    output.as_json(json_schema())
    return 0


def check(args: argparse.Namespace) -> int:
    from streams.cli.roots import local_logs

    with local_logs(args):
        return _check(args)


def _check(args: argparse.Namespace) -> int:
    from pathlib import Path

    from streams.cli import output
    from streams.cli.errors import USAGE, CommandError
    from twin import plant as plants
    from twin.sources import load_mapping, open_sources
    from twin.sources.examine import examine

    plant_file, mapping_file, guessed = args.plant, args.mapping, None
    if args.suggest:
        from twin.sources.suggest import suggest, write

        guessed = suggest(args.logs, args.zone)
        plant_file, mapping_file = write(guessed, Path(args.suggest))
    elif plant_file is None:
        raise CommandError("name the plant the log belongs to with --plant, or have one drafted with --suggest", USAGE)
    plant = plants.load(plant_file)
    logs = open_sources(args.logs, plant, load_mapping(mapping_file, plant) if mapping_file else None)
    found = examine(logs, plant, max(args.rows, 0))
    if args.json:
        drafted = {"mapping": str(mapping_file), "plant": str(plant_file), "edit": guessed.edit} if guessed else None
        output.as_json(found.as_dict() | ({"suggested": drafted} if drafted else {}))
    else:
        _report(found, output.line)
        if guessed:
            output.line()
            output.line(f"written: {mapping_file}, {plant_file}")
            for text in guessed.edit:
                output.line(f"  look at: {text}")
    doubts = found.summary.problems or found.summary.rejected or found.unknown_products or found.declared.late()
    return int(bool(doubts))


def _report(found: "Findings", say: Any) -> None:
    from twin.sources.times import iso

    for row in found.rows:
        say(f"row {row.line}: " + " | ".join(f"{name} = {cell.strip()}" for name, cell in row.cells.items()))
        for event in row.events or ["(no event)"]:
            say(f"    {event}")
    for facts in found.stations.values():
        name = f"{facts.line}/{facts.station}" if facts.station else f"{facts.line} (the line)"
        events = ", ".join(f"{count:,} {kind}" for kind, count in sorted(facts.events.items()))
        say(f"{name}: {events}; {iso(facts.first)} to {iso(facts.last)}")
        for text in _about(facts):
            say(f"    {text}")
    for line, products in found.unknown_products.items():
        names = ", ".join(f"{name} ({count:,})" for name, count in sorted(products.items()))
        say(f"{line}: products that neither the plant nor the log declares: {names}")
    for text in (*found.declared.report(), *found.declared.late()):
        say(text)
    for text in found.stamps:
        say(f"times: {text}")
    say(found.summary.report())


def _about(facts: "StationFacts") -> list[str]:
    from twin.sources.times import iso

    found = []
    if facts.words:
        words = (f"{word} = {name} ({count:,})" for word, (name, count) in sorted(facts.words.items()))
        found.append("states: " + ", ".join(words))
    if facts.parts:
        found.append("parts: " + ", ".join(f"{count:,} {quality}" for quality, count in facts.parts.items()))
    if facts.cycles:
        found.append("cycles: " + ", ".join(f"{count:,} {phase}" for phase, count in sorted(facts.cycles.items())))
    for name, counter in facts.counters.items():
        text = f"counter {name}: {counter.first:,} to {counter.last:,}"
        text += f", {counter.rises:,} up in {counter.readings:,} readings"
        if counter.falls:
            text += f", {counter.falls:,} falls (first {counter.fall})"
        if counter.suspect:
            text += f"; look at its largest step: {counter.largest:,} at {iso(counter.largest_at)}"
        found.append(text)
    for name, one in facts.measures.items():
        text = f"measure {name}: {one.readings:,} values from {one.text(one.least)} to {one.text(one.most)} {one.unit}"
        if one.meter:
            text += f", {one.text(one.first)} at first and {one.text(one.last)} at last"
        if one.falls:
            text += f", {one.falls:,} falls (first {one.fall})"
        found.append(text)
    if facts.silence:
        found.append(f"longest silence: {facts.silence / 1e9:,.0f} s from {iso(facts.silence_at)}")
    if facts.late:
        found.append(
            f"late: {facts.late:,} events would be late, by at most {facts.latest / 1e9:,.3f} s; "
            "set the line's lateness, or sort = true under [time]"
        )
    return found
