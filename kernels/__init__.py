"""Numbers only: numpy and numba. No I/O, no clock, no objects, no text."""
