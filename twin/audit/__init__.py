"""What was read and what was concluded, as Parquet that anyone can check again."""


class AuditError(Exception):
    """An audit root that cannot be written, read or trusted: says what, which file, and what to do next."""


class AlreadyPublishedError(AuditError):
    """A file of these very offsets is published: by another owner, or in an earlier life of the topic."""


class GoneError(AuditError):
    """Rows that waited are not there: another owner has made a file of them, or somebody took them away."""
