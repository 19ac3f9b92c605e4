"""What was read and what was concluded, as Parquet that anyone can check again."""


class AuditError(Exception):
    """An audit root that cannot be written, read or trusted: says what, which file, and what to do next."""


class AlreadyPublishedError(AuditError):
    """A file of these very offsets is published: by another owner, or in an earlier life of the topic."""
