"""The plant: site, areas, lines, stations, buffers, products, calendars, read from TOML."""

from twin.plant.load import SourceRule, kept, load, loads, sources
from twin.plant.problem import PlantError, Problem

__all__ = ["PlantError", "Problem", "SourceRule", "kept", "load", "loads", "sources"]
