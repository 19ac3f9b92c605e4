"""What the register of alert kinds says of a row of `alerts`."""

from typing import Any

from twin.alert_kinds import KINDS, STATED


def check_alert(row: dict[str, Any]) -> None:
    kind = KINDS[row["kind"]]
    for name in STATED:
        if name not in kind.fields:
            assert row[name] is None, (row, name)
        elif name not in kind.at_times:
            assert row[name] is not None, (row, name)
    assert row["action"] in (("raised", "cleared") if kind.clears else ("raised",)), row
