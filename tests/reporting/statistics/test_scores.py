"""From records and a plan to contests: who takes part, with which values, and who should have."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lifelong.boards.plan import Cell
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.record import Record
from lifelong.reporting.statistics.scores import Contest, Entrant, contests

Make = Callable[..., Record]


def cell(record: Record, reason: str = "") -> Cell:
    """What plans such a run; impossible where there is a reason."""
    scenario: Any = SimpleNamespace(name=record.spec.scenario.name)
    strategy: Any = SimpleNamespace(name=record.spec.strategy.name)
    spec = None if reason else record.spec
    return Cell(scenario, strategy, record.spec.seed, "impossible" if reason else "missing", spec, reason)


def entrant(contest: Contest, label: str) -> Entrant:
    (found,) = (one for one in contest.entrants if one.label == label)
    return found


def test_values_are_arranged_by_seed_and_entrant(from_average: Make) -> None:
    averages = {("b", 3): 0.3, ("b", 0): 0.5, ("a", 0): 0.25, ("a", 1): 0.75}
    (contest,) = contests([from_average(name, seed, value) for (name, seed), value in averages.items()], {})
    assert (contest.scenario, contest.labels, contest.seeds) == ("digits-class", ("a", "b"), (0, 1, 3))
    expected = [[0.25, 0.5], [0.75, np.nan], [np.nan, 0.3]]
    np.testing.assert_array_equal(contest.values("average_accuracy"), expected)
    assert entrant(contest, "b").values("average_accuracy") == {0: 0.5, 3: 0.3}
    assert np.isnan(contest.values("forgetting")).all(), "one experience cannot be forgotten"
    assert entrant(contest, "b").values("forgetting") == {}


def test_every_metric_has_the_value_of_its_record(make_record: Make) -> None:
    record = make_record()
    (contest,) = contests([record], {})
    for name, metric in RUN_METRICS.items():
        exact = metric(record, contest.entrants[0].matrices[0])
        assert contest.entrants[0].values(name) == ({} if np.isnan(exact) else {0: exact})


def test_failed_runs_are_kept_beside_and_have_no_values(from_average: Make, make_record: Make) -> None:
    records = [
        make_record("ewc", 2, [[0.0], [1.0]], status="timeout", error="2 h"),
        make_record("ewc", 1, [[]]),
        from_average("ewc", 0, 0.5),
    ]
    (contest,) = contests(records, {})
    (found,) = contest.entrants
    assert [record.spec.seed for record in found.records] == [0, 1, 2]
    assert list(found.matrices) == [0]
    assert found.values("final_parameters") == {0: 101}
    assert contest.seeds == (0,)


def test_a_run_that_stands_twice_counts_once_and_the_last_one_counts(from_average: Make, make_record: Make) -> None:
    failed = make_record("ewc", 0, None, status="failed", error="Traceback")
    (contest,) = contests([failed, from_average("ewc", 0, 0.5)], {})
    assert [record.status for record in contest.entrants[0].records] == ["ok"]
    (contest,) = contests([from_average("ewc", 0, 0.5), failed], {})
    assert [record.status for record in contest.entrants[0].records] == ["failed"]


def test_the_order_of_the_records_does_not_matter(from_average: Make) -> None:
    records = [
        from_average(name, seed, 0.5, scenario=scenario, parameters={"strength": strength})
        for name in ("ewc", "si")
        for seed in range(3)
        for scenario in ("one", "two")
        for strength in (1, 2)
    ]
    first = contests(records, {})
    random.Random(0).shuffle(records)
    for one, other in zip(first, contests(records, {}), strict=True):
        assert [entrant.records for entrant in one.entrants] == [entrant.records for entrant in other.entrants]
    assert [contest.scenario for contest in first] == ["one", "two"]
    assert first[0].labels == ("ewc (strength=1)", "ewc (strength=2)", "si (strength=1)", "si (strength=2)")


def test_what_is_planned_takes_part_without_a_record(from_average: Make) -> None:
    planned = [from_average(name, seed, 0.0) for name in ("ewc", "si") for seed in range(5)]
    own = from_average("mine", 0, 0.4)
    records = [from_average("ewc", 0, 0.5), from_average("ewc", 1, 0.5), own]
    (contest,) = contests(records, {"si": "control"}, [cell(record) for record in planned])
    told = {one.label: (one.role, len(one.records), one.planned) for one in contest.entrants}
    assert told == {"ewc": ("contestant", 2, 5), "mine": ("contestant", 1, 5), "si": ("control", 0, 5)}
    assert contests([own], {})[0].entrants[0].planned == 1, "without a plan, what there is"


def test_who_cannot_take_part_is_told_once_for_each_scenario(from_average: Make) -> None:
    record = from_average("ewc", 0, 0.5, scenario="one")
    cells = [cell(record)]
    for scenario in ("one", "two"):
        cells += [cell(from_average("agem", seed, 0.5, scenario=scenario), f"no agem on {scenario}") for seed in (0, 1)]
    cells.append(cell(from_average("ewc", 0, 0.5, scenario="two")))
    one, two = contests([record], {}, cells)
    assert (one.labels, one.impossible) == (("ewc",), ("no agem on one",))
    assert (two.labels, two.impossible) == (("ewc",), ("no agem on two",))


def test_a_reference_of_another_shape_is_none(make_record: Make, from_average: Make) -> None:
    records = [make_record("cumulative", 0), from_average("ewc", 0, 0.5), make_record("si", 0)]
    (contest,) = contests(records, {"cumulative": "reference"})
    assert entrant(contest, "ewc").values("intransigence") == {}
    assert entrant(contest, "si").values("intransigence") == {0: 0.0}


def test_scenarios_that_share_a_name_are_told_apart(from_average: Make) -> None:
    field = contests([from_average("ewc", 0, 0.5, lr=lr) for lr in (0.1, 0.5)], {})
    assert {contest.scenario for contest in field} == {"digits-class (budget.lr=0.1)", "digits-class (budget.lr=0.5)"}
    assert len({contest.setting for contest in field}) == 2


@pytest.mark.parametrize("strengths", [(1, 2), ("x" * 40 + "1", "x" * 40 + "2"), ([1] * 20 + [2], [1] * 20 + [3])])
def test_entrants_that_differ_in_a_parameter_have_names_that_differ(from_average: Make, strengths: Any) -> None:
    records = [
        from_average("ewc", 0, 0.5, parameters={"strength": strength, "other": "the same for both"})
        for strength in strengths
    ]
    (contest,) = contests(records, {})
    assert len(set(contest.labels)) == 2
    assert all(label.startswith("ewc (strength=") for label in contest.labels)
    assert all("other" not in label for label in contest.labels)


def test_long_values_are_cut_where_they_differ_at_the_start(from_average: Make) -> None:
    records = [from_average("ewc", 0, 0.5, parameters={"path": path + "/" * 50}) for path in ("a", "b")]
    (contest,) = contests(records, {})
    assert contest.labels == ("ewc (path=a////////////////...)", "ewc (path=b////////////////...)")


def test_settings_of_one_strategy_share_its_name(from_average: Make) -> None:
    records = [from_average("ewc", 0, 0.5, parameters={"strength": strength}) for strength in (1, 2)]
    (contest,) = contests(records, {})
    assert contest.labels == ("ewc (strength=1)", "ewc (strength=2)")
    assert [one.strategy for one in contest.entrants] == ["ewc", "ewc"]


def test_no_records_are_no_contest() -> None:
    assert contests([], {}) == []
