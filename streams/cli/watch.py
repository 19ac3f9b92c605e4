"""`twin watch`: the live table."""

import argparse
from typing import TYPE_CHECKING, Final

from streams.cli.parser import add_bootstrap, add_json, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from streams.settings import Settings

_AROUND: Final = 5


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "watch",
        run,
        help="show every line live: state, OEE, bottleneck, lag",
        example="twin watch --once",
        more="Reads the topics of lines and alerts; changes nothing. Below the table stands what casts doubt on the\n"
        "figures. Ctrl-C ends it.",
    )
    add_bootstrap(parser)
    parser.add_argument("--once", action="store_true", help="print the table once and end")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio
    import contextlib

    from streams import interrupt
    from streams.settings import Settings

    settings = Settings.from_env(bootstrap=args.bootstrap)
    if args.once or args.json:
        return asyncio.run(_once(settings, args.json))
    with contextlib.suppress(KeyboardInterrupt):
        interrupt.run(_live(settings))
    return 0


async def _once(settings: "Settings", as_json: bool) -> int:
    from rich.console import Console

    from streams.cli import output
    from streams.tools.watch import MANY, WIDE, watching

    async with watching(settings) as watcher:
        await watcher.read_all()
        if as_json:
            output.as_json(watcher.lines.rows())
        else:
            console = Console()
            wide = console.width >= WIDE
            if len(watcher.lines.records) < MANY:
                console.print(watcher.lines.table(wide=wide))
            else:
                for text in watcher.lines.text(wide=wide):
                    output.line(text)
            for sentence in watcher.lines.told():
                output.line(sentence)
            if not watcher.lines.records:
                output.note(
                    f"no line has been published to {settings.topic('lines')} yet: is a worker running, and was "
                    "anything fed? `twin doctor` looks"
                )
    return 0


async def _live(settings: "Settings") -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from streams.tools.watch import WIDE, watching

    console = Console()
    async with watching(settings) as watcher:
        # The alternate screen of a terminal, so that the shell's own lines come back afterwards.
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                await watcher.read(0.25)
                told = [Text(sentence, style="yellow") for sentence in watcher.lines.told()]
                # Title, head and a line of what is left out; where nothing crops it, a screenful as well.
                room = max(console.height - len(told) - _AROUND, 1)
                title, wide = f"lines of {settings.bootstrap}", console.width >= WIDE
                table = watcher.lines.table(title, wide=wide, most=room)
                more = len(watcher.lines.records) - room
                if more > 0:
                    told.insert(0, Text(f"and {more:,} more lines; `twin watch --once` prints all"))
                live.update(Group(table, *told), refresh=True)
