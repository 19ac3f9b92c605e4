"""Exit codes of a worker, and the ways it ends itself."""

import logging
import os
from typing import Final, NoReturn

log = logging.getLogger(__name__)

OK: Final = 0
USAGE: Final = 2  # a setting that cannot be used: a person must mend it
NO_KAFKA: Final = 1  # no broker or no topics, or Faust gave up: start again after a while
INTERNAL: Final = 70  # an unexpected error: nothing is committed, a restart replays from the snapshot
FENCED: Final = 71  # six commits fenced in a row: two workers with one instance id
WATCHDOG: Final = 72  # partitions assigned, but no state for them
STATE: Final = 73  # group, snapshots and audit root do not fit together: a person must decide
STORAGE: Final = 74  # the disk took nothing for too long: nothing is committed, a restart replays from the snapshot
REFUSED: Final = 77  # Kafka does not let us in, or is not who it should be: a person must mend the settings
HARD_STOP: Final = 75  # a stop, or its last checkpoint, did not end within its limit: the next owner replays


def end_now(code: int, message: str, error: BaseException | None = None) -> NoReturn:
    """Log and end the process at once, without a commit: what was not checkpointed is replayed.

    Not an exception: Faust would acknowledge the record, restart the agent and go on behind it.
    """
    log.critical("%s; exit code %d", message, code, exc_info=error)
    logging.shutdown()
    os._exit(code)
