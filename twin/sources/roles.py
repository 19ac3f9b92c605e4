"""What columns may mean, by their names and cells, and what words of states may mean."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources.values import Numbers, stands_for_nothing, to_number

I64 = npt.NDArray[np.int64]

# By role, the words (whole, or the last one of a name) that tell it; English, German, French, Spanish, Italian.
ROLES: Final = {
    "station": "station machine maschine machineid equipment asset arbeitsplatz arbplatz workplace workcenter "
    "workstation resource anlage device cell unitname poste maquina macchina equipo who masch mach maschinennummer",
    "line": "line linie productionline ligne linea",
    "state": "state status statustext zustand execution machinestate mode estado stato etat \u00e9tat availability "
    "runstate",
    "reason": "reason grund ursache cause alarm fault stoerung st\u00f6rung motivo causa why reasontext downtimereason "
    "beschreibung description meldetext alarmtext comment kommentar",
    "order": "order auftrag batch lot charge workorder orderid orderno jobid ordine orden commande prozessauftrag "
    "batchid batchno lotno fa",
    "product": "product article artikel material item sku recipe rezept code partno partnumber producto prodotto "
    "produit",
    "good": "good gut ok produced produziert output yield parts count goodcount goodparts qty quantity menge "
    "st\u00fcck stueck stk st\u00fcckzahl stueckzahl z\u00e4hler zaehler counter pieces gutmenge gutteile "
    "items totalcount partcount partcountact bons buenas buoni made ist",
    "scrap": "scrap ausschuß waste reject rejects rejected rejectcount ausschuss nok bad badcount defects badparts "
    "schlecht scrapcount rebuts rechazo scarti ausschussmenge nio",
    "rework": "rework nacharbeit reworked",
    "unit": "unit serial serialno piece part partid job jobid sn seriennummer pieza",
    "speed": "speed rate tempo rpm drehzahl geschwindigkeit spd vitesse velocidad takt",
    "begin": "start begin begun beginn starttime von from started inicio debut d\u00e9but begintime anfang startzeit",
    "end": "end finish finished ende endtime bis to stop stopped fin fine until endzeit completed",
    "seq": "seq sequence no nr number rowid recordid lfdnr id",
    "tag": "tag tagname varname name variable point signal item tagpath",
    "value": "value val varvalue wert vvalue numval",
    "quality": "quality qualitydetail opcquality validity quality_detail good g\u00fcltig statuscode qualitycode",
    "duration": "duration dauer cycletime cycletimeseconds zykluszeit taktzeit laufzeit runtime dur\u00e9e "
    "duracion durata",
    "result": "result ergebnis verdict outcome passfail testresult resultat r\u00e9sultat esito resultado",
    "phase": "eventtype event phase type activity action",
}
WORDS: Final = {role: frozenset(words.split()) for role, words in ROLES.items()}
_CLASSES: Final = (
    ("unknown", "unavailable unknown offline disconnected noconnection unbekannt comm_lost"),
    ("setup", "setup rüsten ruesten changeover umrüsten reglage cambio prep preparing"),
    ("maintenance", "maintenance wartung maint service mantenimiento"),
    ("starved", "starved starving nomaterial noparts materialmangel waitinfeed"),
    ("blocked", "blocked backup outfeedfull stau jammeddownstream"),
    ("planned_stop", "break pause pausa planned plannedstop lunch"),
    ("waiting", "attesa espera attente ready idle wait waiting standby wartet warten bereit hold held idling"),
    (
        "running",
        "running run runs active auto automatic producing production produktion execute executing on working work busy "
        "processing in_cycle incycle cutting läuft laeuft lauft lauf betrieb operation operating "
        "marche marcha marcia funcionando produzione produccion lavoro 1 true",
    ),
    (
        "stopped",
        "stopped stop stops off down fault faulted alarm error failure störung stoerung steht halt aborted interrupted "
        "feed_hold emergency estop breakdown arret arr\u00eat panne paro parada fermo guasto avaria averia jammed 0 "
        "false",
    ),
)
CLASSES: Final = {word: name for name, words in _CLASSES for word in words.split()}

_TRAILING: Final = ("id", "name", "no", "nr", "code", "number", "num")
# How compounds end that tell a role: Störbeginn, Schichtende.
_COMPOUNDS: Final = {"begin": ("beginn", "anfang"), "end": ("ende",)}
# How often something happened is no number of parts, nor is how many were asked for.
_NO_PARTS_WORDS: Final = (
    "occurrence occurrences event events stop stops stoppage stoppages downtime alarm alarms fault faults error errors "
    "st\u00f6rungen stoerungen stillst\u00e4nde stillstaende plan planned plann\u00e9e target goal order ordered "
    "required expected soll geplant bestellt ziel pr\u00e9vu prevu previsto prevista planificado objetivo"
)
_NO_PARTS: Final = frozenset(_NO_PARTS_WORDS.split())
# Tell a role as a whole name only, of a column that counts on: an energy counter counts no parts, nor does the counter
# of a confirmation.
ALONE: Final = frozenset({"z\u00e4hler", "zaehler", "counter"})
# Of parts: what says that these are good ones, and what that they are all of them.
_GOOD_ONES: Final = frozenset(
    {"good", "gut", "ok", "goodcount", "goodparts", "gutmenge", "gutteile", "bons", "buenas", "buoni"}
)
_ALL: Final = ("total", "gesamt")
# Roles that the last word of a name tells: a machine failure is no machine.
_LAST: Final = ("station", "line", "order", "product", "unit", "tag", "value", "seq")


def tokens(name: str) -> list[str]:
    """A name's words in lower case: `GoodCount_A1` is good, count, a1."""
    apart = re.sub(r"(?<=[a-z\u00df-\u00ff])(?=[A-Z])", " ", name)
    return [part.lower() for part in re.split(r"[^\w]+|_", apart) if part]


def role_of(name: str, roles: Sequence[str]) -> str | None:
    """The first of these roles that a column's name tells, whole or by one of its words."""
    parts = tokens(name)
    whole = "".join(parts)
    roles = [role for role in roles if role != "good" or not _NO_PARTS & set(parts)]
    for role in roles:
        if whole in WORDS[role]:
            return role
    while len(parts) > 1 and parts[-1] in _TRAILING:
        parts.pop()
    for role in roles:
        if role in _COMPOUNDS and any(part.endswith(_COMPOUNDS[role]) for part in parts):
            return role
        if any(part in WORDS[role] - ALONE for part in (parts[-1:] if role in _LAST else parts)):
            # "Scrap count" is a count, but none of good parts.
            if role == "good" and any(part in WORDS[other] for part in parts for other in ("scrap", "rework")):
                continue
            return role
    return None


def good_rank(name: str) -> int:
    """Of columns of good parts the one to prefer has the least: good ones by name, parts, all parts."""
    parts = tokens(name)
    if _GOOD_ONES & set(parts):
        return 0
    return 2 if any(part.startswith(_ALL) for part in parts) else 1


def may_count_on(values: I64) -> bool:
    """Whether numbers that are no readings of one counter rise as if it began anew now and then."""
    steps = np.diff(values)
    steps = steps[steps != 0]
    return len(steps) >= 4 and float((steps > 0).mean()) >= 0.75


def class_of(word: str, among: Sequence[str] = ()) -> tuple[str, bool]:
    """The class a state's word may mean, and whether a word of it tells so; `among` all words of the column.

    0 and 1 tell it where there is no other number: among several they are codes, whose meaning no file says.
    """
    number = to_number(word.replace(",", "."))
    if number is not None:
        name = CLASSES.get(str(number), "stopped")
        others = {to_number(one.replace(",", ".")) for one in among} - {None, Fraction(0), Fraction(1)}
        return name, not others and number in (0, 1)
    parts = tokens(word)
    for part in ("_".join(parts), "".join(parts), *parts):
        if part in CLASSES:
            return CLASSES[part], True
    return "stopped", False


def whole_numbers(cells: Sequence[str], numbers: Numbers) -> I64 | None:
    """The cells as whole numbers of at least 0, blanks left out; None where they are something else."""
    found = []
    for cell in cells:
        if stands_for_nothing(cell):
            continue
        number = numbers.read(cell)
        if number is None or number.denominator != 1 or not 0 <= number < 2**62 or numbers.unsure(cell):
            return None
        found.append(int(number))
    return np.array(found, np.int64) if found else None


def counts_on(values: I64) -> bool:
    """Whether numbers are readings of one counter rather than parts of each row: they hardly ever fall."""
    steps = np.diff(values)
    if len(values) < 3 or not (steps > 0).any():
        return bool(len(values) >= 3 and values[0] > 0 and not steps.any())
    falls = float((steps < 0).mean())
    rise = float(steps[steps > 0].mean())
    return falls < 0.02 and (len(values) >= 20 or values[0] >= 10 * rise or falls == 0 < (steps == 0).sum())
