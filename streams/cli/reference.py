"""Writes the generated pages: docs/cli.md from the parser; from their declarations the settings in docs/operating.md,
the sets in docs/formats.md, the refusals in docs/events.md, the keys in docs/plant.md and docs/sources.md; of the
topics docs/schemas.

python -m streams.cli.reference docs        (or `make docs`)
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from streams.cli.errors import EXIT_CODES
from streams.cli.parser import build
from streams.settings import table

_BEGIN = "<!-- settings: written by `make docs` -->\n"
_END = "<!-- /settings -->"
_SETS = "## Sets\n\n"
_AFTER_SETS = "## The view of a line\n"
_KEYS = "## Every key\n\n"
_MAPPING = "## Every key of a mapping\n"
_REASONS = "| reason | meaning | what to do |\n"


def with_settings(text: str) -> str:
    """`text` with the table of settings between the two marks."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    rows = [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in table()]
    return "\n".join([before + _BEGIN + "| variable | default | meaning |", "| --- | --- | --- |", *rows, _END]) + after


def with_sets(text: str) -> str:
    """`text` with the tables of the audited sets between their headings."""
    from twin.audit.formats import markdown

    before, _, rest = text.partition(_SETS)
    return before + _SETS + markdown() + "\n" + _AFTER_SETS + rest.partition(_AFTER_SETS)[2]


def with_mapping(text: str) -> str:
    """`text` with the reference of mappings at its end."""
    from twin.sources.mapping_shape import reference

    before, begin, rest = text.partition(_MAPPING)
    return before + begin + rest.partition("\n\n")[0] + "\n\n" + reference()


def with_reasons(text: str) -> str:
    """`text` with the table of reasons of refusals before the limits."""
    from twin.events.reasons import markdown

    before, _, rest = text.partition(_REASONS)
    return before + markdown() + "\n" + rest.partition("\n\n")[2]


def with_keys(text: str) -> str:
    """`text` with the reference of the plant file at its end."""
    from twin.plant.schema import reference

    return text.partition(_KEYS)[0] + _KEYS + reference()


# Pages of which parts are made.
PAGES: Final[dict[str, Callable[[str], str]]] = {
    "operating": with_settings,
    "formats": with_sets,
    "events": with_reasons,
    "plant": with_keys,
    "sources": with_mapping,
}


def page() -> str:
    """The whole page. Written from the actions, because the layout of argparse's own help differs between Pythons."""
    lines = [
        "# Command line",
        "",
        "For whoever types `twin`. Written by `make docs` from the command line itself. "
        "Results go to stdout, messages and progress to stderr.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "| --- | --- |",
        *[f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()],
    ]
    for parser in leaves(build()):
        lines += ["", f"## {parser.prog}", "", parser.description or "", *_arguments(parser)]
        example = (parser.epilog or "").partition("\n")[2].strip()
        lines += ["", "```", example, "```"]
    return "\n".join(lines) + "\n"


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command that does something, in the order of the help."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield parser
    for action in nested:
        for child in action.choices.values():
            yield from leaves(child)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        value = action.metavar if isinstance(action.metavar, str) else (action.dest if action.nargs != 0 else "")
        name = ", ".join(action.option_strings)
        shown = " ".join(part for part in (name, value if action.nargs != 0 else "") if part)
        told = (action.help or "").replace("%%", "%")  # as argparse prints it
        rows.append("| `{}` | {} |".format(*(text.replace("|", r"\|") for text in (shown, told))))
    return ["", "| argument | meaning |", "| --- | --- |", *rows] if rows else []


def write(docs: Path) -> None:
    (docs / "cli.md").write_text(page())
    for name, change in PAGES.items():
        path = docs / f"{name}.md"
        path.write_text(change(path.read_text()))
    _write_schemas(docs / "schemas")


def _write_schemas(folder: Path) -> None:
    """Refused where a reader of what is there would break: a change of that kind needs a new topic, not a new file."""
    from streams import schemas

    folder.mkdir(exist_ok=True)
    for name, document in schemas.documents().items():
        path = folder / name
        wrong = schemas.breaking(json.loads(path.read_text()), document) if path.exists() else []
        if wrong:
            sys.exit(f"{path}: not written, because it would break other services: {'; '.join(wrong)}")
        path.write_text(schemas.text_of(document))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
