"""What of a person there may be, where it lies, how long, and who sees it: from the configuration that runs."""

from collections.abc import Sequence
from typing import Any, Final

from streams.client import Settings
from streams.page.devices import Devices
from twin.report.words import LANGUAGES

_TITLES: Final = (
    ("field", "Feld"),
    ("what it is", "was es ist"),
    ("where it lies", "wo es liegt"),
    ("how long", "wie lange"),
    ("who sees it", "wer es sieht"),
)


def privacy(root: str, settings: Settings | None, devices: Devices | None, language: str) -> dict[str, Any]:
    """A table of texts, as `twin.report.tables.for_people` makes them."""
    place = LANGUAGES.index(language)
    rows = [[text[place] for text in row] for row in _rows(root, settings, devices)]
    columns = [{"key": titles[0], "title": titles[place], "kind": "text"} for titles in _TITLES]
    said = _SAID[0] if devices is None or settings is None else _SAID[1]
    title = ("What may relate to a person", "Was sich auf eine Person beziehen kann")[place]
    return {"title": title, "columns": columns, "rows": rows, "said": said[place]}


_SAID: Final = (
    (
        "Nothing can be entered on this page. What machines send may still hold names, if somebody has put them there.",
        "Auf dieser Seite kann nichts eingegeben werden. Was Maschinen senden, kann trotzdem Namen enthalten, wenn "
        "jemand sie dort eingetragen hat.",
    ),
    (
        "Nobody gives a name here, and nothing is sorted, summed or compared by device. Whose device it is stands "
        "nowhere.",
        "Niemand gibt hier einen Namen an, und nichts wird nach Geräten sortiert, summiert oder verglichen. Wem ein "
        "Gerät gehört, steht nirgends.",
    ),
)


def _rows(root: str, settings: Settings | None, devices: Devices | None) -> Sequence[Sequence[tuple[str, str]]]:
    audit = (f"audit root {root}", f"Audit {root}")
    for_ever = ("for ever: the audit forgets nothing", "für immer: das Audit vergisst nichts")
    topic = (
        (("not read", "nicht gelesen"))
        if settings is None
        else (f"topic {settings.topic('events')} at {settings.bootstrap}", f"Topic {settings.topic('events')} bei "
              f"{settings.bootstrap}")
    )  # fmt: skip
    kept = ("as the topic keeps it", "so lange das Topic es behält")
    everybody = ("everybody who reaches this page", "jeder, der diese Seite erreicht")
    known = devices.known if devices is not None else None
    if known is not None and not known.open_look:
        number = len(known.devices)
        everybody = (f"the {number} devices of the file", f"die {number} Geräte der Datei")
    machine = (
        ("events of machines", "Ereignisse der Maschinen"),
        (
            "words, reasons, orders and units as a source sent them",
            "Wörter, Gründe, Aufträge, wie eine Quelle sie sandte",
        ),
        audit,
        for_ever,
        everybody,
    )
    if known is None or settings is None:
        return [machine]
    entering = sum(one.enter for one in known.devices.values())
    days = (f"{known.keep_days} days, then erased", f"{known.keep_days} Tage, dann gelöscht")
    store = (f"file {known.store}", f"Datei {known.store}")
    nobody = ("nobody on this page", "niemand auf dieser Seite")
    return [
        (
            ("by, entered", "by, entered"),
            (
                f"id of one of {entering} devices, and when it entered something",
                f"Kennung eines von {entering} Geräten, und wann dort etwas eingegeben wurde",
            ),
            audit,
            for_ever,
            everybody,
        ),
        (
            ("by, entered", "by, entered"),
            ("the same", "dasselbe"),
            topic,
            kept,
            ("who may read the topic", "wer das Topic lesen darf"),
        ),
        (
            ("note, its hash", "Notiz, ihr Hash"),
            ("a salted SHA-256: no text can be read from it", "ein gesalzener SHA-256, aus dem kein Text lesbar ist"),
            audit,
            for_ever,
            everybody,
        ),
        (
            ("note, its text and salt", "Notiz, Text und Salz"),
            ("what somebody wrote", "was jemand schrieb"),
            store,
            days,
            nobody,
        ),
        (
            ("entries", "Eingaben"),
            ("device, number, stop and reason, so that one sent twice is one",
             "Gerät, Nummer, Stillstand und Grund, damit doppelt Gesendetes eines ist"),
            store,
            days,
            ("the device itself", "das Gerät selbst"),
        ),
        (
            ("token", "Kennwort"),
            ("its hash here, itself in a cookie on the device", "hier der Hash, das Kennwort in einem Cookie am Gerät"),
            ("file of the devices", "Datei der Geräte"),
            ("until it is taken out", "bis es herausgenommen wird"),
            nobody,
        ),
        (
            ("addresses of browsers", "Adressen der Browser"),
            ("are not written down by this page", "schreibt diese Seite nicht auf"),
            ("-", "-"),
            ("-", "-"),
            ("-", "-"),
        ),
        machine,
    ]  # fmt: skip
