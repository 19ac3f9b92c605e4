"""What people read of an audit root: figures of a shift, day, week, order or any span, and where they come from.

Everything here is made of rows (`rows`), laid end to end (`cover`), and summed before it is divided (`figures`). The
page, its API and `twin report` are made of the same functions, so that they cannot differ.
"""


class ReportError(RuntimeError):
    """There is no such line, shift, day or order, or nothing to report: says what there is instead."""
