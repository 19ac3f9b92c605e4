"""/metrics in the text format of Prometheus: what the worker has done, and how far it is behind.

Labels name lines, never stations: 10,000 stations would be a hundred thousand series. Counters begin with the process
and count what was folded; what is audited follows with the next checkpoint.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from streams import clock
from streams.worker.processor import Folded
from twin.results import SETS
from twin.rules import RULES

log = logging.getLogger(__name__)

# Several Prometheus servers, and a person beside them, ask for one text.
_KEPT_S: Final = 1.0
_FOLD_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_MOST_SAMPLES: Final = 1_024
_RATIOS: Final = ("availability", "performance", "quality", "oee")


class Trail:
    """When a number that only grows passed which values: how long ago a position was passed."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now_s: float, value: int) -> None:
        if self._samples and value < self._samples[-1][1]:  # another log
            self._samples.clear()
        if not self._samples or value > self._samples[-1][1]:
            self._samples.append((now_s, value))
        if len(self._samples) > _MOST_SAMPLES:  # a backlog of hours: seen more coarsely
            self._samples = deque(list(self._samples)[::2])

    def behind_s(self, now_s: float, position: int) -> float:
        """Seconds since the value was first seen beyond `position`; 0 where it is not. Forgets what lies before."""
        while self._samples and self._samples[0][1] <= position:
            self._samples.popleft()
        return now_s - self._samples[0][0] if self._samples else 0.0


class Delays:
    """Per partition: how long records wait to be folded, and folded ones to be committed.

    Sampled, so to a second; of a backlog that was there before the worker only the time since its start is known.
    """

    def __init__(self) -> None:
        self._ends: dict[int, Trail] = {}
        self._folded: dict[int, Trail] = {}

    def sample(self, partitions: Mapping[str, Mapping[str, Any]]) -> None:
        """As `partitions` of /ready: next, committed and lag."""
        now_s = clock.monotonic_s()
        mine = {int(name): found for name, found in partitions.items()}
        for trails in (self._ends, self._folded):
            for gone in trails.keys() - mine.keys():
                del trails[gone]
        for partition, found in mine.items():
            self._folded.setdefault(partition, Trail()).add(now_s, found["next"])
            if found["lag"] is not None:
                self._ends.setdefault(partition, Trail()).add(now_s, found["next"] + found["lag"])

    def of(self, partition: int, next_offset: int, committed: int) -> tuple[float, float]:
        """(seconds the oldest record waits to be folded, seconds the oldest folded one waits for its commit)."""
        now_s = clock.monotonic_s()
        ends, folded = self._ends.get(partition), self._folded.get(partition)
        return (
            ends.behind_s(now_s, next_offset) if ends else 0.0,
            folded.behind_s(now_s, committed) if folded else 0.0,
        )


class Metrics(Collector):
    """One per worker. `report`: (ready, body) of /ready; `views`: of every line seen; both called in the loop."""

    def __init__(
        self,
        lines: Sequence[str],
        model: str,
        report: Callable[[], tuple[bool, dict[str, Any]]],
        views: Callable[[], Iterable[Any]],
    ) -> None:
        self.delays = Delays()
        self._lines = lines
        self._info = {"version": version("taktwin"), "rules": str(RULES), "model": model}
        self._report = report
        self._views = views
        self._events = np.zeros(len(lines), np.int64)
        self._rows: Counter[str] = Counter(dict.fromkeys(SETS, 0))  # from 0 on: else the first ones are no increase
        self._refused: Counter[str] = Counter()
        self._alerts: Counter[tuple[str, str]] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._fold_s = Histogram(
            "twin_fold_seconds", "Time of one fold", buckets=_FOLD_BUCKETS_S, registry=self._registry
        )
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._facts: tuple[bool, dict[str, Any], list[Any]] = (False, {}, [])
        self._text = b""
        self._made_s = -_KEPT_S
        self._making = asyncio.Lock()

    def folded(self, folded: Folded, seconds: float) -> None:
        """After each fold."""
        self._fold_s.observe(seconds)
        if folded.per_line is not None:
            self._events += folded.per_line
        self._rows["events"] += folded.events
        for name, table in folded.tables:
            self._rows[name] += table.num_rows
            if name == "alerts":
                self._alerts.update(
                    (row["kind"], row["action"]) for row in table.select(["kind", "action"]).to_pylist()
                )
        for one in folded.rejected:
            self._refused[one.reason] += 1
        self._rows["rejected"] += len(folded.rejected)

    async def page(self) -> tuple[str, bytes]:
        """(content type, text). The facts are taken in the loop, the text is made beside it."""
        async with self._making:
            if clock.monotonic_s() - self._made_s >= _KEPT_S:
                ready, body = self._report()
                self._facts = ready, body, self._seen()
                self._text = await asyncio.to_thread(generate_latest, self._registry)
                self._made_s = clock.monotonic_s()
        return CONTENT_TYPE_PLAIN_0_0_4, self._text

    def _seen(self) -> list[Any]:
        try:
            return list(self._views())
        except Exception as error:  # provisional, and said elsewhere: the other figures are worth having
            log.debug("no view for /metrics: %r", error)
            return []

    def collect(self) -> Iterator[Metric]:
        """For the registry; from the facts of `page`."""
        ready, body, views = self._facts
        yield _gauge(
            "twin_build_info", "Version, rules and plant model", [(tuple(self._info.values()), 1)], *self._info
        )
        yield _gauge(
            "twin_ready", "1: the state of every partition is loaded and the group is calm", [((), int(ready))]
        )
        yield from self._of_work(body)
        yield from self._of_partitions(body.get("partitions", {}))
        yield from self._of_lines(views)

    def _of_work(self, body: Mapping[str, Any]) -> Iterator[Metric]:
        # A line from its first event on: 10,000 series of zeros would say nothing.
        seen = [((self._lines[k],), int(self._events[k])) for k in np.flatnonzero(self._events).tolist()]
        yield _counter("twin_events", "Events folded, by line", seen, "line")
        for name, what in (
            ("records", "Records read"),
            ("duplicates", "Events that came before, by their number"),
            ("late", "Events behind their line's watermark"),
            ("set_aside", "Records that were set aside after three failures"),
            ("views_failed", "Provisional views that could not be made"),
        ):
            yield _counter(f"twin_{name}", what, [((), body.get(name, 0))])
        yield _counter("twin_rows", "Rows for the audit, by set", _labelled(self._rows), "set")
        yield _counter("twin_refused", "Events and records refused, by reason", _labelled(self._refused), "reason")
        alerts = sorted(self._alerts.items())
        yield _counter("twin_alerts", "Alerts, by kind; action: raised or cleared", alerts, "kind", "action")
        yield _counter("twin_commits", "Commits, by outcome", _labelled(body.get("commits", {})), "outcome")
        yield _counter("twin_runs", "Runs of records, by where they stood", _labelled(body.get("runs", {})), "place")
        waiting = body.get("storage") or {}
        yield _gauge(
            "twin_storage_waiting_seconds", "How long the disk has taken nothing", [((), waiting.get("waiting_s", 0))]
        )

    def _of_partitions(self, partitions: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
        yield _gauge("twin_partitions", "Partitions whose state is here", [((), len(partitions))])
        delays = {p: self.delays.of(int(p), found["next"], found["committed"]) for p, found in partitions.items()}

        def each(value: Callable[[str], Any]) -> list[tuple[tuple[str], Any]]:
            return [((p,), value(p)) for p in partitions if value(p) is not None]

        for name, what, value in (
            ("lag_records", "Records that are not folded yet", lambda p: partitions[p]["lag"]),
            ("lag_seconds", "How long the oldest of them waits, as far as this worker saw", lambda p: delays[p][0]),
            ("commit_age_seconds", "How long the oldest folded record waits for its commit", lambda p: delays[p][1]),
            ("next_offset", "Offset of the next record to fold", lambda p: partitions[p]["next"]),
            ("committed_offset", "Offset that is committed", lambda p: partitions[p]["committed"]),
            ("snapshot_bytes", "Size of the newest state", lambda p: partitions[p].get("snapshot_bytes")),
        ):
            yield _gauge(f"twin_{name}", what, each(value), "partition")
        deleted = each(lambda p: partitions[p]["deleted_by_retention"])
        yield _counter("twin_deleted_by_retention", "Offsets deleted before they were read", deleted, "partition")

    def _of_lines(self, views: Sequence[Any]) -> Iterator[Metric]:
        now_ns = clock.now_ns()
        views = [view for view in views if hasattr(view, "newest_ns")]
        behind = [((view.line,), (now_ns - view.newest_ns) / 1e9) for view in views]
        yield _gauge("twin_line_behind_seconds", "Wall time less the line's newest event time", behind, "line")
        for name in _RATIOS:
            found = [((view.line,), value) for view in views if (value := getattr(view, name)) is not None]
            yield _gauge(f"twin_line_{name}_ratio", "Provisional, of the line's longest window", found, "line")


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, what: str, samples: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _counter(name: str, what: str, samples: Samples, *labels: str) -> Metric:
    family = CounterMetricFamily(name, what, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _labelled(counts: Mapping[str, int]) -> Samples:
    return [((name,), number) for name, number in sorted(counts.items())]
