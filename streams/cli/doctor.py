"""`twin doctor`: checks the machine, the broker, the plant."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_bootstrap, add_json, add_plant, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "doctor",
        run,
        help="check Python, Java, broker, topics, plant, clock and disk, and say what to do",
        example="twin doctor --plant plant.toml",
        more="Exit code 1 when a check fails; warnings alone end with 0.",
    )
    add_plant(parser, required=False)
    add_bootstrap(parser)
    parser.add_argument("--audit", metavar="FOLDER", help="audit root to check (default: TAKTWIN_AUDIT, else audit)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from streams.cli.output import as_json
    from streams.settings import Settings
    from streams.tools.doctor import examine

    settings = Settings.from_env(bootstrap=args.bootstrap, audit=args.audit, plant=args.plant)
    # The default name counts only where such a file is there; one that was named must be.
    named = args.plant or settings.plant != "plant.toml" or Path(settings.plant).exists()
    plant = Path(settings.plant) if named else None
    console = Console(highlight=False, soft_wrap=True)
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    found = []
    for check in examine(settings, plant):
        found.append(check)
        if args.json:
            continue
        console.print(Text.assemble((f"{check.level:<5}", styles[check.level]), f"{check.name:<10}", check.found))
        if check.advice:
            console.print(Text(f"{'':15}-> {check.advice}", style="dim"))
    if args.json:
        as_json([asdict(check) for check in found])
    return 1 if any(check.level == "fail" for check in found) else 0
