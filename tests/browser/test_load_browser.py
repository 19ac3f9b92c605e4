"""200 lines of 20 stations with targets; seven stations in ten change twice a second: frames, bytes, processor."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from streams.local.broker import free_port
from tests.browser.test_page_browser import until
from twin import plant as plants
from twin.replay import replay
from twin.sources import open_logs

pytestmark = [pytest.mark.slow]
LINES, STATIONS, SECONDS = 200, 20, 20

# The page with a live view of its own: no Kafka could be blamed, or praised.
SERVER = """
import asyncio, sys, time
from pathlib import Path
from aiohttp import web
import streams.page.app as page
from streams.client.records import Line
from streams.page.live import Live

root, port = Path(sys.argv[1]), int(sys.argv[2])
WORDS = ("running", "running", "starved", "blocked", "minor_stop", "stopped", "setup")
sent = [0]

class Moving(Live):
    async def run(self):
        self.state = "live"
        k = 0
        while True:
            for i in range(200):
                name, ts = f"line-{i:03}", time.time_ns()
                states = {f"s{j:02}": WORDS[(k + i + j) % 7 if (i + j) % 10 < 7 else 0] for j in range(20)}
                self.take(Line(line=name, ts_ns=ts, newest_ns=ts, state=states["s00"], stations=states, order="PO-1",
                               availability=0.9, performance=0.9, quality=1.0, oee=0.81, good=1, scrap=0,
                               bottleneck="s03", share=0.5, verdict="undecided", duplicates=0, late=0,
                               contradictions=0, provisional=True))
            k += 1
            await asyncio.sleep(0.5)

    async def messages(self, describe):
        async for data in super().messages(describe):
            sent[0] += len(data)
            yield data

page.Live = Moving
app = page.make_app(page.Options(root=root, settings=None))

async def told(_):
    return web.json_response({"sent": sent[0], "cpu": time.process_time()})

app.router.add_get("/told", told)
web.run_app(app, host="127.0.0.1", port=port, print=None, shutdown_timeout=1.0)
"""


def plant_text() -> str:
    rows = ['site = "large"', *(f'[[area]]\nid = "area-{area}"' for area in range(10))]
    for line in range(LINES):
        rows.append(
            f'[[line]]\nid = "line-{line:03}"\narea = "area-{line % 10}"\ntype = "flow"\nlateness = "0s"\n'
            'requires_order = true\nwindows = ["1min/1min"]\npublish_every = "1min"\npane = "10min"'
        )
        rows += [f'[[line.station]]\nid = "s{k:02}"\nideal_cycle = "1s"' for k in range(STATIONS)]
        rows.append(
            '[[line.product]]\nid = "butter"\n[line.target]\noee = 0.75\nparts_per_hour = { butter = 2500 }\n'
            '[line.states]\nRUN = "running"\n[line.calendar]\nzone = "Europe/Berlin"\n'
            '[[line.calendar.shift]]\nid = "day"\nhours = "00:00-00:00"'
        )
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of such a page, with ten minutes of audited rows of every line."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "plant.toml").write_text(plant_text())
    begin = int(time.time()) // 60 * 60 - 600
    made: list[dict[str, Any]] = []
    for line in (f"line-{k:03}" for k in range(LINES)):
        head = {"ts": begin * 10**9, "line": line}
        made.append(
            {**head, "type": "order", "action": "start", "order": "PO-1", "product": "butter", "quantity": 5000}
        )
        made += [{**head, "type": "state", "station": f"s{k:02}", "state": "RUN"} for k in range(STATIONS)]
        made += [
            {"ts": (begin + 30 * k) * 10**9, "line": line, "type": "count", "station": "s00", "good": 20}
            for k in range(1, 21)
        ]
    made.sort(key=lambda one: one["ts"])
    (folder / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in made))
    plant = plants.load(folder / "plant.toml")
    replay(plant, open_logs([folder / "log.jsonl"], plant), folder / "audit")
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SERVER, str(folder / "audit"), str(port)]) as process:  # noqa: S603
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def test_a_large_plant_is_smooth(large: str, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    tab = context.new_page()
    end = time.monotonic() + 60
    while True:
        try:
            tab.goto(large)
            break
        except Exception:  # not up yet
            assert time.monotonic() < end
            time.sleep(0.2)
    until(tab, "document.querySelectorAll('a.tile .goal').length === 200")
    session = context.new_cdp_session(tab)
    session.send("Performance.enable")

    def told() -> tuple[float, float, float]:
        with urllib.request.urlopen(large + "told") as answer:  # noqa: S310
            server = json.load(answer)
        values = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return server["sent"], server["cpu"], values["TaskDuration"]

    before, begun = told(), time.monotonic()
    frames = tab.evaluate(
        """(ms) => new Promise((done) => {
            let n = 0; const end = performance.now() + ms;
            const next = () => { n++; performance.now() < end ? requestAnimationFrame(next) : done(n); };
            requestAnimationFrame(next); })""",
        SECONDS * 1000,
    )
    took = time.monotonic() - begun
    after = told()
    sent, server, browser = ((b - a) / took for a, b in zip(before, after, strict=True))
    load = os.getloadavg()[0]
    print(  # noqa: T201
        f"{LINES} x {STATIONS}: {frames / took:.0f} frames/s, {sent / 1000:.0f} kB/s, server {100 * server:.0f} %, "
        f"browser {100 * browser:.0f} % of a core, load {load:.0f}"
    )
    assert frames / took > 5 and sent < 400_000
    # The list is searched, and a search leaves what it found live.
    tab.locator("input.find").fill("line-042")
    until(tab, "document.querySelectorAll('a.tile').length === 1")
    context.close()
