"""What rows say in English sentences (`detail` of alerts), in German. What is not known here stays as it is."""

import re
from collections.abc import Callable
from typing import Final

from kernels.fold import layout as at
from twin.line.doubts import FACTS, WHAT
from twin.measures.integral import DOUBT_GAP

_SENTENCES: Final[dict[int, str]] = {
    at.DOUBT_READING: "ein Wert des Zählers {} wurde nicht geglaubt und nicht gezählt: nichts kann ihn erzeugt haben, "
    "und der nächste Wert hat ihn nicht bestätigt; das Gateway prüfen",
    at.DOUBT_STEP: "Zähler {} stieg schneller, als der Idealzyklus erlaubt, und wurde nach einem zweiten Wert "
    "geglaubt; `ideal_cycle` berichtigen oder `fastest_cycle` angeben",
    at.DOUBT_BASELINE: "Zähler {} ging von einem Wert aus weiter, den seit dem Wert davor nichts erzeugt haben kann: "
    "dieser Schritt wurde nicht gezählt; wurde er gefertigt, `ideal_cycle` berichtigen oder `fastest_cycle` angeben",
    at.DOUBT_ORDER_NAMED: "Teile des Auftrags {} wurden gezählt, während ihre Station nicht an ihm arbeitete: sie "
    "stehen in keinem Auftrag; den Beginn des Auftrags vor ihnen senden, oder als spätes Ereignis an eine Linie, die "
    "revidiert",
    at.DOUBT_ORDER_END: "Auftrag {} endete und war nicht offen",
    at.DOUBT_ORDER_REPEATED: "Auftrag {} begann, während er offen war: als derselbe Beginn genommen, noch einmal "
    "gesendet",
    at.DOUBT_PRODUCT: "Produkt {} steht nicht in der Werksdatei: es zählt der Idealzyklus der Station; das Produkt "
    "aufnehmen oder seinen Namen berichtigen",
    at.DOUBT_DECLARED: "Produkt {} wurde anders gemeldet, als es in der Werksdatei steht: die Datei gilt; das Produkt "
    "herausnehmen, wo die Ereignisse es sagen sollen, oder eines von beiden berichtigen",
    at.DOUBT_FACTOR: "Produkt {} wurde mit einem Faktor gemeldet, auf einer Linie ohne Einheiten: er zählt nicht; der "
    "Linie eine Einheit geben und ihren Stationen ihre Faktoren",
    at.DOUBT_FORGOTTEN: "Produkt {} wurde gemeldet und von sehr vielen am längsten nicht gebraucht: es ist vergessen; "
    "seinen Idealzyklus mit den Aufträgen senden oder in die Werksdatei aufnehmen",
    at.DOUBT_GOOD: "an einer Station wurden Gutteile gezählt, deren Zyklen oder Zähler aller Teile sie schon zählen: "
    "sie wurden weggelassen; nur Ausschuss und Nacharbeit senden",
    at.DOUBT_CYCLES: "Zyklen widersprechen den Puffern (ein Beginn ohne Teil oder vor dem letzten Ende, ein Ende ohne "
    "Beginn): Rückstau, Materialmangel und der kritische Pfad sind zweifelhaft; Plätze und Anfangsbestände in der "
    "Werksdatei prüfen, und ob jede Station zwischen Puffern ihre Zyklen sendet",
    at.DOUBT_UNHEARD: "nie etwas gehört, also die ganze Zeit unbekannt; prüfen, wie ihre Quelle sie nennt, oder sie "
    "aus der Werksdatei nehmen",
    at.DOUBT_UNITS: "Stationen zählen wahrscheinlich Verschiedenes, also sind Engpass und OTE zweifelhaft; `twin plant "
    "check` sagt, welche: der Linie eine Einheit geben und jeder Station ihre Einheit und ihren Faktor",
    at.DOUBT_METER: "ein Stand des Zählers {} wurde nicht geglaubt und nicht gezählt: er fiel, oder stieg schneller, "
    "als `most_per_hour` erlaubt, und der nächste Stand hat ihn nicht bestätigt; das Gateway prüfen",
    at.DOUBT_METER_LEFT: "Zähler {} ging von einem anderen Stand aus weiter, wie einer, der getauscht oder gestellt "
    "wurde: was er dazwischen maß, ist nicht bekannt und nicht gezählt",
    DOUBT_GAP: "das Messgerät von {} wurde länger als seine `gap` nicht gelesen: von dieser Zeit ist nichts darin; "
    "suchen, was seine Werte aufhält, oder `gap` erhöhen",
    at.NOTE_ORDER_STARTED: "Auftrag {} begann noch einmal, nachdem er beendet war: er hat für jedes Mal eine Zeile",
}
_OF_SOURCES: Final[dict[int, str]] = {
    at.TOLD_LATE: "Ereignisse kamen später, als `lateness` erlaubt, oder unter einer alten Epoche: sie werden "
    "abgelehnt, oder sie revidieren, wo die Linie eine `revise`-Zeit hat; `lateness` erhöhen oder suchen, was sie "
    "aufhält",
    at.TOLD_REPEATS: "laufende Nummern kamen noch einmal, und ihre Ereignisse zählen nicht: nach einer Unterbrechung "
    "erneut gesendet, was gut ist, oder von zwei Sendern, was es nicht ist",
    at.TOLD_GAPS: "laufende Nummern fehlen: zwischen Quelle und Zwilling gingen Ereignisse verloren; ihr Gateway "
    "prüfen",
    at.TOLD_SKEW: "Ereignisse liegen immer hinter dem neuesten der Linie: ihre Uhr geht um so viele Sekunden nach, "
    "oder eine andere der Linie geht vor; die Uhren stellen oder `lateness` erhöhen",
}


_RULES: Final = {
    "beyond": "jenseits der Grenze",
    "WE1": "ein Punkt jenseits von 3 Sigma",
    "WE2": "zwei von drei jenseits von 2 Sigma auf einer Seite",
    "WE3": "vier von fünf jenseits von 1 Sigma auf einer Seite",
    "WE4": "acht in Folge auf einer Seite",
    "N1": "ein Punkt jenseits von 3 Sigma",
    "N2": "neun in Folge auf einer Seite",
    "N3": "sechs in Folge steigend oder fallend",
    "N4": "vierzehn abwechselnd auf und ab",
    "N5": "zwei von drei jenseits von 2 Sigma auf einer Seite",
    "N6": "vier von fünf jenseits von 1 Sigma auf einer Seite",
    "N7": "fünfzehn in Folge innerhalb von 1 Sigma",
    "N8": "acht in Folge jenseits von 1 Sigma, auf beiden Seiten",
}
_OTHERS: Final = {
    "{} of {} for {} good parts, product {}": "{} von {} für {} Gutteile, Produkt {}",
    "{} of {} for {} good parts": "{} von {} für {} Gutteile",
    "{} of {} for {} good of {} parts, product {}": "{} von {} für {} Gutteile von {} Teilen, Produkt {}",
    "{} of {} for {} good of {} parts": "{} von {} für {} Gutteile von {} Teilen",
    "{} of {} while it was idle": "{} von {}, während sie wartete",
    "limits of {} were made of points {} to {}, and of these points {} lie beyond them: look for the cause, and "
    "exclude what has one or declare limits in the plant file": "die Grenzen von {} wurden aus den Punkten {} bis {} "
    "gemacht, und von diesen liegen die Punkte {} jenseits: die Ursache suchen, und ausschließen, was eine hat, oder "
    "Grenzen in der Werksdatei angeben",
    "limits of {} were made of points {} to {}, and of these point {} lies beyond them: look for the cause, and "
    "exclude what has one or declare limits in the plant file": "die Grenzen von {} wurden aus den Punkten {} bis {} "
    "gemacht, und von diesen liegt Punkt {} jenseits: die Ursache suchen, und ausschließen, was eine hat, oder Grenzen "
    "in der Werksdatei angeben",
    "plant model {} replaces {}": "Werksmodell {} ersetzt {}",
    "the line is not in plant model {}: its open rows end here": "die Linie steht nicht in Werksmodell {}: ihre "
    "offenen Zeilen enden hier",
    "{}: new, unknown until now": "{}: neu, bis jetzt unbekannt",
    "{}: no more, its rows end here": "{}: nicht mehr da, die Zeilen enden hier",
    "{}: a new window, in which the time before counts as unknown": "{}: ein neues Fenster, in dem die Zeit davor "
    "unbekannt ist",
    "the critical path begins anew": "der kritische Pfad beginnt neu",
    "the shift ends, which the calendar does not know any more": "die Schicht endet, die der Kalender nicht mehr kennt",
    "{} waiting events of what is no more are not counted": "{} wartende Ereignisse von dem, was nicht mehr da ist, "
    "zählen nicht",
}


def in_german(detail: str) -> str:
    """One sentence of ours or several with "; " between them."""
    made: list[str] = []
    rest = detail
    while rest:
        for pattern, german in _GERMAN:
            if (found := pattern.match(rest)) is not None:
                made.append(german(found))
                rest = rest[found.end() :]
                break
        else:
            return "; ".join([*made, rest])
    return "; ".join(made)


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.escape(sentence).replace(r"\{\}", "(.*?)") + r"(?:; |$)", re.DOTALL)


def _filled(german: str) -> Callable[[re.Match[str]], str]:
    return lambda found: german.format(*found.groups())


def _rule(found: re.Match[str]) -> str:
    about, rule, first, last = found["about"], found["rule"], found["first"], found["last"]
    head = f"{found['chart']}-Karte von {about}: " if about else ""
    where = f"Punkt {first}" if last is None else f"den Punkten {first} bis {last}"
    return f"{head}{_RULES.get(rule, rule)} ({rule}) an {where}"


_CHART: Final = re.compile(
    r"(?:(?P<chart>\w+) chart of (?P<about>.*?): )?[a-z0-9 ,]+ \((?P<rule>\w+)\) at points? (?P<first>\d+)"
    r"(?: to (?P<last>\d+))?(?:; |$)",
    re.DOTALL,
)
_GERMAN: Final[list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]] = [
    *((_pattern(WHAT[key]), _filled(german)) for key, german in _SENTENCES.items()),
    *((_pattern(FACTS[key][1]), _filled(german)) for key, german in _OF_SOURCES.items()),
    *((_pattern(english), _filled(german)) for english, german in _OTHERS.items()),
    (_CHART, _rule),
]
