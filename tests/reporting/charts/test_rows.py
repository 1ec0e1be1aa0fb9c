"""The rows that charts are drawn of, against numbers worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lifelong.reporting.charts.rows import chosen, costs, curves, differences, forgotten, matrix
from lifelong.reporting.statistics.scores import contests

ROLES = {"naive": "floor", "joint": "ceiling", "cumulative": "reference"}
FORGETS = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.75, 0.0], [0.25, 0.5, 1.0]]
KEEPS = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.75, 0.0], [0.75, 1.0, 1.0]]
JOINT = [[0.0] * 3, [None] * 3, [None] * 3, [1.0] * 3]


def means(rows, **where):
    """By experience, of the rows with these values."""
    found = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return {row["experience"]: row["mean"] for row in found}


def test_curves_are_means_over_seeds_with_intervals(make_record):
    runs = [make_record("ewc", 0, FORGETS), make_record("ewc", 1, KEEPS), make_record("ewc", 2, None, status="failed")]
    rows = curves(contests(runs, ROLES))
    accuracy = {"metric": "average_accuracy"}
    assert means(rows, **accuracy) == pytest.approx({1: 1.0, 2: (0.625 + 0.875) / 2, 3: (1.75 / 3 + 2.75 / 3) / 2})
    assert means(rows, metric="forgetting") == pytest.approx({2: 0.25, 3: ((0.75 + 0.25) / 2 + 0.0) / 2})
    assert {row["n"] for row in rows} == {2}
    certain, unsure = (row for row in rows if row["metric"] == "average_accuracy" and row["experience"] < 3)
    assert certain["low"] == certain["mean"] == certain["high"]
    assert unsure["low"] < unsure["mean"] < unsure["high"]


def test_one_seed_has_no_interval_and_one_training_is_a_point_at_the_end(make_record):
    rows = curves(contests([make_record("joint", 0, JOINT)], ROLES))
    (row,) = rows
    assert row == {
        "scenario": "digits-class",
        "strategy": "joint",
        "metric": "average_accuracy",
        "experience": 3,
        "mean": 1.0,
        "low": None,
        "high": None,
        "n": 1,
    }


def test_each_experience_has_its_own_forgetting(make_record):
    rows = forgotten(contests([make_record("ewc", 0, FORGETS), make_record("si", 0, KEEPS)], ROLES))
    assert means(rows, strategy="ewc") == pytest.approx({1: 0.75, 2: 0.25})
    assert means(rows, strategy="si") == pytest.approx({1: 0.25, 2: -0.25})


def test_where_there_is_nothing_to_draw_there_are_no_rows(make_record):
    failed = contests([make_record("ewc", 0, None, status="failed")], ROLES)
    single = contests([make_record("ewc", 0, [[0.0], [1.0]])], ROLES)
    assert curves(failed) == forgotten(failed) == costs(failed, "average_accuracy", ["train_s"]) == []
    assert forgotten(single) == []
    assert differences(single, "average_accuracy", "ewc") == []


def test_runs_of_different_lengths_stand_side_by_side(make_record):
    short = make_record("ewc", 1, [[0.0], [0.5]])
    rows = curves(contests([make_record("ewc", 0, FORGETS), short], ROLES))
    assert means(rows, metric="average_accuracy") == pytest.approx({1: 0.75, 2: 0.625, 3: 1.75 / 3})


def test_chosen_entrants_come_in_the_order_of_the_choice(make_record):
    (contest,) = contests([make_record(name, 0, FORGETS) for name in ("a", "b", "c")], ROLES)
    some = chosen(contest, ["c", "nobody", "a"])
    assert [entrant.label for entrant in some.entrants] == ["c", "a"]
    assert list(dict.fromkeys(row["strategy"] for row in curves([some]))) == ["c", "a"]


def test_the_matrix_keeps_what_was_not_evaluated():
    rows = matrix(np.array([[0.5, np.nan], [1.0, 0.25], [0.75, 0.5]]))
    assert rows[:2] == [{"after": 0, "experience": 1, "accuracy": 0.5}, {"after": 0, "experience": 2, "accuracy": None}]
    assert rows[-1] == {"after": 2, "experience": 2, "accuracy": 0.5}


def test_the_front_is_of_rivals_alone(from_average):
    def run(name, average, seconds):
        record = from_average(name, 0, average)
        return record.model_copy(update={"times": record.times.model_copy(update={"train_s": [seconds]})})

    runs = [run("cheap", 0.5, 1.0), run("good", 0.9, 4.0), run("bad", 0.5, 2.0), run("twin", 0.9, 4.0)]
    runs += [run("joint", 1.0, 0.5), run("naive", 0.25, 5.0)]
    rows = {row["strategy"]: row for row in costs(contests(runs, ROLES), "average_accuracy", ["train_s"])}
    assert {name for name, row in rows.items() if row["front"]} == {"cheap", "good", "twin"}
    assert rows["bad"]["dominated_by"] == "cheap"
    assert set(rows["naive"]["dominated_by"].split(", ")) == {"cheap", "good", "bad", "twin"}
    assert rows["joint"]["dominated_by"] == ""
    assert (rows["bad"]["accuracy"], rows["bad"]["x"], rows["bad"]["cost"]) == (0.5, 2.0, "train_s")


def test_differences_are_paired_and_the_best_come_first(make_record):
    runs = [make_record(name, seed, R) for name, R in (("naive", FORGETS), ("si", KEEPS)) for seed in range(2)]
    worse = [[0.0] * 3, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    runs += [make_record("loses", seed, worse) for seed in range(2)]
    for metric, best, last in (("average_accuracy", 1 / 3, -0.25), ("forgetting", -0.5, 0.5)):
        rows = differences(contests(runs, ROLES), metric, "naive")
        assert [row["strategy"] for row in rows] == ["si", "loses"]
        assert [row["mean"] for row in rows] == pytest.approx([best, last])
        assert [row["improvement"] for row in rows] == [1.0, 0.0]
        assert {(row["n"], row["verdict"], row["baseline"]) for row in rows} == {(2, "too few seeds", "naive")}


def test_several_scenarios_have_their_differences_and_those_of_all(make_record):
    runs = [
        make_record(name, 0, R, scenario=scenario)
        for scenario in ("one", "two")
        for name, R in (("naive", FORGETS), ("si", KEEPS))
    ]
    rows = differences(contests(runs, ROLES), "average_accuracy", "naive")
    assert [row["scenario"] for row in rows] == ["one", "two", "all scenarios"]


def test_many_comparisons_are_corrected(make_record):
    noise = [0.05, 0.3, 0.2, 0.25, 0.1]
    base = [make_record("naive", seed, [[0.0], [0.25]]) for seed in range(5)]
    others = [make_record(f"s{k}", seed, [[0.0], [0.25 + gain]]) for k in range(4) for seed, gain in enumerate(noise)]
    alone = differences(contests(base + others[:5], ROLES), "average_accuracy", "naive")
    among = differences(contests(base + others, ROLES), "average_accuracy", "naive")
    assert among[0]["p"] == pytest.approx(4 * alone[0]["p"])


def test_every_row_is_json(make_record):
    runs = [make_record(name, seed, R) for name, R in (("naive", FORGETS), ("joint", JOINT)) for seed in range(3)]
    field = contests(runs, ROLES)
    rows = [*curves(field), *forgotten(field), *costs(field, "forgetting", ["final_parameters"])]
    rows += differences(field, "average_accuracy", "naive")
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
