"""Ranks and ties: who cannot be told apart may share a rank, against the comparisons of every pair."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lifelong.records.record import Record
from lifelong.reporting.statistics.comparison import compare
from lifelong.reporting.statistics.scores import contests
from lifelong.reporting.statistics.standings import Table, standings

Make = Callable[..., Record]
Runs = Callable[..., list[Record]]


def ranked(records: list[Record]) -> list[Table]:
    return standings(contests(records, {}), ["average_accuracy"])


def test_equal_values_share_a_rank(from_average: Make) -> None:
    records = [from_average(name, 0, average) for name, average in (("b", 0.5), ("a", 0.5), ("c", 0.4))]
    (table,) = ranked(records)
    assert [(row.rank, row.strategy) for row in table.rows] == [(1, "a"), (1, "b"), (3, "c")]


def test_who_cannot_be_told_apart_shares_a_rank(runs: Runs) -> None:
    """`high` has the higher mean than `wild`, and is better than `low`; `wild` is told apart from neither."""
    records = [
        *runs("low", [0.50, 0.51, 0.49, 0.50, 0.50]),
        *runs("high", [0.60, 0.61, 0.59, 0.60, 0.60]),
        *runs("wild", [0.30, 0.80, 0.45, 0.70, 0.65]),
    ]
    (table,) = ranked(records)
    assert [(row.rank, row.strategy) for row in table.rows] == [(1, "high"), (1, "wild"), (2, "low")]


def test_a_small_lead_in_every_seed_is_a_lead(runs: Runs) -> None:
    """Seeds differ far more than strategies do: what is compared is the difference in each seed."""
    luck = [0.1, 0.5, 0.9, 0.3, 0.7]
    records = [*runs("a", luck), *runs("b", [value + 0.01 for value in luck])]
    (table,) = ranked(records)
    a, b = (row.metrics["average_accuracy"] for row in sorted(table.rows, key=lambda row: row.strategy))
    assert b.low is not None
    assert a.high is not None
    assert b.low < a.high, "their intervals overlap"
    assert [(row.rank, row.strategy) for row in table.rows] == [(1, "b"), (2, "a")]


@pytest.mark.parametrize("scenarios", [1, 2])
def test_a_rank_is_one_more_than_how_many_are_better(runs: Runs, scenarios: int) -> None:
    luck = np.random.default_rng(scenarios)
    strategies = "abcdefg"
    records = [
        record
        for scenario in range(scenarios)
        for k, strategy in enumerate(strategies)
        for record in runs(strategy, luck.random(12) * 0.5 + k / 14, scenario=f"s{scenario}")
        if luck.random() < 0.9
    ]
    field = contests(records, {})
    pairs = list(itertools.permutations(strategies, 2))
    better = compare(field, "average_accuracy", pairs)
    for table in standings(field, ["average_accuracy"]):
        won = [one.second for one in better if one.scenario == table.scenario and one.verdict == "better"]
        assert {row.strategy: row.rank for row in table.rows} == {name: won.count(name) + 1 for name in strategies}
        assert [row.rank for row in table.rows] == sorted(row.rank or 0 for row in table.rows)
    assert len(better) == len(pairs) * (1 if scenarios == 1 else 3)
