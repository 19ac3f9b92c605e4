"""Exports made after vendors' own pages, each with the figures that are right: seconds by class, good parts, scrap."""

import random
from collections import defaultdict
from datetime import datetime, timedelta

Made = tuple[str, list[tuple[dict[str, int], int, int]]]
T0 = datetime(2026, 3, 4, 22, 0, 0)  # noqa: DTZ001 # by the wall clock of a works


def downtime_table() -> Made:
    """Sepasoft OEE, downtime table (docs.sepasoft.com): newest first, one stop a row, the last one goes on.

    Each row has an Occurrence Count of 1 and a reason, so it may be taken for a part that was made.
    """
    chance, stops = random.Random(84), []  # noqa: S311  repeatable
    for name in ("Filler", "Labeler", "Casepacker"):
        at = T0 + timedelta(seconds=chance.randrange(100, 900))
        for _ in range(14):
            end = at + timedelta(seconds=chance.choice((chance.randrange(20, 240), chance.randrange(300, 3_000))))
            stops.append((at, end, name, chance.choice(("Jam", "No Product", "Guard Open"))))
            at = end + timedelta(seconds=chance.randrange(300, 5_400))
    stops.sort()
    seconds: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    rows, last = [], dict[str, datetime]()
    for k, (at, end, name, why) in enumerate(stops):
        if name in last:
            seconds[name]["running"] += int((at - last[name]).total_seconds())
        goes_on = k == len(stops) - 1
        if not goes_on:
            seconds[name]["stopped"] += int((end - at).total_seconds())
        last[name] = end
        form = "%b %d, %Y %I:%M:%S %p"
        path = f"Acme\\Packaging\\Line 1\\{name}"
        length = f"{(end - at).total_seconds() / 60:.2f}"
        cells = [
            f"{at:{form}}",
            "" if goes_on else f"{end:{form}}",
            path,
            path,
            name,
            why,
            "12",
            length,
            "false",
            "",
            "1",
        ]
        rows.append(",".join(f'"{cell}"' for cell in [*cells, str(1_000 + k)]))
    head = (
        '"Begin","End","Equipment Path","Original Equipment Path","Equipment Name","Reason","Code","Duration",'
        '"Is Short Stop","Note","Occurrence Count","Sequence No"'
    )
    return "\n".join([head, *reversed(rows)]) + "\n", [(dict(one), 0, 0) for one in seconds.values()]


def historian() -> Made:
    """GE Historian, ETL extract (gevernova.com, r_data_file_format): no header, seconds and nanoseconds with a colon
    between, tag by tag."""
    chance, rows, found = random.Random(85), [], []  # noqa: S311  repeatable
    begin = 1_772_694_000
    for name in ("P1", "P2"):
        at, code = 0, 1
        good, bad = chance.randrange(900, 5_000), chance.randrange(10, 90)
        seconds: dict[str, int] = defaultdict(int)
        tags: dict[str, list[tuple[int, int]]] = {"STATE": [], "GOODCOUNT": [(0, good)], "REJECTCOUNT": [(0, bad)]}
        for k in range(13):
            length = chance.randrange(200, 4_000) if code == 1 else chance.randrange(20, 600)
            tags["STATE"].append((at, code))
            for tick in range(at + 60, at + length, 60) if code == 1 and k < 12 else ():
                good, bad = good + chance.randrange(8, 13), bad + int(chance.random() < 0.1)
                tags["GOODCOUNT"].append((tick, good))
                tags["REJECTCOUNT"].append((tick, bad))
            if k < 12:
                seconds["running" if code == 1 else "stopped"] += length
            at, code = at + length, chance.choice((2, 3)) if code == 1 else 1
        for tag, values in tags.items():
            part = 0 if tag == "STATE" else 76_000_000
            rows += [f"{begin + second}:{part},PLANT.{name}.{tag},{value},int,GOOD" for second, value in values]
        counts = [tags[tag][-1][1] - tags[tag][0][1] for tag in ("GOODCOUNT", "REJECTCOUNT")]
        found.append((dict(seconds), counts[0], counts[1]))
    return "\n".join(rows) + "\n", found


def machine_states() -> Made:
    """A German MDE (fields as MPDV Hydra hands them over): machine by machine, date and time of begin and end apart,
    over midnight, codes beside their words, thousands with a point, hours with a comma, an order per machine."""
    chance, rows, found = random.Random(86), [], []  # noqa: S311  repeatable
    classes = {"Produktion": "running", "Störung": "stopped", "Rüsten": "setup", "Pause": "planned_stop"}
    codes = {word: k for k, word in enumerate(classes, start=1)}

    def german(value: float, digits: int = 0) -> str:
        return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))

    for machine in ("4711", "4712"):
        at, word, order = T0, "Produktion", 900_100 + int(machine) * 10
        seconds: dict[str, int] = defaultdict(int)
        good = bad = 0
        for _ in range(24):
            length = chance.randrange(1_200, 9_000) if word == "Produktion" else chance.randrange(60, 1_500)
            made, scrap = (
                (length * chance.randrange(90, 110) // 100, chance.randrange(16)) if word == "Produktion" else (0, 0)
            )
            end = at + timedelta(seconds=length)
            times = f"{at:%d.%m.%Y;%H:%M:%S};{end:%d.%m.%Y;%H:%M:%S}"
            rows.append(
                f"{machine};Spritzguss;{times};{codes[word]};{word};{german(length / 3_600, 3)};{order};A-{order % 7};"
                f"{german(made)};{scrap};{(at.hour - 6) // 8 % 3 + 1}"
            )
            seconds[classes[word]] += length
            good, bad, order = good + made, bad + scrap, order + (word == "Rüsten")
            at, word = (
                end,
                chance.choice(("Störung", "Störung", "Rüsten", "Pause")) if word == "Produktion" else "Produktion",
            )
        found.append((dict(seconds), good, bad))
    head = (
        "Masch.-Nr.;Bezeichnung;Datum von;Zeit von;Datum bis;Zeit bis;Status;Statustext;Dauer [h];Auftrag;Artikel;"
        "Gutmenge;Ausschuss;Schicht"
    )
    return "\r\n".join([head, *rows]) + "\r\n", found
