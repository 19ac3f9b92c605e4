"""Why an event was refused (`detail` of `rejected`), in German. What is not known here stays as it is: the words of a
library, and what the reader of a log says, whose user has its mapping before him."""

import re
from typing import Final

_KINDS: Final = {
    "an object": "ein Objekt",
    "an array": "eine Liste",
    "a text": "ein Text",
    "true or false": "wahr oder falsch",
    "an integer": "eine ganze Zahl",
    "a number with a fraction": "eine Zahl mit Nachkommastellen",
    "a number": "eine Zahl",
    "an integer (ns since 1970) or RFC 3339 text": "eine ganze Zahl (ns seit 1970) oder ein Text nach RFC 3339",
    "none": "keine",
    "seconds": "Sekunden",
    "milliseconds": "Millisekunden",
    "microseconds": "Mikrosekunden",
    "picoseconds": "Pikosekunden",
    "minutes": "Minuten",
    "days since 1900 (a spreadsheet's)": "Tage seit 1900 (einer Tabellenkalkulation)",
    "ticks of 100 ns since 1970": "Schritte von 100 ns seit 1970",
    "ticks of 100 ns since 1601 (Windows FILETIME)": "Schritte von 100 ns seit 1601 (Windows FILETIME)",
    "ticks of 100 ns since the year 1 (.NET)": "Schritte von 100 ns seit dem Jahr 1 (.NET)",
}
# The longer ones first: a shorter one would take them for its own.
_SENTENCES: Final = {
    "older than what the line still keeps (newest event less `lateness`, less `revise`)": "älter, als die Linie noch "
    "aufhebt (neuestes Ereignis weniger `lateness`, weniger `revise`)",
    "more parts than the station can make in a year, or over 1,000,000,000": "mehr Teile, als die Station in einem "
    "Jahr machen kann, oder über 1.000.000.000",
    "of an epoch before the station's newest one": "aus einer Epoche vor der neuesten der Station",
    "ahead of the line by more than max_jump or 30 min, or its first, and no later event confirmed it": "der Linie um "
    "mehr als max_jump oder 30 min voraus, oder ihr erstes, und kein späteres hat es bestätigt",
    "{} events of the line wait for its time to move on, or {} corrections of it stand": "{} Ereignisse der Linie "
    "warten, dass ihre Zeit weitergeht, oder {} Korrekturen von ihr bestehen",
    "no such event of the station is kept; give the line a `revise` time": "ein solches Ereignis der Station ist nicht "
    "aufgehoben; der Linie eine `revise`-Zeit geben",
    "nested too deep": "zu tief verschachtelt",
    "nested deeper than {} levels": "tiefer als {} Ebenen verschachtelt",
    "empty record": "leerer Record",
    "not JSON as an event has it; a key given twice?": "kein JSON, wie ein Ereignis es hat; ein Schlüssel doppelt?",
    "not JSON: {}": "kein JSON: {}",
    "a text holds half a surrogate pair, which is no text": "ein Text enthält ein halbes Ersatzpaar, das ist kein Text",
    "{} bytes in one JSON record, at most {} are taken: send several, or Arrow": "{} Byte in einem JSON-Record, "
    "höchstens {} werden genommen: mehrere senden, oder Arrow",
    "{} bytes in one Arrow record, at most {} are taken: send several": "{} Byte in einem Arrow-Record, höchstens {} "
    "werden genommen: mehrere senden",
    "{} events in one record, at most {} are taken: send several": "{} Ereignisse in einem Record, höchstens {} werden "
    "genommen: mehrere senden",
    "over {} events in one record: send several": "über {} Ereignisse in einem Record: mehrere senden",
    "event of line {} in a record {}; key each record by its line": "Ereignis der Linie {} in einem Record {}; jeder "
    "Record braucht die Linie als Schlüssel",
    "an event is a JSON object, this is {}": "ein Ereignis ist ein JSON-Objekt, dies ist {}",
    "type is missing: one of {}": "type fehlt: eines von {}",
    "{} is given alone: a counter has counter and value": "{} steht allein: ein Zähler hat counter und value",
    "product is missing, of which {} is said": "product fehlt, von dem {} gesagt wird",
    "{} is missing": "{} fehlt",
    "{} holds half a surrogate pair, which is no text": "{} enthält ein halbes Ersatzpaar, das ist kein Text",
    "{} is unknown: one of {}": "{} ist unbekannt: eines von {}",
    "{} has {} characters, at most {} are taken": "{} hat {} Zeichen, höchstens {} werden genommen",
    "{} is empty": "{} ist leer",
    "{} and {}: a count is parts or a counter, not both": "{} und {}: eine Zählung ist Teile oder ein Zähler, nicht "
    "beides",
    "a count has good, scrap or rework, or counter and value": "eine Zählung hat good, scrap oder rework, oder counter "
    "und value",
    "a count with a defect has scrap or rework: the parts that have it": "eine Zählung mit einem Fehler hat scrap oder "
    "rework: die Teile, die ihn haben",
    "note is no SHA-256 as 64 hexadecimal digits: hash the note with a salt, and keep both apart": "note ist kein "
    "SHA-256 als 64 hexadezimale Ziffern: die Notiz mit einem Salz hashen und beides getrennt aufheben",
    "a product has an ideal_cycle or a rate, or a factor": "ein Produkt hat ideal_cycle oder rate, oder factor",
    "{} of what never was: an undo says nothing else of the event": "{} von etwas, das nie war: ein undo sagt sonst "
    "nichts über das Ereignis",
    "{} of a stop: a stop has a reason and a state": "{} eines Stillstands: ein Stillstand hat reason und state",
    "a correction of a stop has a reason or a state": "die Korrektur eines Stillstands hat reason oder state",
    "a correction has at least one of reason, state, good, scrap, rework": "eine Korrektur hat wenigstens eines von "
    "reason, state, good, scrap, rework",
    "line {} is not in the plant: {}": "Linie {} steht nicht in der Werksdatei; es gibt {}",
    "cause {}: line {} has no such station: {}": "cause {}: Linie {} hat keine solche Station; es gibt {}",
    "line {} has no station {}: {}": "Linie {} hat keine Station {}; es gibt {}",
    "station {} of line {} has no state {}: {}": "Station {} der Linie {} hat keinen Zustand {}; es gibt {}",
    "station {} of line {} has no counter {}: {}": "Station {} der Linie {} hat keinen Zähler {}; es gibt {}",
    "station {} of line {} has no defect {}: {}": "Station {} der Linie {} hat keinen Fehler {}; es gibt {}",
    "station {} has no measure {}: {}": "Station {} hat keine Messgröße {}; es gibt {}",
    "line {} has no measure {}: {}": "Linie {} hat keine Messgröße {}; es gibt {}",
    "line {} has no buffer {}: {}": "Linie {} hat keinen Puffer {}; es gibt {}",
    "level {} of buffer {} is over {}": "Füllstand {} des Puffers {} ist über {}",
    "value {} of counter {} is over {}": "Wert {} des Zählers {} ist über {}",
    "{} is before {}, read as ns since 1970; it looks like {} ({}): send ns, or RFC 3339 text": "{} liegt vor {}, "
    "gelesen als ns seit 1970; es sieht aus wie {} ({}): ns senden, oder Text nach RFC 3339",
    "{} is before {}, read as ns since 1970 ({}): set the source's clock; the plant's key `earliest` allows older logs":
    "{} liegt vor {}, gelesen als ns seit 1970 ({}): die Uhr der Quelle stellen; der Schlüssel `earliest` der "
    "Werksdatei erlaubt ältere Logs",
    "{} is before {}, read as ns since 1970: send ns since 1970, or RFC 3339 text": "{} liegt vor {}, gelesen als ns "
    "seit 1970: ns seit 1970 senden, oder Text nach RFC 3339",
    "{} is in 2200 or later, read as ns since 1970; it looks like {} ({}): send ns, or RFC 3339 text": "{} liegt im "
    "Jahr 2200 oder später, gelesen als ns seit 1970; es sieht aus wie {} ({}): ns senden, oder Text nach RFC 3339",
    "{} is in 2200 or later, read as ns since 1970: send ns since 1970, or RFC 3339 text": "{} liegt im Jahr 2200 oder "
    "später, gelesen als ns seit 1970: ns seit 1970 senden, oder Text nach RFC 3339",
    "{} is not in {}..{}": "{} liegt nicht in {} bis {}",
    "invalid UTF-8 at byte {}": "ungültiges UTF-8 bei Byte {}",
    "{}: not RFC 3339: write {}": "{}: nicht nach RFC 3339: {} schreiben",
    "{} is {}, not a whole number written as one, not {}": "{} ist {}, keine als solche geschriebene ganze Zahl, nicht "
    "{}",
    "{} is {}, not {}": "{} ist {}, nicht {}",
}  # fmt: skip


def refusal_in_german(detail: str) -> str:
    """One sentence; ids and numbers in it stay as they are."""
    for pattern, german in _GERMAN:
        if (found := pattern.fullmatch(detail)) is not None:
            return german.format(*(_KINDS.get(one, one) for one in found.groups()))
    return detail


_GERMAN: Final = [
    (re.compile(re.escape(english).replace(r"\{\}", "(.*?)"), re.DOTALL), german)
    for english, german in _SENTENCES.items()
]
