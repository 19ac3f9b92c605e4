"""Time as people write it: zones, durations, instants."""
