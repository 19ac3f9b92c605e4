"""Figures of mass production as pure functions: charts, energy, defects, flow, cost, maintenance, supply and more.

Each module has the functions of one part of the field with formula, source, units and errors; `KINDS` maps the kinds of
the golden cases to functions of their `given`. What is exact stays exact (`Fraction`); undefined is None, never 0.
Nothing here reads a clock, an environment or chance, and no state is kept.
"""

from twin.figures.kinds import KINDS

__all__ = ["KINDS"]
