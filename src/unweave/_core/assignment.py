"""The assignment problem: one column for each row of a table of costs, at the least sum."""

from __future__ import annotations

import math


def assign(costs: list[list[float]]) -> list[int]:
    """Give the column of each row.

    Rows are added one by one. Each adds the cheapest path of changes to the assignment so far,
    sought as a shortest path over costs that are reduced by the duals of rows and columns, which
    keeps them from being negative: rows^2 * columns steps in all.

    Args:
        costs: A table of finite numbers, at least as many columns as rows.

    Returns:
        A column for each row, none of them twice.

    Example:
        >>> assign([[1.0, 2.0, 9.0], [1.0, 5.0, 9.0]])
        [1, 0]

    References:
        [Jonker1987] A shortest augmenting path algorithm for dense and sparse linear assignment
        problems, Computing 38.
    """
    columns = len(costs[0]) if costs else 0
    row_dual, column_dual = [0.0] * len(costs), [0.0] * columns
    row_of = [-1] * columns  # the row that has a column
    for row in range(len(costs)):
        before, last = _path(costs, row, row_of, row_dual, column_dual)
        while last >= 0:  # hand every column of the path to the row before it
            column, last = last, before[last][1]
            row_of[column] = before[column][0]
    column_of = [0] * len(costs)
    for column, row in enumerate(row_of):
        if row >= 0:
            column_of[row] = column
    return column_of


def _path(
    table: list[list[float]],
    start: int,
    row_of: list[int],
    row_dual: list[float],
    column_dual: list[float],
) -> tuple[list[tuple[int, int]], int]:
    """Find the cheapest path from a row to a free column, and mend the duals.

    Returns:
        For each column on the path the row, and the column of that row, before it; the last column.
    """
    size = len(row_of)
    before = [(start, -1)] * size
    distance = [math.inf] * size
    done: list[int] = []
    open_columns = set(range(size))
    row, column, reached = start, -1, 0.0
    while True:
        for other in open_columns:
            cost = reached + table[row][other] - row_dual[row] - column_dual[other]
            if cost < distance[other]:
                distance[other], before[other] = cost, (row, column)
        column = min(open_columns, key=distance.__getitem__)
        reached = distance[column]
        if row_of[column] < 0:
            break
        open_columns.remove(column)
        done.append(column)
        row = row_of[column]
    row_dual[start] += reached
    for passed in done:
        row_dual[row_of[passed]] += reached - distance[passed]
        column_dual[passed] -= reached - distance[passed]
    return before, column
