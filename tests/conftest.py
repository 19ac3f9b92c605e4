"""Every run of the tests is the same run; `make fuzz` draws other examples, and many more of them.

One hypothesis profile for all: kernels compile inside the first example, so no deadline; each test draws the examples
that follow from its own name and code, and nothing is remembered from run to run. Hypothesis also draws numbers that
stand in the modules which are loaded: those differ with the tests that a process has run before, and with every edit
anywhere, so here it does not. With TAKTWIN_TEST_EXAMPLES=N each property gets N times as many, drawn from the seed of
`--hypothesis-seed`, and those numbers as well.
"""

import os

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

TIMES = int(os.environ.get("TAKTWIN_TEST_EXAMPLES", "0"))

settings.register_profile("taktwin", deadline=None, derandomize=True, database=None)
settings.register_profile("fuzz", deadline=None, database=None, print_blob=True, max_examples=100 * max(TIMES, 1))
settings.load_profile("fuzz" if TIMES else "taktwin")
if not TIMES:
    # Private: there is no setting. `test_fixed_examples.py` fails where another version does not ask it any more.
    _NONE = providers._local_constants
    providers._get_local_constants = lambda: _NONE


def pytest_report_header(config: pytest.Config) -> str:
    if TIMES:
        return f"hypothesis: {TIMES} times as many examples, seed {config.getoption('--hypothesis-seed')}"
    return "hypothesis: the same examples in every run (seeds derived from the tests); `make fuzz` draws others"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that say how many examples they want say it for one run of `make test`."""
    for item in items if TIMES else ():
        function = getattr(item, "obj", None)
        own = getattr(function, "_hypothesis_internal_use_settings", None)
        if own is not None and function is not None and own.max_examples != settings().max_examples:
            more = settings(own, max_examples=own.max_examples * TIMES)
            function._hypothesis_internal_use_settings = more
