"""The twin of the lines of one partition."""

from twin.line.partition import PartitionTwin, Results
from twin.line.view import LineView

__all__ = ["LineView", "PartitionTwin", "Results"]
