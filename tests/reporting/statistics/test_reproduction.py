"""Published numbers beside ours, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lifelong.boards.plan import Cell
from lifelong.boards.targets import Target
from lifelong.contracts import Scenario, Strategy
from lifelong.errors import UsageError
from lifelong.records.record import Record
from lifelong.reporting.statistics.reproduction import TargetOutcome, outcomes, status_of, summary
from lifelong.reporting.statistics.scores import contests

Make = Callable[..., Record]


def target(value: float = 0.92, tolerance: float = 0.01, strategy: str = "ewc", **more: Any) -> Target:
    known = {
        "scenario": "digits-class",
        "strategy": strategy,
        "value": value,
        "tolerance": tolerance,
        "source": "A, p. 1",
    }
    return Target.model_validate(known | more)


def method(setup: Any, ewc_lambda: float = 1.0, mode: str = "separate") -> None:
    """What any strategy of these tests is."""


def cell(record: Record, reason: str = "") -> Cell:
    """A board's, which that record is of."""
    return Cell(
        Scenario(print, record.spec.scenario.name),
        Strategy(method, record.spec.strategy.name),
        record.spec.seed,
        "impossible" if reason else "done",
        spec=None if reason else record.spec,
        reason=reason,
    )


def became(wanted: Target, records: Sequence[Record], cells: Sequence[Cell] | None = None) -> TargetOutcome:
    cells = [cell(record) for record in records] if cells is None else cells
    (found,) = outcomes([wanted], cells, contests(records, {}, cells))
    return found


@pytest.mark.parametrize(
    ("mean", "value", "tolerance", "status"),
    [
        (0.92, 0.92, 0.0, "reproduced"),
        (0.93, 0.92, 0.01, "reproduced"),  # 0.93 - 0.92 is 0.010000000000000009
        (0.91, 0.92, 0.01, "reproduced"),
        (0.9301, 0.92, 0.01, "above"),
        (0.9099, 0.92, 0.01, "below"),
        (0.0, 0.0, 0.0, "reproduced"),
        (1e-6, 0.0, 0.0, "above"),
        (-0.06, -0.05, 0.01, "reproduced"),
        (-0.07, -0.05, 0.01, "below"),
        (1.0, 0.2, 1.0, "reproduced"),
    ],
)
def test_the_tolerance_decides_and_belongs_to_it(mean: float, value: float, tolerance: float, status: str) -> None:
    assert status_of(mean, target(value, tolerance)) == status


def test_the_mean_over_seeds_decides_whatever_its_interval(from_average: Make) -> None:
    records = [from_average("ewc", seed, average) for seed, average in enumerate((0.80, 0.90, 1.00))]
    found = became(target(0.92, 0.01), records)
    assert found.ours.mean == pytest.approx(0.90)
    assert found.ours.low is not None
    assert found.ours.high is not None
    assert found.ours.low < 0.91 < 0.93 < found.ours.high  # all of 0.92 ± 0.01 lies within
    assert (found.status, found.ours.n, found.planned, found.few) == ("below", 3, 3, False)
    assert found.difference == pytest.approx(-0.02)


def test_above_is_of_the_number_even_where_less_is_better(make_record: Make) -> None:
    found = became(target(0.10, 0.05, metric="forgetting"), [make_record("ewc", 0)])  # forgets 0.25
    assert (found.status, found.difference) == ("above", pytest.approx(0.15))


def test_failed_runs_have_no_say_and_are_seen_in_the_number_of_seeds(from_average: Make, make_record: Make) -> None:
    failed = [make_record("ewc", seed, None, status="failed", error="diverged") for seed in (1, 2)]
    one = became(target(0.5, 0.1), [from_average("ewc", 0, 0.5), *failed])
    assert (one.status, one.ours.n, one.planned, one.few) == ("reproduced", 1, 3, True)
    none = became(target(0.5, 0.1), failed)
    assert (none.status, none.ours.n, none.reason, none.difference) == ("not run", 0, "every run failed", None)
    assert not none.few


def test_what_is_not_defined_for_who_trains_once_is_no_number(make_record: Make) -> None:
    R = [[0.1, 0.1], [None, None], [0.9, 0.7]]
    records = [make_record("joint", seed, R) for seed in range(3)]
    assert became(target(0.8, 0.001, "joint"), records).status == "reproduced"
    undefined = became(target(0.1, 0.1, "joint", metric="forgetting"), records)
    assert (undefined.status, undefined.ours.n) == ("not run", 0)
    assert undefined.reason == "forgetting is not defined for its runs"


def test_seeds_for_which_a_metric_is_not_defined_are_left_out(make_record: Make) -> None:
    rows = [[0.2, 0.2, 0.2], [1.0, None, 0.2], [0.9, 1.0, 0.2], [0.8, 0.8, 1.0]]
    complete = [[0.2] * 3, [1.0, 0.4, 0.2], [0.9, 1.0, 0.2], [0.8, 0.8, 1.0]]
    records = [make_record("ewc", 0, rows), make_record("ewc", 1, complete)]
    found = became(target(0.1, 0.01, metric="forward_transfer"), records)  # of seed 1: (0.4 - 0.2 + 0.2 - 0.2) / 2
    assert (found.status, found.ours.mean, found.ours.n) == ("reproduced", pytest.approx(0.1), 1)


def test_a_target_without_runs(from_average: Make) -> None:
    there, missing = from_average("ewc", 0, 0.92), from_average("si", 0, 0.92)
    cells = [cell(there), cell(missing)]
    assert became(target(strategy="si"), [there], cells).status == "not run"
    assert became(target(strategy="si"), [], cells).status == "not run"
    impossible = became(target(strategy="si"), [there], [cell(there), cell(missing, "si needs what is not there")])
    assert (impossible.status, impossible.reason) == ("not run", "si needs what is not there")
    assert impossible.spec is None


def test_what_was_left_out_of_the_plan_is_left_out(from_average: Make) -> None:
    record = from_average("ewc", 0, 0.92)
    wanted = [target(), target(strategy="si"), target(scenario="digits-task")]
    found = outcomes(wanted, [cell(record)], contests([record], {}, [cell(record)]))
    assert [one.target for one in found] == [wanted[0]]


def test_a_name_means_the_boards_own_parameters_and_with_parameters_others(from_average: Make) -> None:
    own = [from_average("ewc", seed, 0.92, parameters={"ewc_lambda": 1.0, "mode": "online"}) for seed in range(3)]
    other = [from_average("ewc", seed, 0.70, parameters={"ewc_lambda": 5.0, "mode": "online"}) for seed in range(2)]
    cells = [cell(record) for record in own]
    assert became(target(), [*own, *other], cells).status == "reproduced"
    for name in ("ewc (ewc_lambda=5.0)", "ewc (ewc_lambda=5)", "ewc (mode=online, ewc_lambda=5.0)"):
        found = became(target(strategy=name), [*own, *other], cells)
        assert (found.status, found.ours.mean, found.ours.n) == ("below", pytest.approx(0.70), 2)
    for nobody in ("ewc (mode=separate)", "ewc (ewc_lambda=7.0)"):
        found = became(target(strategy=nobody), [*own, *other], cells)
        assert (found.status, found.reason) == ("not run", "")
        assert found.spec is not None
        assert found.spec.strategy.identity not in {record.spec.strategy.identity for record in (*own, *other)}
    with pytest.raises(UsageError, match="no parameter of ewc 'lambda'"):
        became(target(strategy="ewc (lambda=7.0)"), own, cells)


def test_the_same_name_may_have_other_parameters_on_another_scenario(from_average: Make) -> None:
    here = from_average("ewc", 0, 0.92, parameters={"ewc_lambda": 1.0})
    there = from_average("ewc", 0, 0.40, parameters={"ewc_lambda": 9.0}, scenario="digits-task")
    found = [became(wanted, [here, there]).status for wanted in (target(), target(scenario="digits-task"))]
    assert found == ["reproduced", "below"]


def test_records_under_another_budget_do_not_count(from_average: Make) -> None:
    own, other = from_average("ewc", 0, 0.92), from_average("ewc", 0, 0.5, lr=0.3)
    assert became(target(), [own, other], [cell(own)]).status == "reproduced"


def test_the_summary_counts_what_was_run(from_average: Make) -> None:
    records = [from_average(name, 0, average) for name, average in (("ewc", 0.92), ("si", 0.5), ("lwf", 0.99))]
    missing = from_average("mas", 0, 0.9)
    cells = [cell(record) for record in (*records, missing)]
    wanted = [target(strategy=name) for name in ("ewc", "si", "lwf", "mas")]
    found = outcomes(wanted, cells, contests(records, {}, cells))
    assert summary(found) == "1 of 3 reproduced, 1 above, 1 below; 1 not run"
    assert summary(found[:1]) == "1 of 1 reproduced"
    assert summary(found[1:2]) == "0 of 1 reproduced, 1 below"
    assert summary(found[3:]) == "1 not run"
    assert summary([]) == ""
