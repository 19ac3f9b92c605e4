"""A record that the fold cannot bear, on a real worker: some ends with 70 or a crash, then all others are counted."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from streams import exits
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.state.snapshot_files import SnapshotStore
from tests.support.streams import (
    PLANT,
    FakeTwin,
    Worker,
    committed,
    expected_state,
    own_settings,
    produce,
    read_all,
    settled,
    wait_for,
    workers,
)
from twin.plant import loads

pytestmark = pytest.mark.kafka

BAD = ("line-3", 200)


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ("raises", [exits.INTERNAL] * 3),
        pytest.param("kills", [-signal.SIGKILL] * 5, marks=pytest.mark.slow),
    ],
)
async def test_one_record_is_set_aside_and_no_other(
    broker: LocalBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, ends: list[int]
) -> None:
    # A static name, as under a supervisor that starts it again: no session to wait for.
    own = replace(own_settings(broker, prefix, tmp_path), instance="w0", session_timeout_s=10.0)
    await ensure(own)
    await produce(own, 0, 300)
    monkeypatch.setenv("FAKE_FAULT_LINE", BAD[0])
    monkeypatch.setenv("FAKE_FAULT_AT_SEQ", str(BAD[1]))
    if how == "kills":
        monkeypatch.setenv("FAKE_FAULT_KILLS", "1")
    with workers() as started:
        for end in ends:
            started.append(Worker(replace(own, health_port=free_port()), tmp_path / "w.log"))
            assert await asyncio.to_thread(started[-1].process.wait, 40) == end, started[-1].log()
        worker = Worker(own, tmp_path / "last.log")
        started.append(worker)
        log = await settled(own)
        # The note goes after the commit that `settled` has seen.
        await asyncio.to_thread(wait_for, lambda: worker.report()["suspected"] == {}, 10, worker.log)
        assert worker.report()["set_aside"] == 1
        assert "is set aside in `rejected`" in worker.log()
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    (partition, bad), = [
        (p, r) for p, records in log.items() for r in records if (found := json.loads(r.value), r)[0]["line"] == BAD[0]
        if found["seq"] == BAD[1]
    ]  # fmt: skip
    good = {p: [r for r in records if r is not bad] for p, records in log.items()}

    # The state of every line is that of the log without the record.
    store = SnapshotStore(own.state_folder / own.group_id)
    at = await committed(own)
    for number, records in good.items():
        if records:
            twin = FakeTwin.restore(loads(PLANT, "plant.toml"), number, store.load(at[number][1]).state)
            assert twin.lines == expected_state(records)
    events = ds.dataset(Path(own.audit) / "events", partitioning="hive").to_table()
    audited = sorted(zip(events["source_partition"].to_pylist(), events["source_offset"].to_pylist(), strict=True))
    assert audited == sorted((p, record.offset) for p, records in good.items() for record in records)

    # The record itself is in the audit and in the topic, with its bytes and what went wrong.
    (row,) = ds.dataset(Path(own.audit) / "rejected", partitioning="hive").to_table().to_pylist()
    assert (row["reason"], row["source_partition"], row["source_offset"]) == ("internal_error", partition, bad.offset)
    assert (row["value"], row["line"]) == (bad.value, BAD[0])
    told = "fault on purpose" if how == "raises" else "the process ended without a word"
    assert told in row["detail"]
    (sent,) = [r for records in (await read_all(own, "events.rejected")).values() for r in records]
    assert (sent.value, dict(sent.headers)["reason"]) == (bad.value, b"internal_error")
    assert dict(sent.headers)["detail"].decode() == row["detail"]
    # Of another partition one may be left, whose worker was killed just behind a commit; its next run takes it away.
    assert not (own.state_folder / own.group_id / f"note-p{partition:05d}.json").exists()
