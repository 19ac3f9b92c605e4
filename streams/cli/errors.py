"""Exit codes, and which error ends with which."""

import sys
from typing import Final

from streams import exits

OK: Final = exits.OK
PROBLEM: Final = 1
USAGE: Final = 2
INTERNAL: Final = exits.INTERNAL
INTERRUPTED: Final = 130

EXIT_CODES: Final = {
    OK: "done, and nothing wrong was found",
    PROBLEM: "a difference or a problem was found; the message says which",
    USAGE: "the command line, a setting or an input file is wrong",
    INTERNAL: "internal error: a worker replays from its snapshot when started again",
    exits.FENCED: "worker: fenced, another one has the same instance id",
    exits.WATCHDOG: "worker: partitions were assigned, but no state could be loaded for them",
    exits.STATE: "worker: group, snapshots and audit root do not fit together; a person must decide",
    exits.STORAGE: "worker: the disk took nothing for too long; a restart replays",
    exits.HARD_STOP: "worker: the stop, or its last checkpoint, did not finish within its limit",
    exits.REFUSED: "Kafka refused the user or the certificate, or shows a certificate that is not trusted",
    INTERRUPTED: "interrupted (Ctrl-C or SIGTERM), after a clean end",
}

# By name, so that sorting an error imports nothing that the command itself did not need.
_KNOWN: Final = (
    ("twin.plant", "PlantError", USAGE),
    ("twin.sources", "MappingError", USAGE),
    ("twin.sources", "SourceError", USAGE),
    ("twin.audit", "AuditError", USAGE),
    ("twin.report", "ReportError", USAGE),
    ("twin.store", "StoreError", PROBLEM),
    ("streams.settings", "SettingsError", USAGE),
    ("streams.kafka.access", "AccessError", exits.REFUSED),
    ("streams.local.java", "BrokerError", PROBLEM),
    ("streams.local.shares", "SharesError", PROBLEM),
    ("streams.tools.chain", "ChainError", PROBLEM),
    ("streams.tools.correct", "CorrectionError", PROBLEM),
    ("streams.tools.demo", "DemoError", PROBLEM),
    ("streams.tools.feed", "FeedError", PROBLEM),
    ("streams.tools.fleet", "FleetError", PROBLEM),
    ("streams.tools.ledger", "LedgerError", PROBLEM),
    ("streams.tools.notify", "NotifyError", PROBLEM),
    ("streams.kafka.topics", "TopicsError", PROBLEM),
)


class CommandError(Exception):
    """Ends the command with one message and an exit code; the message says what to do next."""

    def __init__(self, message: str, code: int = PROBLEM) -> None:
        super().__init__(message)
        self.code = code


def explain(error: BaseException) -> tuple[str, int]:
    """What to print for `error`, and the exit code."""
    if isinstance(error, CommandError):
        return str(error), error.code
    for module, name, code in _KNOWN:
        if _is_a(error, module, name):
            return str(error), code
    for kind, what in _FILES:
        if isinstance(error, kind):
            return f"{error.filename}: {what}", USAGE
    if _is_a(error, "aiokafka.errors", "KafkaError"):
        return f"Kafka: {_of_kafka(error)}; `twin doctor` checks the broker, `twin broker` starts a local one", PROBLEM
    return f"internal error: {type(error).__name__}: {error} (TAKTWIN_DEBUG=1 shows the trace)", INTERNAL


_FILES: Final = (
    (FileNotFoundError, "there is no such file or folder; check the path"),
    (IsADirectoryError, "is a folder; a file is needed here"),
    (NotADirectoryError, "is a file, and a folder is needed here"),
    (PermissionError, "may not be opened by this user; check its permissions"),
)
# What a library says in its own terms, as a sentence; by the name of its class.
_KAFKA: Final = {
    "GroupCoordinatorNotAvailableError": "the broker is not ready for groups yet; wait some seconds and try again",
    "UnknownTopicOrPartitionError": "a topic is missing; `twin topics apply` makes them",
    "NodeNotReadyError": "the broker has closed the connection, or is starting; try again",
    "RequestTimedOutError": "the broker did not answer in time; it may be starting, or too busy",
    "NotLeaderForPartitionError": "a partition is moving to another broker; try again",
    "RecordTooLargeError": "a record is larger than the broker takes (message.max.bytes)",
}


def _of_kafka(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if "not found in cluster metadata" in text:
        return f"{text.split(' not found')[0].strip()} is missing; `twin topics apply` makes it"
    sentence = _KAFKA.get(type(error).__name__)
    return text if sentence is None else f"{sentence} ({type(error).__name__})"


def _is_a(error: BaseException, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(error, kind)
