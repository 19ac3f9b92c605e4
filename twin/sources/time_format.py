"""Formats of times: strptime's letters as regular expressions for whole columns, and the words for months."""

import re
from dataclasses import dataclass
from typing import Final

NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * NS
# unit -> (decimal places, ns of the rest): a number of it is value * 10**places * factor ns.
UNITS: Final = {
    "ns": (0, 1),
    "us": (3, 1),
    "ms": (6, 1),
    "s": (9, 1),
    "min": (9, 60),
    "h": (9, 3600),
    "day": (9, 86_400),
}
# Day numbers of a wall clock: the day that is 0, and how many decimal places of the unit make 10**-9 day. They are
# rounded to the millisecond, which is what these programs keep.
DAY_NUMBERS: Final = {
    "excel": ("1899-12-30T00:00:00Z", 9),
    "excel1904": ("1904-01-01T00:00:00Z", 9),
    "wincc": ("1899-12-30T00:00:00Z", 3),
}
SECONDS_NS: Final = "s:ns"  # seconds, a colon, nanoseconds, as GE Historian writes them
FILETIME: Final = "filetime"  # 100 ns since 1601, as Windows and its historians count
FILETIME_1970: Final = 116_444_736_000_000_000

_BLANK: Final = r"[\s\x{a0}\x{202f}]+"
_DIRECTIVES: Final = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "b": r"(?P<b>\pL+\.?)",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "p": r"(?P<p>[AaPp]\.?[\s\x{a0}\x{202f}]?[Mm]\.?)",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "L": r"(?P<L>\d{1,3})",
    "a": r"\pL+\.?",
    "z": r"(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?)",
    "Z": r"(?P<Z>[A-Za-z]{1,6})",
    "%": "%",
}
_SAME: Final = {"B": "b", "h": "b", "A": "a"}
_OFFSET: Final = r"(?: ?(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?))?"
ISO: Final = (
    r"^(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})[Tt ](?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})"
    rf"(?:[.,](?P<f>\d{{1,9}})\d*)?)?{_OFFSET}$"
)
ISO_BASIC: Final = (
    r"^(?P<Y>\d{4})(?P<m>\d{2})(?P<d>\d{2})[Tt](?P<H>\d{2})(?P<M>\d{2})(?:(?P<S>\d{2})"
    rf"(?:[.,](?P<f>\d{{1,9}})\d*)?)?{_OFFSET}$"
)
ISO_DATE: Final = r"^(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})$"

# English, German, French, Spanish, Italian, Portuguese, Dutch, Danish, Norwegian, Swedish, Polish, Czech, Finnish,
# Turkish; short and long, without the dot. No word here means two months (so no Croatian: its listopad is October).
_MONTH_WORDS: Final = (
    "jan january januar jän jänner janv janvier ene enero gen gennaio janeiro januari sty styczeń stycznia led leden "
    "ledna tammi tammikuu oca ocak",
    "feb february februar feber févr fév février febrero febbraio fev fevereiro februari lut luty lutego úno únor "
    "února helmi helmikuu şub şubat",
    "mar march mär mrz märz mars marzo março maa maart marts marzec marca bře březen března maalis maaliskuu mart mrt",
    "apr april avr avril abr abril aprile kwi kwiecień kwietnia dub duben dubna huhti huhtikuu nis nisan",
    "may mai mayo mag maggio maio mei maj maja kvě květen května touko toukokuu may\u0131s",
    "jun june juni juin junio giu giugno junho cze czerwiec czerwca čer červen června kesä kesäkuu haz haziran",
    "jul july juli juil juillet julio lug luglio julho lip lipiec lipca čvc červenec července heinä heinäkuu tem "
    "temmuz",
    "aug august août aoû ago agosto augustus augusti sie sierpień sierpnia srp srpen srpna elo elokuu ağu ağustos",
    "sep sept september septembre septiembre set sett settembre setembro wrz wrzesień września zář září syys syyskuu "
    "eyl eylül",
    "oct october okt oktober octobre octubre ott ottobre out outubro paź październik października říj říjen října "
    "loka lokakuu eki ekim",
    "nov november novembre noviembre novembro lis listopad listopada marras marraskuu kas kas\u0131m",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro des desember gru grudzień grudnia pro "
    "prosinec prosince joulu joulukuu ara aral\u0131k",
)
MONTHS: Final = {word: i for i, words in enumerate(_MONTH_WORDS, 1) for word in words.split()}


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How a column's text is a time.

    Either a date and time: the first of `patterns` that matches, regular expressions with the groups of `pattern`
    (texts without an offset are local time in `zone`); or, without patterns, a number of `unit`: since `origin_ns`,
    or, where the unit is a day number, of `zone`'s wall clock. `decimal` is that number's decimal mark.
    """

    patterns: tuple[str, ...] = (ISO, ISO_BASIC)
    zone: str | None = None
    unit: str = "s"
    origin_ns: int = 0
    decimal: str = "."


def pattern(text: str, date_only: bool = False) -> str:
    """The regular expression of a strptime-like format. Raises ValueError naming what it does not know.

    A blank in the format is any blanks in the text. `date_only` allows a format without a time of day: midnight.
    """
    parts = re.split(r"(%.?)", text)
    parts = ["%" + _SAME.get(part[1:], part[1:]) if part.startswith("%") else part for part in parts]
    names = [part[1:] for part in parts if part.startswith("%")]
    for name in names:
        if name not in _DIRECTIVES:
            raise ValueError(
                f"%{name} is not known; use %Y (or %y) %m (or %b, %B) %d %H (or %I and %p) %M %S %f (fraction) "
                "%L (milliseconds) %z (offset) %Z (short name of the zone) %a %A (weekday) and %%"
            )
        if name != "%" and names.count(name) > 1:
            raise ValueError(f"%{name} stands twice")
    for pair in (("Y", "y"), ("m", "b"), ("H", "I"), ("f", "L"), ("z", "Z")):
        if set(pair) <= set(names):
            raise ValueError(f"%{pair[0]} and %{pair[1]} say the same; remove one")
    if ("I" in names) != ("p" in names):
        raise ValueError("%I (hours to 12) and %p (AM or PM) need each other; a clock of 24 hours is %H")
    needed = {"%Y": "Yy", "%m": "mb", "%d": "d"} | ({} if date_only else {"%H": "HI", "%M": "M"})
    missing = [word for word, any_of in needed.items() if not set(any_of) & set(names)]
    if missing:
        raise ValueError(f"{' '.join(missing)} missing")
    return "^" + "".join(_DIRECTIVES[p[1:]] if p.startswith("%") else _literal(p) for p in parts) + "$"


def _literal(text: str) -> str:
    return "".join(_BLANK if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", text) if part)


def to_month(word: str) -> int:
    """1 to 12; 0: no month in any of the languages."""
    return MONTHS.get(word.rstrip(".").lower(), 0)
