"""Makes log.jsonl, always the same: two orders of a shift; from 12:30 on the filler runs heavy."""

import json
import random
from pathlib import Path

S = 10**9
START = 1_772_431_200  # 2026-03-02T06:00:00Z
HEAVY = 23_400


def events() -> list[dict[str, object]]:
    drawn = random.Random(7)  # noqa: S311 -- a log, no secret
    found: list[dict[str, object]] = []

    def at(second: int, kind: str, station: str | None, **more: object) -> None:
        where = {} if station is None else {"station": station}
        found.append({"type": kind, "ts": (START + second) * S, "line": "cups-1", **where, **more})

    at(0, "order", None, action="start", order="4711", product="natural")
    for station in ("filler", "sealer"):
        at(1, "state", station, state="run")
    at(4 * 3_600, "order", None, action="start", order="4712", product="berry")
    for k in range(8 * 60 - 1):
        second = 60 * k + 30
        made = drawn.randrange(26, 31)
        bad = drawn.randrange(8) == 0
        at(second, "count", "filler", good=made)
        at(second, "count", "sealer", good=made - bad, rework=int(bad and k % 2), scrap=int(bad and not k % 2))
        if k % 2 == 0:
            weight = drawn.gauss(500.6, 0.6) + (1.4 if second > HEAVY else 0)
            at(second + 5, "measure", "filler", measure="weight", value=f"{weight:.1f}")
        if k % 30 == 29:
            at(second + 7, "measure", "sealer", measure="leak", value=drawn.randrange(6))
            at(second + 7, "measure", "sealer", measure="skewed lid", value=drawn.randrange(3))
    at(8 * 3_600, "heartbeat", None)
    at(8 * 3_600 + 300, "heartbeat", None)
    at(8 * 3_600 + 600, "heartbeat", None, reason="end of log")
    return sorted(found, key=lambda event: int(str(event["ts"])))


def text() -> str:
    return "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events())


if __name__ == "__main__":
    Path(__file__).with_name("log.jsonl").write_text(text(), encoding="utf-8")
