"""What a topics plan says."""

import pytest

from streams.kafka.topics import Change, Existing, Topic, apply, compare, desired
from streams.settings import Settings

KEEP = {"cleanup.policy": "delete"}


def test_desired_topics_follow_prefix_partitions_and_replication() -> None:
    topics = {t.name: t for t in desired(Settings(prefix="x", partitions=6, replication=3))}
    names = ("events", "lines", "kpis", "measures", "alerts", "events.rejected", "fed", "chain")
    assert set(topics) == {f"x.{name}" for name in names}
    assert topics["x.events"].partitions == 6
    assert topics["x.lines"].config["cleanup.policy"] == "compact"
    assert {t.config["min.insync.replicas"] for t in topics.values()} == {"2"}
    assert "min.insync.replicas" not in desired(Settings())[0].config


def test_missing_topics_are_created_and_present_ones_left_alone() -> None:
    wanted = desired(Settings())
    assert [c.kind for c in compare(wanted, {})] == ["create"] * len(wanted)
    existing = {t.name: Existing(t.partitions, t.config) for t in wanted}
    assert compare(wanted, existing) == []


def test_how_long_records_are_kept_is_said_when_a_topic_is_made_and_never_changed() -> None:
    wanted = desired(Settings())
    told = {change.topic: change.detail for change in compare(wanted, {})}
    assert told["twin.events"].startswith("4 partitions, kept 30 days: workers may be away")
    assert "kept" not in told["twin.lines"]
    assert all(topic.kept_why for topic in wanted if topic.kept_days)
    shorter = {t.name: Existing(t.partitions, {**t.config, "retention.ms": "1"}, {"retention.ms": "1"}) for t in wanted}
    assert compare(wanted, shorter) == []


def test_partitions_grow_but_never_shrink() -> None:
    wanted = [Topic("twin.kpis", 4, 1, KEEP)]
    assert [c.kind for c in compare(wanted, {"twin.kpis": Existing(2, KEEP)})] == ["partitions"]
    (change,) = compare(wanted, {"twin.kpis": Existing(8, KEEP)})
    assert change.kind == "refused"
    assert "8 partitions, 4 wanted" in change.detail


def test_the_events_topic_does_not_grow_under_its_lines() -> None:
    (change,) = compare([Topic("twin.events", 8, 1, KEEP)], {"twin.events": Existing(4, KEEP)})
    assert change.kind == "refused"
    assert "new prefix" in change.detail


def test_config_difference_keeps_what_others_set() -> None:
    now = Existing(1, {"cleanup.policy": "delete", "retention.ms": "9", "x": "1"}, {"retention.ms": "9"})
    (change,) = compare([Topic("twin.lines", 1, 1, {"cleanup.policy": "compact"})], {"twin.lines": now})
    assert change.kind == "config"
    assert change.config == {"cleanup.policy": "compact", "retention.ms": "9"}


async def test_apply_refuses_before_it_changes_anything() -> None:
    topic = Topic("twin.kpis", 1, 1, KEEP)
    changes = [Change("create", "twin.a", "", topic), Change("refused", "twin.kpis", "shrink", topic)]
    with pytest.raises(RuntimeError, match="shrink"):
        await apply(None, changes)  # type: ignore[arg-type]  # must not be touched
