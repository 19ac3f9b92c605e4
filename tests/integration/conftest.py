"""One local Kafka for each process that runs tests; each test gets a topic prefix of its own."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.broker import LocalBroker

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker() -> Iterator[LocalBroker]:
    """A running broker, shared; tests that stop or kill one have their own.

    Without Java and Kafka these tests fail: skipped, they would prove nothing and look as if they did.
    """
    with LocalBroker() as shared:
        yield shared


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that a test may kill."""
    with LocalBroker(tmp_path / "kafka") as own:
        yield own


@pytest.fixture
def prefix() -> str:
    """A topic prefix (and so a group) nobody else uses."""
    return f"t{os.getpid()}-{next(_numbers)}"
