"""What was before: whole weeks, also over the night in which the clocks change; and the one before, of what goes on."""

import email
from email.policy import default
from pathlib import Path

import pytest

from tests.support.replayed import replayed
from twin.report.build import report
from twin.report.mail import mail
from twin.time.rfc3339 import parse_rfc3339

HOUR = 3_600 * 10**9
BEGIN = parse_rfc3339("2026-02-09T05:00:00Z")  # a Monday, 06:00 in Berlin
PLANT = """
site = "S"
[[area]]
id = "A"
[[line]]
id = "L"
area = "A"
type = "cell"
lateness = "0s"
publish_every = "1h"
windows = ["1h/1h"]
[[line.station]]
id = "m"
ideal_cycle = "1s"
[line.states]
RUN = "running"
[line.calendar]
zone = "Europe/Berlin"
day_start = "06:00"
[[line.calendar.shift]]
id = "early"
hours = "06:00-14:00"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good part every six hours, from a Monday on until the Wednesday twelve weeks later, in the early shift."""
    folder = tmp_path_factory.mktemp("trend")
    hours = (12 * 7 + 2) * 24 + 4
    state = {"type": "state", "station": "m", "state": "RUN"}
    events = [{"ts": BEGIN, **state}, *({"type": "heartbeat", "ts": BEGIN + k * HOUR} for k in range(1, hours))]
    events += [{"type": "count", "station": "m", "good": 1, "ts": BEGIN + k * HOUR + 1} for k in range(3, hours, 6)]
    replayed(folder, events, PLANT)
    return folder / "audit"


@pytest.mark.parametrize("week", ["2026-W13", "2026-W14", "2026-W16", "2026-W18"])
def test_eight_whole_weeks(root: Path, week: str) -> None:
    found = report(root, "L", "week", week)["trend"]
    last = int(week[-2:])
    weeks = [f"2026-W{k:02d}" for k in range(max(7, last - 7), last + 1)]
    assert [one["label"] for one in found] == weeks
    assert all(27 <= one["good"] <= 29 for one in found)  # 28 of 168 h; the clocks go forward once


@pytest.mark.parametrize(
    ("kind", "value", "before"),
    [
        ("week", "2026-W19", "2026-W18"),
        ("week", "2026-W18", "2026-W17"),
        ("day", "2026-05-06", "2026-05-05"),
        ("day", "2026-05-05", "2026-05-04"),
        ("shift", "2026-05-06 early", "2026-05-05 early"),
        ("shift", "2026-05-05 early", "2026-05-04 early"),
        ("span", "2026-05-05T04:00:00Z/2026-05-05T11:00:00Z", "2026-05-04 early"),
        ("span", "2026-05-05T04:00:00Z/2026-05-05T12:00:00Z", "2026-05-04 early"),
    ],
)
def test_the_mail_names_the_one_before(root: Path, kind: str, value: str, before: str) -> None:
    found = report(root, "L", kind, value)
    if kind != "span":  # itself, also where it has no row yet, as the headline has it
        assert (found["trend"][-1]["label"], found["trend"][-1]["good"]) == (value, found["total"]["good"])
    pytest.importorskip("xlsxwriter")
    body = email.message_from_bytes(mail(found), policy=default).get_body(("plain",))
    assert body is not None and f"Before: {before}, OEE" in body.get_content()
