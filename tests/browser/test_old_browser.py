"""Every view in an old browser (`make page OLD=1`: Chromium 103 of June 2022), by its own script alone: what Playwright
adds to wait and to click needs a newer one. In `make page` the current browser is asked the same."""

from typing import Any

import pytest

from tests.browser.conftest import TOKEN, Floor
from tests.browser.test_page_browser import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
pytest.importorskip("playwright")
LINE = "line=oven-2"
# What a view must show before it is whole: a selector, and how many there are at least.
VIEWS = {
    "?view=plant": ("a.tile .timer", 10),
    "?view=plant&lang=de&theme=dark": ("a.tile .timer", 10),
    "?view=wall": (".wallgrid .tile .timer", 8),
    f"?view=line&{LINE}": ("section svg.chart", 4),
    f"?view=line&{LINE}&lang=de&losses=cause": ("section svg.chart", 4),
    f"?view=handover&{LINE}": ("section table", 1),
    f"?view=operator&{LINE}&station=main": (".op-right h2", 1),
    "?view=privacy": ("table tbody tr", 1),
    "?view=device": ("form input.token", 1),
}


def opened(tab: Any, floor: Floor, address: str) -> None:
    selector, least = VIEWS[address]
    tab.goto(floor.url + address)
    until(tab, "document.querySelectorAll(arg[0]).length >= arg[1]", [selector, least])


@pytest.mark.parametrize("address", VIEWS)
def test_every_view_is_whole(floor: Floor, tab: Any, address: str) -> None:
    opened(tab, floor, "?view=plant")  # when there is something to see
    opened(tab, floor, address)
    assert tab.evaluate("document.querySelectorAll('[role=alert]:not([hidden])').length") == 0


def test_a_stop_gets_its_reason(floor: Floor, tab: Any) -> None:
    opened(tab, floor, "?view=plant")
    opened(tab, floor, "?view=device")
    tab.evaluate("(token) => { document.querySelector('input.token').value = token; }", TOKEN)
    tab.evaluate("document.querySelector('form button').click()")
    until(tab, "document.querySelector('.op-lines, .op') !== null")
    opened(tab, floor, f"?view=operator&{LINE}&station=main")
    until(tab, "document.querySelector('button.stop:not([disabled])') !== null")
    tab.evaluate("document.querySelector('button.stop:not([disabled])').click()")
    until(tab, "document.querySelector('dialog[open] button.reason') !== null")
    tab.evaluate("document.querySelector('dialog[open] button.reason').click()")
    until(tab, "/sent, in the log at|seen as revision/.test(document.querySelector('.op-entries li')?.textContent)")
