"""Systems of linear equations in exact fractions, for the few unknowns of balances."""

from collections.abc import Sequence
from fractions import Fraction

Matrix = Sequence[Sequence[Fraction]]


def solve(matrix: Matrix, right: Matrix) -> list[list[Fraction]]:
    """X of A X = B by Gauss and Jordan. ValueError where A is singular."""
    n = len(matrix)
    rows = [[*left, *others] for left, others in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = next((k for k in range(i, n) if rows[k][i]), None)
        if pivot is None:
            raise ValueError("the equations depend on each other: no single solution")
        rows[i], rows[pivot] = rows[pivot], rows[i]
        head = rows[i][i]
        rows[i] = [one / head for one in rows[i]]
        for k in range(n):
            factor = rows[k][i]
            if k != i and factor:
                rows[k] = [one - factor * other for one, other in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows]


def transpose(matrix: Matrix) -> list[list[Fraction]]:
    return [list(column) for column in zip(*matrix, strict=True)]


def multiply(one: Matrix, other: Matrix) -> list[list[Fraction]]:
    columns = transpose(other)
    return [[sum((a * b for a, b in zip(row, column, strict=True)), Fraction()) for column in columns] for row in one]
