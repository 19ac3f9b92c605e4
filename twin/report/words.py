"""The words of page and report, English and German, in one table; and how numbers and times are written in each."""

from fractions import Fraction
from math import floor, log10
from typing import Final

from twin.alert_kinds import KINDS

LANGUAGES: Final = ("en", "de")

# key: (English, German). Time classes and steps under their own names.
WORDS: Final[dict[str, tuple[str, str]]] = {
    "unknown": ("unknown", "unbekannt"),
    "no_rows": ("no data", "keine Daten"),
    "ahead": ("not yet known", "noch nicht bekannt"),
    "off_shift": ("off shift", "außer Schicht"),
    "planned_stop": ("planned stop", "geplanter Stillstand"),
    "no_order": ("no order", "kein Auftrag"),
    "running": ("running", "läuft"),
    "setup": ("setup", "Rüsten"),
    "starved": ("starved", "Materialmangel"),
    "blocked": ("blocked", "Rückstau"),
    "minor_stop": ("minor stop", "Kurzstillstand"),
    "down": ("down", "Stillstand"),
    "maintenance": ("maintenance", "Wartung"),
    "waiting": ("waiting", "wartet"),
    "stopped": ("stopped", "steht"),
    "usage": ("Usage", "Verbrauch"),
    "amount": ("amount", "Menge"),
    "idle": ("idle", "wartend"),
    "off": ("not planned", "nicht geplant"),
    "per_good": ("per good unit", "je Gutteil"),
    "per_produced": ("per unit made", "je gefertigtes Teil"),
    "idle_share": ("idle share", "Anteil wartend"),
    "base_load": ("least quarter hour, per hour", "kleinste Viertelstunde, je Stunde"),
    "peak": ("greatest quarter hour, per hour", "größte Viertelstunde, je Stunde"),
    "usage_note": (
        "By what the station was doing: idle is starved, blocked and waiting. A meter of the line and those of its "
        "stations are not to be added.",
        "Nach dem, was die Station tat: wartend ist Materialmangel, Rückstau und wartet. Ein Zähler der Linie und die "
        "ihrer Stationen sind nicht zu addieren.",
    ),
    "speed": ("lost speed", "Tempoverlust"),
    "quality": ("not good", "nicht gut"),
    "good": ("good parts", "Gutteile"),
    "calendar": ("calendar time", "Kalenderzeit"),
    "site": ("site", "Werk"),
    "line": ("line", "Linie"),
    "station": ("station", "Station"),
    "area": ("area", "Bereich"),
    "shift": ("shift", "Schicht"),
    "day": ("day", "Tag"),
    "week": ("week", "Woche"),
    "order": ("order", "Auftrag"),
    "span": ("span", "Zeitraum"),
    "product": ("product", "Produkt"),
    "plant": ("Plant", "Werk"),
    "wall": ("Wall", "Wand"),
    "why": ("Why this number", "Warum diese Zahl"),
    "handover": ("Handover", "Übergabe"),
    "report": ("Report", "Bericht"),
    "made": ("made", "gefertigt"),
    "made_good": ("good parts made", "Gutteile gefertigt"),
    "ideal": ("ideal so far", "ideal bis jetzt"),
    "lost_parts": ("good parts lost", "verlorene Gutteile"),
    "difference": ("difference", "Differenz"),
    "summed": ("summed", "Summe"),
    "scrap": ("scrap and rework", "Ausschuss und Nacharbeit"),
    "oee": ("OEE", "OEE"),
    "availability": ("availability", "Verfügbarkeit"),
    "performance": ("performance", "Leistung"),
    "quality_ratio": ("quality", "Qualität"),
    "planned": ("planned time", "Planzeit"),
    "waterfall": ("From calendar time to good parts", "Von der Kalenderzeit zu Gutteilen"),
    "pareto": ("Losses by reason", "Verluste nach Grund"),
    "timeline": ("Time of the stations", "Zeit der Stationen"),
    "hours_title": ("Hour by hour", "Stunde für Stunde"),
    "shifts": ("Shifts", "Schichten"),
    "days": ("Days", "Tage"),
    "orders": ("Orders", "Aufträge"),
    "changeovers": ("Changeovers", "Rüstvorgänge"),
    "bottleneck": ("Bottleneck", "Engpass"),
    "health": ("What the figures rest on", "Worauf die Zahlen beruhen"),
    "proof": ("Proof", "Nachweis"),
    "stations": ("Stations", "Stationen"),
    "alerts": ("Alerts", "Meldungen"),
    "open": ("Open", "Offen"),
    "refused": ("Refused events", "Abgelehnte Ereignisse"),
    "not_live": ("not live", "nicht live"),
    "counts_as": ("counts as", "zählt als"),
    "revisions": ("Revisions", "Revisionen"),
    "revision": ("revision", "Revision"),
    "known_since": ("known since", "bekannt seit"),
    "retracted": ("withdrawn", "zurückgezogen"),
    "state": ("word of the machine", "Wort der Maschine"),
    "events": ("Events", "Ereignisse"),
    "file": ("file", "Datei"),
    "command": ("Command", "Befehl"),
    "copy": ("copy", "kopieren"),
    "copied": ("copied", "kopiert"),
    "lost_now": ("good parts lost per hour now", "verlorene Gutteile je Stunde jetzt"),
    "so_far": ("so far", "bis jetzt"),
    "since": ("since", "seit"),
    "stale": (
        "No connection: what you see is old, from",
        "Keine Verbindung: was hier steht, ist alt, von",
    ),
    "kafka_away": ("Kafka does not answer; states are old", "Kafka antwortet nicht; Zustände sind alt"),
    "all_areas": ("all areas", "alle Bereiche"),
    "previous": ("previous", "vorige"),
    "following": ("next", "nächste"),
    "current": ("now", "jetzt"),
    "print": ("report", "Bericht"),
    "figures_as_table": ("as a table", "als Tabelle"),
    "no_lines": ("No line has reported yet.", "Noch keine Linie hat sich gemeldet."),
    "not_counted": ("What counts, and what does not", "Was zählt und was nicht"),
    "calm_title": ("Not producing as planned", "Planmäßig nicht in Produktion"),
    "definitions": ("Definitions", "Definitionen"),
    "step": ("step", "Schritt"),
    "class": ("class", "Klasse"),
    "reason": ("reason", "Grund"),
    "hours": ("hours", "Stunden"),
    "minutes": ("minutes", "Minuten"),
    "parts": ("parts", "Teile"),
    "count": ("count", "Anzahl"),
    "longest": ("longest", "längster"),
    "start": ("start", "Beginn"),
    "end": ("end", "Ende"),
    "from": ("from", "von"),
    "to": ("to", "nach"),
    "biggest": ("biggest loss", "größter Verlust"),
    "share": ("share of the critical path", "Anteil am kritischen Pfad"),
    "interval": ("95 % interval", "95-%-Intervall"),
    "verdict": ("verdict", "Urteil"),
    "undecided": ("undecided", "unentschieden"),
    "no_reason": ("no reason given", "ohne Grund"),
    "none": ("none", "keine"),
    "not_measured": ("not measured", "nicht gemessen"),
    "nothing_planned": ("no planned time", "keine Planzeit"),
    "nothing_made": ("nothing made", "nichts gefertigt"),
    "time": ("time", "Zeit"),
    "kind": ("kind", "Art"),
    "detail": ("detail", "Einzelheit"),
    "value": ("value", "Wert"),
    "characteristics": ("Characteristics", "Merkmale"),
    "control_charts": ("Control charts", "Regelkarten"),
    "defects": ("Defects", "Fehler"),
    "yields": ("Yields", "Ausbeuten"),
    "measure": ("measure", "Messgröße"),
    "unit": ("unit", "Einheit"),
    "units": ("units", "Einheiten"),
    "mean": ("mean", "Mittelwert"),
    "deviation": ("standard deviation", "Standardabweichung"),
    "least": ("least", "kleinster"),
    "greatest": ("greatest", "größter"),
    "cp": ("Cp", "Cp"),
    "cpk": ("Cpk", "Cpk"),
    "cpk_low": ("Cpk from (95 %)", "Cpk von (95 %)"),
    "cpk_high": ("Cpk to", "Cpk bis"),
    "cpm": ("Cpm", "Cpm"),
    "pp": ("Pp", "Pp"),
    "ppk": ("Ppk", "Ppk"),
    "giveaway": ("giveaway a piece", "Überfüllung je Stück"),
    "giveaway_total": ("giveaway in all", "Überfüllung insgesamt"),
    "chart": ("chart", "Karte"),
    "point": ("point", "Punkt"),
    "center": ("centre", "Mittellinie"),
    "signals": ("signals", "Signale"),
    "defect": ("defect", "Fehler"),
    "cumulative": ("cumulative", "kumuliert"),
    "dpu": ("per unit (DPU)", "je Einheit (DPU)"),
    "dpmo": ("per million chances (DPMO)", "je Million Möglichkeiten (DPMO)"),
    "sigma_level": ("sigma level", "Sigma-Niveau"),
    "sigma_level_shifted": ("with shift of 1.5", "mit Verschiebung um 1,5"),
    "fpy": ("first pass (FPY)", "im ersten Durchlauf (FPY)"),
    "rty": ("all stations (RTY)", "alle Stationen (RTY)"),
    "characteristics_note": (
        "Cp, Cpk and Cpm rest on sigma within, of which the limits of the chart are made; Pp and Ppk on all values.",
        "Cp, Cpk und Cpm beruhen auf Sigma innerhalb, aus dem die Grenzen der Karte sind; Pp und Ppk auf allen Werten.",
    ),
    "charts_note": (
        "Out is only what lies beyond a limit. Points of phase I, which make the limits, have none.",
        "Außerhalb ist nur, was jenseits einer Grenze liegt. Punkte der Phase I, die die Grenzen machen, haben keine.",
    ),
    "defects_note": (
        "Units are the parts of the station. A sigma level needs defects: of none there is no level.",
        "Einheiten sind die Teile der Station. Ein Sigma-Niveau braucht Fehler: ohne sie gibt es keines.",
    ),
    "yields_note": (
        "First pass are good parts of all; what is reworked has not passed. RTY is the product of the stations.",
        "Im ersten Durchlauf sind gute Teile von allen; Nacharbeit zählt nicht. RTY ist das Produkt der Stationen.",
    ),
    "offset": ("partition/offset", "Partition/Offset"),
    "provisional": ("provisional", "vorläufig"),
    "settled": ("final", "endgültig"),
    "known_until": ("rows reach to", "Zeilen reichen bis"),
    "revisable": ("can still be revised until", "kann noch revidiert werden bis"),
    "not_revised": ("late events do not change it", "späte Ereignisse ändern nichts daran"),
    "incomplete": ("not complete yet", "noch nicht vollständig"),
    "suspect": (
        "suspect: an ideal cycle time is too long, or parts were counted outside running time",
        "zweifelhaft: eine ideale Taktzeit ist zu lang, oder Teile wurden außerhalb der Laufzeit gezählt",
    ),
    "unknown_share": ("time without data", "Zeit ohne Daten"),
    "without_reason": ("downtime without a reason", "Stillstand ohne Grund"),
    "revised_rows": ("revised rows", "revidierte Zeilen"),
    "suspect_title": ("performance over 100 %", "Leistung über 100 %"),
    "models": ("plant models", "Werksmodelle"),
    "rows_used": ("rows", "Zeilen"),
    "recompute": ("compute it again on your own machine", "auf dem eigenen Rechner nachrechnen"),
    "count_note": (
        "A stop counts where it begins; its minutes are cut at the span. Minutes of stations beside each other are "
        "not minutes of the line.",
        "Ein Stillstand zählt, wo er beginnt; seine Minuten sind am Zeitraum abgeschnitten. Minuten von Stationen "
        "nebeneinander sind keine Minuten der Linie.",
    ),
    "ideal_note": (
        "Ideal: what planned time would have made at ideal speed. It is no target: where the plant file names none, "
        "there is no colour and no verdict.",
        "Ideal: was die Planzeit bei idealem Tempo gefertigt hätte. Das ist kein Ziel: nennt die Werksdatei keines, "
        "gibt es keine Farbe und kein Urteil.",
    ),
    "oee_note": (
        "OEE = availability × performance × quality = ideal time of good parts / planned time. Sums are divided, "
        "ratios are never averaged. The line's figures are those of its constraint.",
        "OEE = Verfügbarkeit × Leistung × Qualität = ideale Zeit der Gutteile / Planzeit. Summen werden geteilt, "
        "Verhältnisse nie gemittelt. Die Zahlen der Linie sind die ihres Engpasses laut Werksdatei.",
    ),
    "no_revise": (
        "The plant file gives no `revise`: a late event is refused and changes no row.",
        "Die Werksdatei nennt kein `revise`: ein spätes Ereignis wird abgelehnt und ändert keine Zeile.",
    ),
    "as_of": ("as known at", "Stand von"),
    "stand": ("as of", "Stand"),
    "policy": ("loss policy", "Verlustregel"),
    "zone": ("times in", "Zeiten in"),
    "operator": ("Operator", "Bediener"),
    "all_reasons": ("all reasons", "alle Gründe"),
    "later": ("later", "später"),
    "correctable_until": ("can be corrected until", "kann korrigiert werden bis"),
    "too_late": ("too late; could be corrected until", "zu spät; konnte korrigiert werden bis"),
    "no_revise_short": (
        "cannot be corrected: the plant file gives no `revise`",
        "nicht korrigierbar: die Werksdatei nennt kein `revise`",
    ),
    "split": ("split", "teilen"),
    "split_at": ("from when on", "ab wann"),
    "split_first": ("before", "davor"),
    "split_then": ("from then on", "danach"),
    "split_do": ("split it", "so teilen"),
    "undo": ("undo", "rückgängig"),
    "undone": ("undone", "rückgängig gemacht"),
    "open_stop": ("goes on", "dauert an"),
    "waiting_to_send": ("waits to be sent", "wartet auf Versand"),
    "entry_sent": ("sent, in the log at", "gesendet, im Log bei"),
    "entry_seen": ("seen as revision", "gesehen als Revision"),
    "entered": ("Entered here", "Hier eingegeben"),
    "stops_without_reason": ("Stops without a reason", "Stillstände ohne Grund"),
    "stops_with_reason": ("Stops with a reason", "Stillstände mit Grund"),
    "minor_bundles": ("Minor stops, by the hour", "Kurzstillstände je Stunde"),
    "minor_stops_of": ("minor stop: one cause?", "Kurzstillstand: eine Ursache?"),
    "device": ("Device", "Gerät"),
    "change": ("change", "ändern"),
    "token": ("Token of this device", "Kennwort dieses Geräts"),
    "token_wrong": ("No device has this token.", "Kein Gerät hat dieses Kennwort."),
    "device_know": ("let this device enter", "dieses Gerät freischalten"),
    "device_unknown": ("this device is not known: it may only look", "Gerät unbekannt: es darf nur ansehen"),
    "device_forget": ("forget this device", "dieses Gerät abmelden"),
    "look_only": ("This device may look, not enter.", "Dieses Gerät darf ansehen, nicht eingeben."),
    "may_enter": ("may enter", "darf eingeben"),
    "no_entering": (
        "Nothing can be entered here: the page was started without devices.",
        "Hier kann nichts eingegeben werden: die Seite wurde ohne Geräte gestartet.",
    ),
    "target_so_far": ("target so far", "Soll bis jetzt"),
    "no_target": ("no target in the plant file", "kein Ziel in der Werksdatei"),
    "shift_ends": ("ends at", "endet um"),
    "order_end": ("done at about", "fertig gegen"),
    "target": ("target", "Soll"),
    "summed_plan": ("difference summed", "Differenz Summe"),
    "ahead_of_plan": ("ahead of the target", "über dem Soll"),
    "behind_plan": ("behind the target", "unter dem Soll"),
    "late": ("late", "zu spät"),
    "charged": ("Losses charged to the cause", "Verluste, der Ursache zugerechnet"),
    "charged_note": (
        "Starved and blocked time is that of the station which stood at that moment, over the buffers; where none "
        "stood, it stays with the one that waited. The minutes sum to the same.",
        "Materialmangel und Rückstau zählen bei der Station, die in dem Augenblick stand, über die Puffer hinweg; wo "
        "keine stand, bei der, die wartete. Die Minuten ergeben dieselbe Summe.",
    ),
    "as_victims": ("as they waited", "wie gewartet wurde"),
    "to_the_cause": ("charged to the cause", "der Ursache zugerechnet"),
    "flow": ("Flow", "Fluss"),
    "path": ("path", "Pfad"),
    "nobody_stood": ("nobody stood", "keine Station stand"),
    "said_unknown": ("time without data: {}", "Zeit ohne Daten: {}"),
    "said_reasons": (
        "of downtime without a reason: {} (at most 4 % says something)",
        "des Stillstands ohne Grund: {} (bis 4 % ist aussagekräftig)",
    ),
    "said_no_minor": (
        "not one minor stop: on a busy line that is a gap in the data, not a clean line",
        "kein einziger Kurzstillstand: auf einer vollen Linie ist das eine Lücke in den Daten, keine saubere Linie",
    ),
    "said_hundred": (
        "performance is {}: the ideal cycle may have been set to the average",
        "die Leistung ist {}: die ideale Taktzeit ist vielleicht der Mittelwert",
    ),
    "said_refused": ("events refused: {}", "abgelehnte Ereignisse: {}"),
    "said_revised": ("rows changed later: {}", "später geänderte Zeilen: {}"),
    "said_models": ("the plant file changed: {} versions", "die Werksdatei wurde geändert: {} Fassungen"),
    "said_well": ("nothing that speaks against the figures", "nichts, was gegen die Zahlen spricht"),
    "mail": ("mail", "Mail"),
    "privacy": ("Privacy", "Datenschutz"),
    "page_title": ("Handover", "Übergabe"),
    "five_losses": ("Five biggest losses", "Die fünf größten Verluste"),
    "note": ("note", "Notiz"),
    "cause": ("caused by", "verursacht von"),
    "note_and_cause": ("note, cause (before the reason)", "Notiz, Ursache (vor dem Grund)"),
    "note_hint": (
        "No names. The log gets a hash of the note; its text can be erased.",
        "Keine Namen. Ins Log kommt ein Hash der Notiz; ihr Text kann gelöscht werden.",
    ),
    "mark": ("mark", "markieren"),
    "together": ("stops, one reason for all", "Stillstände, ein Grund für alle"),
    "bytes": ("what came", "was kam"),
    "longest_at": ("longest, from", "längster, ab"),
    "ideal_time": ("ideal time of what was made", "Idealzeit des Gefertigten"),
    "ideal_cycle": ("ideal cycle of", "Idealzyklus von"),
    "ideal_mean": ("of all that was made, on average", "von allem Gefertigten im Mittel"),
    "took": ("a part took", "ein Teil brauchte"),
    "too_long": (
        "Parts come faster than the ideal cycle: it is too long in the plant file, and OEE too high",
        "Teile kommen schneller als der Idealzyklus: er ist in der Werksdatei zu lang, die OEE zu hoch",
    ),
    "recompute_here": ("compute it again here", "hier neu rechnen"),
    "recomputing": ("computing ...", "rechnet ..."),
    "equal": ("equal: every cell", "gleich: jede Zelle"),
    "differs": ("DIFFERENT", "VERSCHIEDEN"),
    "rows_compared": ("rows compared", "Zeilen verglichen"),
    "events_folded": ("events", "Ereignisse"),
    "link": ("link", "Link"),
    "what_lies_under": ("What lies under it", "Was darunter liegt"),
    "by_minutes": ("by minutes", "nach Minuten"),
    "by_count": ("by count", "nach Anzahl"),
    "all_stations": ("all stations", "alle Stationen"),
    "known_now": ("as known now", "wie jetzt bekannt"),
    "known_then": ("as known then", "wie damals bekannt"),
    "weeks": ("Weeks", "Wochen"),
    "model": ("plant model", "Werksmodell"),
    "not scheduled": ("not scheduled", "nicht geplant"),
    "planned down": ("planned down", "geplant aus"),
    "availability loss": ("availability loss", "Verlust an Verfügbarkeit"),
    "performance loss": ("performance loss", "Verlust an Leistung"),
    "production": ("production", "Produktion"),
    "no data": ("no data", "keine Daten"),
    "of_the_span": ("share of the span", "Anteil am Zeitraum"),
    "trend": ("What was before", "Was davor war"),
    "trend_note": (
        "Width is planned time, height OEE; the line across is the target. A mark is another plant model.",
        "Breite ist Planzeit, Höhe OEE; die Linie quer ist das Soll. Eine Marke ist ein anderes Werksmodell.",
    ),
    "live": ("live", "live"),
    "search": ("search a line", "Linie suchen"),
    "stops_open": ("stops without a reason", "Stillstände ohne Grund"),
    "reading": ("reading the audit ...", "liest das Audit ..."),
    "no_quantity": ("its end is not known: it names no quantity", "Ende unbekannt: ohne Menge"),
    "no_pace": ("its end is not known at this pace", "Ende unbekannt bei diesem Tempo"),
    "best": ("best", "bester"),
    "usual": ("usual", "üblich"),
    "silent_for": ("silent for", "still seit"),
    "remarks": ("Remarks", "Bemerkungen"),
    "left_out": ("left out here", "hier weggelassen"),
    **{f"alert_{kind.name}": kind.title for kind in KINDS.values()},
}


def word(key: str, language: str) -> str:
    """In this language; what is not in the table is a text of the plant, and stands as it is."""
    pair = WORDS.get(key)
    return key if pair is None else pair[LANGUAGES.index(language)]


def number(value: float | Fraction | None, digits: int, language: str) -> str:
    """Rounded half to even at the last digit shown; a dash where there is none."""
    if value is None:
        return "–"
    text = f"{float(value):,.{digits}f}" if digits else f"{round(value):,}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text


def significant(value: float, language: str, digits: int = 4) -> str:
    """A measured value: so many digits that say something, none of the whole part dropped."""
    if value == 0:
        return "0"
    return number(value, max(0, digits - 1 - floor(log10(abs(value)))), language)


def percent(value: float | None, language: str, digits: int = 1) -> str:
    return "–" if value is None else f"{number(100 * value, digits, language)} %"


def hours_of(ns: int, language: str) -> str:
    return number(Fraction(ns, 3_600_000_000_000), 2, language)


def clock_of(ns: int) -> str:
    """Hours and minutes, "5:06"."""
    minutes = round(Fraction(ns, 60_000_000_000))
    return f"{minutes // 60}:{minutes % 60:02d}"


def minutes_of(ns: int, language: str) -> str:
    return number(Fraction(ns, 60_000_000_000), 1, language)
