"""Every view against the rules of axe-core, the weight of the first view, the wall's memory over time."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Floor
from tests.browser.test_page_browser import all_lines, current_shift, go, known, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_axe(floor: Floor, tab: Any, axe: str, theme: str) -> None:
    all_lines(tab, floor)
    known(tab, floor)
    done = current_shift(tab, floor, "choc-1")["shift"][0]
    views = {
        "plant": "?view=plant",
        "line": "?view=line&line=choc-1",
        "cause": "?view=line&line=choc-1&losses=cause",
        "handover": "?view=handover&line=choc-1",
        "why": f"?view=why&line=choc-1&window=shift&start={done['start']}&end={done['end']}",
        "wall": "?view=wall",
        "operator": "?view=operator&line=oven-2",
        "lines": "?view=operator",
        "device": "?view=device",
        "privacy": "?view=privacy",
    }
    wrong: list[str] = []
    for name, address in views.items():
        go(tab, floor, f"{address}&theme={theme}")
        tab.wait_for_timeout(300)
        tab.evaluate(axe)
        found = tab.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        assert found["testEngine"]["name"] == "axe-core" and len(found["passes"]) > 5
        for one in found["violations"]:
            if one["impact"] in ("serious", "critical"):
                wrong += [f"{name} {theme}: {one['id']}: {node['html'][:150]}" for node in one["nodes"][:4]]
    assert not wrong, "\n".join(wrong)


def test_the_first_view_is_light_and_quick(floor: Floor, chromium: Any) -> None:
    took, weight = [], 0
    for _ in range(3):
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        tab = context.new_page()
        sizes: list[int] = []
        tab.on("requestfinished", lambda one, sizes=sizes: sizes.append(one.sizes()["responseBodySize"]))
        begun = time.monotonic()
        tab.goto(floor.url)
        until(tab, "document.querySelectorAll('a.tile').length === 10")
        took.append(time.monotonic() - begun)
        tab.wait_for_timeout(300)
        weight = sum(sizes)
        context.close()
    print(f"first view {weight / 1000:.0f} kB, {sorted(took)[0]:.2f} to {sorted(took)[2]:.2f} s")  # noqa: T201
    assert 0 < weight < 200_000
    assert min(took) < 1.0


def test_the_wall_keeps_its_memory(floor: Floor, chromium: Any) -> None:
    """WALL_MINUTES=60: an hour of it; without it, one minute."""
    minutes = float(os.environ.get("WALL_MINUTES", "1"))
    context = chromium.new_context(viewport={"width": 1920, "height": 1080})
    tab = context.new_page()
    go(tab, floor, "?view=wall&area=packing&rotate=5&tiles=2")
    session = context.new_cdp_session(tab)

    def heap() -> tuple[float, float]:
        session.send("HeapProfiler.collectGarbage")
        values = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return values["JSHeapUsedSize"] / 1e6, values["Nodes"]

    session.send("Performance.enable")
    tab.wait_for_timeout(5_000)
    first, end, last = heap(), time.monotonic() + 60 * minutes, (0.0, 0.0)
    while time.monotonic() < end:
        tab.wait_for_timeout(10_000)
        last = heap()
    print(f"wall, {minutes:g} min: {first[0]:.1f} to {last[0]:.1f} MB, {first[1]:.0f} to {last[1]:.0f} nodes")  # noqa: T201
    assert last[0] < 1.2 * first[0] + 0.5 and last[1] < 1.2 * first[1] + 200
    context.close()
