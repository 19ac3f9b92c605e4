"""Reasons of refusals that cannot be decided from the record alone: its key, a fold that failed, or its lack did it."""

from typing import Final

WRONG_LINE_KEY: Final = "wrong_line_key"  # the record's key or partition says another line than its event
INTERNAL_ERROR: Final = "internal_error"  # the fold failed over it, three times
DELETED_BY_RETENTION: Final = "deleted_by_retention"  # Kafka deleted it before it was read

NOT_FROM_RECORD: Final = frozenset({WRONG_LINE_KEY, INTERNAL_ERROR, DELETED_BY_RETENTION})
