"""The product's own benchmarks: `twin bench`.

Each benchmark is declared (`declare.Benchmark`) with its hot path, its input, and what is counted and why. `catalog`
lists them, `run` runs them, `figures` is the JSON they are written as, `report` makes the tables of docs/performance.md
from it.
"""
