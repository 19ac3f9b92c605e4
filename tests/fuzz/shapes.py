"""Logs of every shape that the reader of tables knows, and their mappings, for the fuzzer."""

import gzip
import io
import random
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

Shape = tuple[str, str, list[bytes], str]  # name, suffix, seeds, mapping

_TIME = '[time]\ncolumn = "t"\nformat = ["%d.%m.%Y %H:%M:%S", "%d.%m.%Y"]\nzone = "Europe/Berlin"\n'
_COUNT = '[[event]]\ntype = "count"\ngood = { column = "n", unit = "pcs", lookup = { OK = 1 } }\n'
_STATE = '[[event]]\ntype = "state"\nstate = { column = "s" }\nreason = { column = "why" }\n'
_PLAIN = 'line = "L1"\nstation = "A"\n' + _TIME
_FORM = '[csv]\ndelimiter = ";"\ndecimal = ","\nthousands = "."\nblank = ["none"]\ncomment = "#"\n'


def _times(chance: random.Random, n: int) -> list[str]:
    at, found = 6 * 3600, []
    for _ in range(n):
        at += chance.choice((1, 10, 10, 10, 60, 900))
        found.append(f"{2 + at // 86400:02}.03.2026 {at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}")
    return found


def shapes() -> list[Shape]:
    """The seeds are valid; what becomes of them is the fuzzer's."""
    chance = random.Random(5)  # noqa: S311  repeatable
    times = _times(chance, 60)
    states = [chance.choice(("on", "off", "none", "")) for _ in times]
    numbers = [chance.choice(("1", "2 pcs", "OK", "1.234", "-", "0")) for _ in times]
    whys = [chance.choice(("", "jam", '"two\nlines"', '"he said ""x"""')) for _ in times]
    body = "".join(f"{t};{s};{n};{w}\n" for t, s, n, w in zip(times, states, numbers, whys, strict=True))
    table = f"Report;;;\n\nt;s;n;why\n# note\n{body}Sum;;12;\n"
    plain = _PLAIN + _COUNT + _STATE + _FORM
    sampled = plain + '[sample]\nhold = "10s"\n'
    turned = "t;s;n;why\n" + "".join(reversed(body.splitlines(keepends=True)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", table)
    pairs = list(zip(times, times[3:], strict=False))
    stops = "t;to;s;why;n\n" + "".join(f"{a};{b};{s};x;1\n" for (a, b), s in zip(pairs, states, strict=False))
    interval = _PLAIN + _STATE.rstrip() + '\nuntil = { column = "to" }\notherwise = "on"\n' + _FORM
    rows = list(enumerate(zip(times, states, numbers, strict=True)))
    tags = "t;tag;s\n" + "".join(f"{t};P/{'AB'[i % 2]}/State;{s}\n" for i, (t, s, _) in rows)
    of_tags = 'line = "L1"\n' + _TIME + '[[event]]\ntype = "state"\n'
    of_tags += 'station = { column = "tag", pattern = "P/{}/State" }\n'
    of_tags += 'state = { column = "s" }\n' + _FORM
    wide = "t;A s;B s;A n\n" + "".join(f"{t};{s};on;{i}\n" for i, (t, s, _) in rows)
    of_wide = 'line = "L1"\n' + _TIME + '[[event]]\ntype = "state"\nstate = { column = "{station} s" }\n'
    of_wide += (
        '[[event]]\ntype = "count"\ncounter = "made"\nvalue = { column = "{station} n" }\n[sample]\nhold = "10s"\n'
        + _FORM
    )
    widths = "".join(f"{t:<22}{s:<6}{n:<8}\n" for t, s, n in zip(times, states, numbers, strict=True))
    fixed = _PLAIN + _COUNT + '[csv]\nwidths = [22, 6, 8]\nheader = false\ncolumns = ["t", "s", "n"]\n'
    numbered = "t;no;n\n" + "".join(f"{t};{i};{n}\n" for i, (t, _, n) in rows)
    of_numbered = 'seq = { column = "no" }\n' + _PLAIN.replace("[time]", "[time]\nsort = true") + _COUNT + _FORM
    named = "t;id;no;n;who;o\n" + "".join(
        f"{t};r{i % 9};{i % 2};{n};{'AB'[i % 2]};o{i // 7}\n" for i, (t, _, n) in rows
    )
    of_named = 'row = { columns = ["id", "no"] }\nline = "L1"\nstation = { column = "who" }\n' + _TIME + _COUNT + _FORM
    of_named += '[order]\nof = "station"\nid = { column = "o" }\n'
    spans = "t;from;to;n;o\n" + "".join(
        f"{t};{t[:10]} 22:00:00;{t[:10]} 0{i % 7}:00:00;{n};o{i // 5 % 3}\n" for i, (t, _, n) in rows
    )
    of_spans = _PLAIN.replace('"t"', '"from"') + _COUNT + _FORM + '[order]\nid = { column = "o" }\n'
    of_spans += 'time = { column = "from" }\nuntil = { column = "to", over_midnight = true }\n'
    java = "t,n\n" + "".join(f"Mon Mar 02 06:{i:02}:00 CET 2026,{i}\n" for i in range(60))
    of_java = 'line = "L1"\nstation = "A"\n[time]\ncolumn = "t"\nformat = "%a %b %d %H:%M:%S %Z %Y"\n'
    of_java += 'zone = "Europe/Berlin"\n' + _COUNT
    days = "t n\n" + "".join(f"{46083 + i / 97:.9f}   {i}\n" for i in range(60))
    of_days = 'line = "L1"\nstation = "A"\n[time]\ncolumn = "t"\nunit = "excel"\nzone = "UTC"\n' + _COUNT
    of_days += '[csv]\ndelimiter = "spaces"\n'
    parquet = io.BytesIO()
    columns = pa.table({"t": pa.array(range(1772431200, 1772431260), pa.timestamp("s", "UTC")), "n": list(range(60))})
    pq.write_table(columns, parquet)
    of_parquet = (
        'line = "L1"\nstation = "A"\n[time]\ncolumn = "t"\n[[event]]\ntype = "count"\ngood = { column = "n" }\n'
    )
    data = table.encode()
    return [
        ("table", ".csv", [data], plain),
        ("table-sampled", ".csv", [data], sampled),
        ("table-utf16", ".csv", [table.encode("utf-16")], plain),
        ("table-zst", ".csv.zst", [pa.compress(data, codec="zstd", asbytes=True)], plain),
        ("table-zip", ".zip", [packed.getvalue()], plain),
        ("table-gz", ".csv.gz", [gzip.compress(data)], plain),
        ("newest-first", ".csv", [turned.encode()], plain),
        ("newest-first-sampled", ".csv", [turned.encode()], sampled),
        ("intervals", ".csv", [stops.encode()], interval),
        ("tags", ".csv", [tags.encode()], of_tags),
        ("wide", ".csv", [wide.encode()], of_wide),
        ("fixed", ".txt", [widths.encode()], fixed),
        ("numbered", ".csv", [numbered.encode()], of_numbered),
        ("named", ".csv", [named.encode()], of_named),
        ("spans", ".csv", [spans.encode()], of_spans),
        ("java-dates", ".csv", [java.encode()], of_java),
        ("days", ".dat", [days.encode()], of_days),
        ("typed", ".parquet", [parquet.getvalue()], of_parquet),
    ]
