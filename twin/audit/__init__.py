"""What was read and what was concluded, as Parquet that anyone can check again."""


class AuditError(Exception):
    """An audit root that cannot be written, read or trusted: says what, which file, and what to do next."""
