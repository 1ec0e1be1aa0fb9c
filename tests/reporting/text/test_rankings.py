"""What a reader sees of a ranking, in the terminal and in files."""

import csv
import io
import json
import re

import pytest
from rich.console import Console

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.statistics.bootstrap import Interval
from lifelong.reporting.statistics.comparison import ALL as ALL_SCENARIOS
from lifelong.reporting.statistics.scores import contests
from lifelong.reporting.statistics.standings import Row, Table, standings
from lifelong.reporting.text import render as renderer
from lifelong.reporting.text.numbers import write
from lifelong.reporting.text.rankings import ranking_report

ROLES = {"naive": "floor", "joint": "ceiling"}
ALL = tuple(dict.fromkeys(["average_accuracy", "forgetting", *RUN_METRICS]))


def printed(tables, metrics, width=80):
    console = Console(width=width, file=io.StringIO())
    renderer.show(console, ranking_report(tables, metrics))
    return console.file.getvalue()


def render(tables, form, metrics):
    return renderer.render(ranking_report(tables, metrics), form)


def every_row(tables):
    return [row for table in tables for row in table.rows]


def table(*rows, scenario="digits-class", impossible=()):
    return Table(scenario, rows, impossible)


def row(strategy="ewc", rank=1, n=5, failures=0, role="contestant", interquartile=None, **metrics):
    known = {"average_accuracy": Interval(0.9123, 0.905, 0.9194, n)} | metrics
    return Row({"average_accuracy": rank}, strategy, role, n, 5, failures, n >= 5, known, interquartile)


@pytest.fixture
def board(make_record):
    """Four strategies on two scenarios: one of them failed, one undefined over time."""
    joint = [[0.1, 0.1, 0.1], *[[None] * 3] * 2, [0.9, 0.8, 0.7]]
    records = [
        make_record(strategy, seed, scenario=scenario)
        for strategy in ("naive", "ewc")
        for scenario in ("digits-class", "digits-task")
        for seed in (0, 1)
    ]
    records += [make_record("joint", seed, joint) for seed in (0, 1)]
    records += [make_record("si", 0, None, status="out of memory", error="killed")]
    return standings(contests(records, ROLES), ALL)


def test_the_terminal_shows_rank_mean_interval_coverage_and_failures():
    text = printed([table(row("ewc"), row("si", None, 0, 2, average_accuracy=Interval(None, None, None, 0)))], ALL[:1])
    line = next(line for line in text.splitlines() if "ewc" in line)
    assert line.split() == ["1", "ewc", "0.912", "[0.905,", "0.919]", "5/5", "0"]
    line = next(line for line in text.splitlines() if " si " in line)
    assert line.split() == ["-", "si", "-", "0/5", "2"]


def test_the_terminal_marks_the_fixed_points_and_states_the_formulas(board):
    text = printed(board, ALL[:3])
    assert "naive (floor)" in text
    assert "joint (ceiling)" in text
    assert "95 % bootstrap interval over seeds" in text
    for name in ALL[:3]:
        assert RUN_METRICS[name].formula in text.replace("\n", " ")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, len(ALL)])
def test_eighty_columns_hold_every_number_of_any_choice_of_metrics(board, count):
    text = printed(board, ALL[:count])
    assert max(map(len, text.splitlines())) <= 80
    for found in every_row(board):
        for name in ALL[:count]:
            if (mean := found.metrics[name].mean) is not None:
                assert f" {write(mean, RUN_METRICS[name].quantity)} " in text.replace("\n", " ")
    assert "…" not in text


def test_long_names_are_folded_not_cut():
    name = "grow-" * 30
    text = printed([table(row(name))], ALL[:1])
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("grow-") + text.count("gro") >= 30
    assert "0.912 [0.905, 0.919]" in text


@pytest.mark.parametrize("shown", [printed, lambda tables, metrics: render(tables, "md", metrics)])
def test_a_ranking_that_rests_on_few_seeds_says_so(shown):
    single = {"n": 1, "average_accuracy": Interval(0.5, None, None, 1)}
    none = {"rank": None, "n": 0, "average_accuracy": Interval(None, None, None, 0)}
    for rows, warning in (
        ([row(**single)], "This ranking rests on one seed"),
        ([row(**single), row("si", **none)], "This ranking rests on one seed"),
        ([row(**single), row("si", 2)], "Some rows rest on few seeds"),
        ([row(n=4), row("si", 2)], "Some rows rest on few seeds"),
        ([row(n=4), row("si", 2, n=2)], "This ranking rests on few seeds"),
        ([row(), row("si", 2)], ""),
        ([row(), row("si", **none)], ""),
    ):
        text = " ".join(shown([table(*rows)], ALL[:1]).split())
        assert warning in text
        assert text.count(" rest on ") + text.count(" rests on ") == (1 if warning else 0)


def test_a_ranking_on_all_scenarios_that_rests_on_one_seed_of_each_says_so(make_record):
    for seeds, warning in ((1, "This ranking rests on one seed"), (2, "This ranking rests on few seeds")):
        records = [make_record("ewc", seed, scenario=scenario) for scenario in "ab" for seed in range(seeds)]
        overall, *_ = standings(contests(records, {}), ALL[:1])
        assert overall.rows[0].n == 2 * seeds
        assert warning in render([overall], "md", ALL[:1])


def test_who_cannot_take_part_is_told_with_the_reason():
    reasons = ("der needs single head, which `digits-task` does not give", "agem needs\x1b[2J task labels")
    tables = [table(row(), impossible=reasons)]
    text = " ".join(printed(tables, ALL[:1], width=200).split())
    assert "Impossible: der needs single head, which `digits-task` does not give; agem needs" in text
    assert "\x1b" not in text
    assert r"**Impossible: der needs single head, which \`digits-task\` does not" in render(tables, "md", ALL[:1])
    lines = list(csv.DictReader(io.StringIO(render(tables, "csv", ALL[:1]))))
    assert [(line["scenario"], line["strategy"], line["impossible"]) for line in lines] == [
        ("digits-class", "ewc", ""),
        *(("digits-class", "", reason) for reason in reasons),
    ]
    assert json.loads(render(tables, "json", ALL[:1]))["tables"][0]["impossible"] == list(reasons)


def test_a_mean_over_fewer_seeds_than_the_row_has_says_so():
    found = render([table(row(n=3, average_accuracy=Interval(0.5, 0.4, 0.6, 2)))], "md", ALL[:1])
    assert "| 0.500 [0.400, 0.600] (n = 2) | 3/5 |" in found


def test_a_rank_that_rests_on_a_part_of_the_runs_has_a_mark():
    told = "† Some of its runs have failed: its rank and its numbers rest on the others alone."
    for form in ("terminal", "md"):
        tables = [table(row("ewc", 1, 4, failures=1), row("si", 2))]
        found = printed(tables, ALL[:1]) if form == "terminal" else render(tables, form, ALL[:1])
        assert re.search(r"\b1† +(\| )?ewc", found)
        assert re.search(r"\b2 +(\| )?si", found)
        assert told in " ".join(found.split())
    assert "†" not in render([table(row("ewc"), row("si", None, 0, failures=5))], "md", ALL[:1])


def test_markdown_is_a_table_for_all_scenarios_and_for_each(board):
    sections = render(board, "md", ALL[:2]).split("### ")[1:]
    assert [section.splitlines()[0] for section in sections] == ["all scenarios", "digits-class", "digits-task"]
    overall, one, _ = ([line for line in section.splitlines() if line.startswith("|")] for section in sections)
    assert {line.count("|") for line in one} == {8}
    assert one[0] == "| # | strategy | Average accuracy ↑ | # | Forgetting ↓ | cells | failed |"
    assert "| 1 | joint (ceiling) | 0.800 [0.800, 0.800] | - | - | 2/2 | 0 |" in one
    assert "| 2 | ewc | 0.708 [0.708, 0.708] | 1 | 0.250 [0.250, 0.250] | 2/2 | 0 |" in one
    assert "| - | si | - | - | - | 0/1 | 1 |" in one
    assert overall[0] == (
        "| # | strategy | Average accuracy ↑ | Interquartile mean ↑ | # | Forgetting ↓ | cells | failed |"
    )
    averages = "0.708 [0.708, 0.708] | 0.708 [0.708, 0.708]"
    assert f"| 1 | ewc | {averages} | 1 | 0.250 [0.250, 0.250] | 4/4 | 0 |" in overall
    assert "| - | joint (ceiling) | - | - | - | - | 2/4 | 0 |" in overall
    assert "- On all scenarios: the mean of the scenarios' means; interquartile mean: of the" in sections[-1]


def test_the_second_rank_stands_before_its_metric(make_record):
    keeps = make_record("keeps", 0, [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]])
    learns = make_record("learns", 0, [[0.0, 0.0], [1.0, 0.0], [0.75, 0.5]])
    tables = standings(contests([keeps, learns], {}), ["average_accuracy", "forgetting", "train_s"])
    lines = [line.split() for line in printed(tables, ["average_accuracy", "forgetting", "train_s"]).splitlines()]
    assert ["1", "learns", "0.625", "2", "0.250", "4", "s", "1/1", "0"] in lines
    assert ["2", "keeps", "0.500", "1", "0.000", "4", "s", "1/1", "0"] in lines
    text = " ".join(printed(tables, ["average_accuracy", "forgetting"]).split())
    assert "Ranked by average accuracy; the second # ranks by forgetting." in text


def test_costs_have_a_table_of_their_own_where_they_do_not_fit():
    metrics = ["average_accuracy", "forgetting", "final_parameters", "average_parameters", "training_macs"]
    found = {name: Interval(85_432.0, 85_000.0, 86_000.0, 5) for name in metrics[2:]}
    found["forgetting"] = Interval(0.25, 0.2, 0.3, 5)
    tables = [table(row("neuroplasticity", role="control", **found))]
    for width, number_of_tables in ((100, 2), (140, 1)):
        rows = [line for line in printed(tables, metrics, width).splitlines() if "neuroplasticity (control)" in line]
        assert len(rows) == number_of_tables
        assert "0.912 [0.905, 0.919]" in rows[0]
        assert rows[-1].count("85.4 k") == 3


@pytest.mark.parametrize(
    ("value", "quantity", "written"),
    [
        (0.91249, "fraction", "0.912"),
        (-0.0304, "fraction", "-0.030"),
        (742, "count", "742"),
        (85_432, "count", "85.4 k"),
        (999_950, "count", "1 M"),
        (1_230_000_000, "count", "1.23 G"),
        (2.5, "count", "2.5"),
        (0.000123, "number", "0.000123"),
        (12.345, "number", "12.3"),
        (1234.5, "number", "1.23 k"),
        (3.14, "seconds", "3.1 s"),
        (0.0314, "seconds", "0.031 s"),
        (99.0, "seconds", "99 s"),
        (100.0, "seconds", "1.7 min"),
        (5999.0, "seconds", "100 min"),
        (6000.0, "seconds", "1.7 h"),
        (720_000.0, "seconds", "200 h"),
    ],
)
def test_numbers_are_short(value, quantity, written):
    assert write(value, quantity) == written


STRANGE = "[red]a|b[/red] <b>*x*</b> `y`\n\x1b[2J_z_"


def test_strange_names_are_shown_as_they_are():
    tables = [table(row(STRANGE), scenario=STRANGE)]
    text = printed(tables, ALL[:1], width=120)
    assert "[red]a|b[/red] <b>*x*</b> `y`" in text
    assert "\x1b" not in text
    markdown = render(tables, "md", ALL[:1])
    assert "\x1b" not in markdown
    (line,) = (line for line in markdown.splitlines() if line.startswith("| 1 |"))
    assert line.count("|") - line.count("\\|") == 6
    assert r"\[red\]a\|b\[/red\] \<b\>\*x\*\</b\> \`y\`" in line


def test_csv_has_full_precision(board):
    rows = list(csv.DictReader(io.StringIO(render(board, "csv", ALL))))
    assert len(rows) == sum(len(one.rows) for one in board)
    assert [line["rank"] for line in rows] == [str(one.rank or "") for one in every_row(board)]
    assert [line[f"{ALL[1]}_rank"] for line in rows] == [str(one.ranks[ALL[1]] or "") for one in every_row(board)]
    assert list(rows[0])[:10] == [
        *("scenario", "rank", "strategy", "role", "n", "planned", "failures"),
        *("average_accuracy_mean", "average_accuracy_low", "average_accuracy_high"),
    ]
    for line, found in zip(rows, every_row(board), strict=True):
        assert (line["strategy"], line["n"], line["planned"]) == (found.strategy, str(found.n), str(found.planned))
        for name, interval in {**found.metrics, "interquartile": found.interquartile}.items():
            for part in ("mean", "low", "high"):
                exact = getattr(interval, part, None)
                assert line[f"{name}_{part}"] == ("" if exact is None else repr(exact))
    assert {line["scenario"] for line in rows if line["interquartile_mean"]} == {ALL_SCENARIOS}


def test_csv_quotes_what_strangers_write():
    (line,) = csv.DictReader(io.StringIO(render([table(row('a,"b"\nc'))], "csv", ALL[:1])))
    assert line["strategy"] == 'a,"b"\nc'


def test_json_says_everything_and_never_nan(board):
    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads(render(board, "json", ALL), parse_constant=refuse)
    assert content["metrics"]["forgetting"]["formula"] == RUN_METRICS["forgetting"].formula
    assert content["metrics"]["forgetting"]["higher_is_better"] is False
    assert [one["scenario"] for one in content["tables"]] == [ALL_SCENARIOS, "digits-class", "digits-task"]
    first, joint = content["tables"][1], board[1].rows[0]
    assert content["tables"][0]["rows"][0]["interquartile"]["n"] == 4
    assert first["rows"][0]["interquartile"] is None
    assert first["rows"][0]["strategy"] == "joint"
    assert first["rows"][0]["role"] == "ceiling"
    assert (first["rows"][0]["n"], first["rows"][0]["planned"]) == (2, 2)
    assert first["rows"][0]["rank"] == 1
    assert first["rows"][0]["ranks"] == {"average_accuracy": 1, "forgetting": None}
    exact = joint.metrics["average_accuracy"]
    assert first["rows"][0]["metrics"]["average_accuracy"] == vars(exact)
    assert first["rows"][0]["metrics"]["forgetting"] == {"mean": None, "low": None, "high": None, "n": 0}


def test_no_tables_are_no_error():
    assert render([], "csv", ALL).count("\n") == 1
    assert json.loads(render([], "json", ALL))["tables"] == []
    assert render([], "md", ALL).strip() == ""
    assert printed([], ALL) == ""
