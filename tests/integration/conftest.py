"""One local Kafka for the whole run; each test gets a topic prefix of its own."""

import itertools
import os
from collections.abc import Iterator

import pytest

from streams.broker import BrokerError, LocalBroker

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker() -> Iterator[LocalBroker]:
    """A running broker, shared; tests that stop or kill one start their own."""
    shared = LocalBroker()
    try:
        shared.start()
    except BrokerError as error:
        pytest.skip(f"no local Kafka: {error}")
    yield shared
    shared.stop()


@pytest.fixture
def prefix() -> str:
    """A topic prefix (and so a group) nobody else uses."""
    return f"t{os.getpid()}-{next(_numbers)}"
