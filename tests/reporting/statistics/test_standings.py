"""From contests to rankings, against cases worked by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import trim_mean

from lifelong.contracts import Role
from lifelong.errors import UsageError
from lifelong.records.entries import Learning
from lifelong.records.record import Record
from lifelong.reporting.statistics.bootstrap import Interval, mean_interval
from lifelong.reporting.statistics.comparison import ALL
from lifelong.reporting.statistics.scores import contests
from lifelong.reporting.statistics.standings import Table, standings
from lifelong.reporting.text.rankings import ranking_report
from lifelong.reporting.text.render import render

Make = Callable[..., Record]
Runs = Callable[..., list[Record]]

ROLES: dict[str, Role] = {"naive": "floor", "joint": "ceiling", "cumulative": "reference"}


def ranked(
    records: Iterable[Record], metrics: Sequence[str] = ("average_accuracy",), roles: Mapping[str, Role] | None = None
) -> list[Table]:
    return standings(contests(records, roles or {}), metrics)


def names(table: Table) -> list[str]:
    return [row.strategy for row in table.rows]


def test_who_is_better_in_the_first_metric_ranks_higher(runs: Runs) -> None:
    records = [*runs("naive", [0.2, 0.3, 0.4]), *runs("ewc", [0.5, 0.9]), *runs("joint", [0.9, 1.0])]
    (table,) = ranked(records, roles=ROLES)
    assert table.scenario == "digits-class"
    assert [(row.rank, row.strategy, row.role, row.n) for row in table.rows] == [
        (1, "joint", "ceiling", 2),
        (2, "ewc", "contestant", 2),
        (3, "naive", "floor", 3),
    ]
    assert [row.metrics["average_accuracy"].mean for row in table.rows] == pytest.approx([0.95, 0.7, 0.3])
    assert table.rows[2].metrics["average_accuracy"] == mean_interval([0.2, 0.3, 0.4])


def test_less_forgetting_ranks_higher(make_record: Make) -> None:
    keeps = make_record("keeps", 0, [[0.0, 0.0], [0.9, 0.0], [0.8, 0.5]])
    loses = make_record("loses", 0, [[0.0, 0.0], [0.9, 0.0], [0.1, 1.0]])
    (table,) = ranked([loses, keeps], ["forgetting", "average_accuracy"])
    assert names(table) == ["keeps", "loses"]
    assert table.rows[0].metrics["forgetting"].mean == pytest.approx(0.1)


def test_the_second_metric_ranks_too(make_record: Make) -> None:
    keeps = make_record("keeps", 0, [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]])
    learns = make_record("learns", 0, [[0.0, 0.0], [1.0, 0.0], [0.75, 0.5]])
    joint = make_record("joint", 0, [[0.0, 0.0], [None, None], [1.0, 1.0]])
    (table,) = ranked([keeps, learns, joint], ["average_accuracy", "forgetting", "final_parameters"], ROLES)
    assert names(table) == ["joint", "learns", "keeps"]
    assert [row.ranks for row in table.rows] == [
        {"average_accuracy": 1, "forgetting": None},
        {"average_accuracy": 2, "forgetting": 2},
        {"average_accuracy": 3, "forgetting": 1},
    ]
    assert table.rows[0].metrics["final_parameters"].mean == 102


def test_where_nobody_has_the_first_metric_the_next_one_ranks(make_record: Make) -> None:
    metrics = ["average_accuracy", "online_loss", "last_online_loss", "train_s"]
    records = [
        make_record(name, 0, [[None]] * 2).model_copy(update={"learning": [Learning(online_loss=loss)]})
        for name, loss in (("a", 2.0), ("b", 1.0))
    ]
    (table,) = ranked(records, metrics)
    assert [(row.strategy, row.ranks) for row in table.rows] == [
        ("b", {"online_loss": 1, "last_online_loss": 1}),
        ("a", {"online_loss": 2, "last_online_loss": 2}),
    ]
    assert "There is no average accuracy here: ranked by online loss." in render(ranking_report([table], metrics), "md")
    # what a run costs ranks only where that is asked for
    assert list(ranked(records, ["online_loss", "forgetting", "train_s"])[0].rows[0].ranks) == ["online_loss"]
    assert list(ranked(records, ["train_s"])[0].rows[0].ranks) == ["train_s"]


def test_failures_are_counted_and_never_hidden(from_average: Make, make_record: Make) -> None:
    failed = [make_record("si", seed, None, status="timeout", error="2 h") for seed in (0, 1)]
    half = make_record("ewc", 1, None, status="failed", error="Traceback")
    (table,) = ranked([*failed, half, from_average("ewc", 0, 0.5)])
    assert [(row.rank, row.strategy, row.n, row.failures) for row in table.rows] == [
        (1, "ewc", 1, 1),
        (None, "si", 0, 2),
    ]
    assert table.rows[1].metrics["average_accuracy"] == Interval(None, None, None, 0)


def test_a_failed_runs_accuracies_do_not_count(make_record: Make, from_average: Make) -> None:
    failed = make_record("ewc", 1, [[0.0], [1.0]], status="failed", error="Traceback")
    (table,) = ranked([failed, from_average("ewc", 0, 0.5)])
    assert table.rows[0].metrics["average_accuracy"].mean == 0.5


def test_a_record_of_no_experience_is_a_failure(make_record: Make) -> None:
    (table,) = ranked([make_record("odd", 0, [[]]), make_record("odd", 1, [])])
    assert [(row.rank, row.n, row.failures) for row in table.rows] == [(None, 0, 2)]


# --- rows and tables --------------------------------------------------------------------------------------------------


def test_settings_of_one_strategy_are_rows_of_their_own(runs: Runs) -> None:
    records = [
        record
        for strength in (1, 2)
        for record in runs("ewc", [0.5 + strength / 10] * 2, parameters={"strength": strength, "mode": "online"})
    ]
    (table,) = ranked(records)
    assert [(row.strategy, row.n) for row in table.rows] == [("ewc (strength=2)", 2), ("ewc (strength=1)", 2)]
    assert [row.rank for row in table.rows] == [1, 2]


def test_scenarios_and_settings_are_tables_of_their_own(from_average: Make) -> None:
    records = [
        from_average("naive", 0, 0.5, scenario="digits-task"),
        from_average("naive", 0, 0.6, lr=0.1),
        from_average("ewc", 0, 0.7, lr=0.5),
    ]
    tables = {table.scenario: names(table) for table in ranked(records)}
    assert tables == {
        "digits-task": ["naive"],
        "digits-class (budget.lr=0.1)": ["naive"],
        "digits-class (budget.lr=0.5)": ["ewc"],
    }


def test_intransigence_is_measured_against_the_reference_of_the_same_seed(make_record: Make) -> None:
    records = [
        make_record("cumulative", 0, [[0.0], [0.9]]),
        make_record("cumulative", 1, [[0.0], [0.8]]),
        make_record("ewc", 0, [[0.0], [0.7]]),
        make_record("ewc", 1, [[0.0], [0.7]]),
        make_record("ewc", 2, [[0.0], [0.1]]),  # no reference has this seed
        make_record("si", 2, [[0.0], [0.1]]),
        make_record("lwf", 0, [[0.0], [0.1]], scenario="digits-task"),
    ]
    main, task = ranked(records, ["intransigence"], ROLES)
    found = {row.strategy: row.metrics["intransigence"] for row in main.rows}
    assert found["ewc"].mean == pytest.approx((0.2 + 0.1) / 2)
    assert found["ewc"].n == 2
    assert found["cumulative"].mean == 0
    assert found["si"] == Interval(None, None, None, 0)
    assert task.rows[0].metrics["intransigence"].mean is None
    assert names(main) == ["cumulative", "ewc", "si"]


def test_an_undefined_metric_leaves_the_others_alone(make_record: Make) -> None:
    joint = [[0.1, 0.1], [None, None], [0.9, 0.8]]
    (table,) = ranked([make_record("joint", 0, joint)], ["average_accuracy", "forgetting"], ROLES)
    assert table.rows[0].metrics["average_accuracy"].mean == pytest.approx(0.85)
    assert table.rows[0].metrics["forgetting"] == Interval(None, None, None, 0)


def test_the_order_of_the_records_does_not_matter(runs: Runs) -> None:
    records = [
        record
        for scenario in ("one", "two")
        for name, weight in (("a", 0.1), ("b", 0.11), ("c", 0.1))
        for record in runs(name, [(seed + 1) * weight for seed in range(5)], scenario=scenario)
    ]
    first = ranked(records)
    random.Random(0).shuffle(records)
    assert ranked([*records, records[0]]) == first


def test_a_row_is_the_same_whoever_else_takes_part(runs: Runs) -> None:
    luck = np.random.default_rng(0)
    many = {f"s{k}": runs(f"s{k}", luck.random(7)) for k in range(40)}
    (table,) = ranked([record for records in many.values() for record in records])
    (alone,) = ranked(many["s7"])
    assert alone.rows[0].metrics == next(row for row in table.rows if row.strategy == "s7").metrics


def test_an_unknown_metric_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'forgetting'"):
        standings([], ["forgeting"])


# --- all scenarios ----------------------------------------------------------------------------------------------------


def test_all_scenarios_together_come_first(runs: Runs) -> None:
    records = [
        *runs("a", [0.9, 0.8, 0.7], scenario="one"),
        *runs("a", [0.5, 0.3], scenario="two"),
        *runs("b", [0.2, 0.1, 0.3], scenario="one"),
        *runs("b", [0.1, 0.1], scenario="two"),
    ]
    overall, one, two = ranked(records)
    assert [overall.scenario, one.scenario, two.scenario] == [ALL, "one", "two"]
    a, b = overall.rows
    assert [(row.strategy, row.rank, row.n) for row in (a, b)] == [("a", 1, 5), ("b", 2, 5)]
    assert a.metrics["average_accuracy"].mean == pytest.approx((0.8 + 0.4) / 2), "scenarios weigh alike"
    assert a.interquartile is not None
    assert a.interquartile.mean == pytest.approx(trim_mean([0.9, 0.8, 0.7, 0.5, 0.3], 0.25))
    assert a.interquartile.n == 5
    assert {row.interquartile for table in (one, two) for row in table.rows} == {None}


def test_who_misses_a_scenario_has_no_rank_on_all(runs: Runs, make_record: Make) -> None:
    records = [
        *runs("a", [0.5, 0.6], scenario="one"),
        *runs("a", [0.5, 0.6], scenario="two"),
        *runs("b", [0.9, 0.9], scenario="one"),
        make_record("b", 0, None, scenario="two", status="failed", error="Traceback"),
        *runs("c", [0.9, 0.9], scenario="two"),
    ]
    overall, one, _ = ranked(records)
    assert [(row.strategy, row.rank, row.n, row.failures) for row in overall.rows] == [
        ("a", 1, 4, 0),
        ("b", None, 2, 1),
        ("c", None, 2, 0),
    ]
    assert overall.rows[1].metrics["average_accuracy"] == Interval(None, None, None, 2)
    assert [(row.strategy, row.rank) for row in one.rows] == [("b", 1), ("a", 2)]
    assert "Who is not on every scenario has no mean and no rank" in render(
        ranking_report([overall], ["average_accuracy"]), "md"
    )
    assert "Who is not on every scenario" not in render(ranking_report([one], ["average_accuracy"]), "md")


def test_scenarios_without_a_metric_in_common_are_not_added_up(make_record: Make) -> None:
    """One problem has an accuracy and a loss, the other only an error: a mean of both would mean nothing."""
    metrics = ["average_accuracy", "online_loss", "train_s"]
    records = [
        *(make_record(name, 0, scenario="classes") for name in "ab"),
        *(make_record(name, 0, [[None], [None]], scenario="numbers") for name in "ab"),
    ]
    assert [table.scenario for table in ranked(records, metrics)] == ["classes", "numbers"]
    assert [table.scenario for table in ranked(records, ["train_s"])] == [ALL, "classes", "numbers"]


def test_seeds_are_enough_or_not(runs: Runs) -> None:
    (table,) = ranked([*runs("five", [0.5] * 5), *runs("four", [0.4] * 4)])
    assert [(row.strategy, row.enough) for row in table.rows] == [("five", True), ("four", False)]
    records = [
        record
        for name, sizes in (("a", (3, 3)), ("b", (5, 2)), ("c", (5, 0)))
        for scenario, n in enumerate(sizes)
        for record in runs(name, [0.5] * n, scenario=f"s{scenario}")
    ]
    overall = ranked(records)[0]
    assert {row.strategy: row.enough for row in overall.rows} == {"a": True, "b": False, "c": False}
