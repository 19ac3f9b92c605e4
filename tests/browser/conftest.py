"""A real Kafka, a worker, a shop floor that runs until now, the page, a real Chromium: one each for all tests."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings, process_environment
from streams.tools.feed import feed
from streams.tools.fleet import Fleet
from tests.support import floor as floors
from tests.support.streams import own_settings
from twin import plant as plants
from twin.sources import open_logs

TOKEN = "b8f5c2d0a1e34f56"  # noqa: S105
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Floor:
    settings: Settings
    folder: Path
    port: int
    page: subprocess.Popen[bytes] | None = None
    fleet: Fleet | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start_page(self) -> None:
        log = (self.folder / "page.log").open("ab")
        command = [sys.executable, "-P", "-m", "streams.cli", "page", "--port", str(self.port)]
        command += ["--devices", str(self.folder / "devices.toml")]
        self.page = subprocess.Popen(command, env=process_environment(self.settings), stdout=log, stderr=log)  # noqa: S603
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.page.poll() is None and time.monotonic() < end, (self.folder / "page.log").read_text()
            time.sleep(0.05)

    def stop_page(self) -> int:
        assert self.page is not None
        self.page.terminate()
        return self.page.wait(20)

    def start_workers(self) -> None:
        self.fleet = Fleet([self.settings], self.folder)
        self.fleet.__enter__()

    def stop_workers(self) -> None:
        assert self.fleet is not None
        self.fleet.stop()


@pytest.fixture(scope="session")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    folder = tmp_path_factory.mktemp("floor")
    with LocalBroker(folder / "kafka") as broker:
        settings = own_settings(broker, f"page{os.getpid()}", folder)
        # `feed` closes the log with a heartbeat at the next tick, which must not lie ahead of what the tests send.
        plant_file, log = floors.write(folder, int(time.time()) // 60 * 60 - 120)
        plant = plants.load(plant_file)
        # Playwright, once started, has a loop of its own in this thread.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, ensure(settings)).result()
            pool.submit(asyncio.run, feed(open_logs([log], plant), plant, settings=settings)).result()
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        (folder / "devices.toml").write_text(
            f'store = "{folder / "kept" / "page.sqlite"}"\n'
            f'[[device]]\nid = "tablet-4"\nrights = "enter"\ntoken_sha256 = "{digest}"\n'
        )
        made = Floor(settings, folder, free_port())
        made.start_workers()
        made.start_page()
        try:
            yield made
        finally:
            made.stop_page()
            made.stop_workers()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Fails where there is none: skipped, these tests would prove nothing."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A page of a browser that has seen nothing; no error of its scripts and no other host is forgiven."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda said: wrong.append(said.text) if said.type == "error" and "ERR_" not in said.text else None
    )
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: None if asked.url.startswith("http://127.0.0.1:") else wrong.append(asked.url))
    page.wrong = wrong
    yield page
    context.close()
    assert not wrong
