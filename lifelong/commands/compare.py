"""The command `lifelong compare`: is one strategy better than another, and is it worth its cost?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lifelong.commands.common import check_form, contests_of, metrics_of, say, stdout, write_out
from lifelong.commands.options import RESULTS, Form, Out, Published, Scenarios, Seeds, Sets, wishes_of
from lifelong.errors import UsageError, unknown

if TYPE_CHECKING:
    from lifelong.boards.board import Board
    from lifelong.contracts import Strategy
    from lifelong.reporting.statistics.comparison import Comparison, Pair
    from lifelong.reporting.statistics.scores import Contest
    from lifelong.reporting.text.comparisons import Order
    from lifelong.reporting.text.rankings import Format


def compare(
    strategies: Annotated[
        list[str] | None, typer.Argument(metavar="[STRATEGY]...", help="Two or more; one is compared with each other.")
    ] = None,
    board: Annotated[str, typer.Option("--board", help="Whose records: a board's name, or a .toml file.")] = "",
    everyone: Annotated[bool, typer.Option("--all", help="Everyone with everyone, as a matrix.")] = False,
    claims: Annotated[bool, typer.Option("--claims", help="What the board claims, strategy against control.")] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help="Instead of what the board ranks by; accuracy, parameters, macs and time will do."
        ),
    ] = None,
    pareto: Annotated[
        str, typer.Option("--pareto", help="Instead: who is worth its cost, as accuracy,parameters.")
    ] = "",
    scenario: Scenarios = None,
    seeds: Seeds = "",
    settings: Sets = None,
    out: Out = RESULTS,
    published: Published = None,
    form: Annotated[Form, typer.Option("--format", help="table, md, csv or json.")] = Form.table,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.")] = None,
) -> None:
    """Compare strategies, paired by seed: difference and interval, probability of improvement, effect size, verdict."""
    modes = [name for name, chosen in (("--all", everyone), ("--claims", claims), ("--pareto", pareto)) if chosen]
    _check(strategies or [], board, modes, form, output)
    if pareto and metric:
        raise UsageError("--pareto names its metrics itself: leave out --metric")
    from lifelong.reporting.statistics.scores import all_labels

    made, field = contests_of(board, wishes_of(None, scenario, seeds, settings), out, published)
    if not field:
        raise UsageError(f"nothing to compare: there are no records of {board}")
    if pareto:
        metrics = metrics_of([name.strip() for name in pareto.split(",")], made.board)
        _print_front(field, strategies or [], metrics, form, output)
        return
    metrics = metrics_of(metric or made.board.metrics[:2], made.board)
    if claims:
        _print_claims(field, made.board, metrics, form, output)
        return
    labels = all_labels(field)
    pairs = _pairs(labels if everyone else [_entrant(name, field) for name in strategies or []], labels)
    comparisons = _compared(field, metrics, pairs)
    _print(field, comparisons, everyone, len(pairs) > 1, form, output)


def _check(strategies: Sequence[str], board: str, modes: Sequence[str], form: Form, output: Path | None) -> None:
    """See that the options make sense together, before anything is read."""
    if not board:
        raise UsageError("which board? name it, as --board digits-v1 (see 'lifelong list boards')")
    if not (strategies or modes):
        raise UsageError(
            "whom to compare? name strategies, as 'lifelong compare ewc si --board digits-v1', --all or --claims"
        )
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)}: one at a time")
    if strategies and modes in (["--all"], ["--claims"]):
        raise UsageError(f"{modes[0]} chooses by itself whom to compare: leave it out, or the strategies")
    if len(set(strategies)) < len(strategies):
        raise UsageError(f"{next(s for s in strategies if strategies.count(s) > 1)!r} stands twice")
    check_form(form, output)


def _entrant(name: str, field: Sequence[Contest]) -> str:
    """The label that a person means: itself, or the only one of a strategy; a user's own by its `file.py:name` too."""
    from lifelong.registry import strategies
    from lifelong.reporting.statistics.scores import all_labels, labels_of

    found = _of_file(strategies.get(name), field) if ".py:" in name else labels_of(name, field)
    if len(found) > 1:
        raise UsageError(f"{name!r} stands on the board several times: write {' or '.join(map(repr, found))}")
    if not found:
        raise unknown("strategy among the records", name, all_labels(field))
    return found[0]


def _of_file(strategy: Strategy, field: Sequence[Contest]) -> list[str]:
    """The labels of a user's own strategy; of its file as it is now, where records of it are."""
    content = strategy.file.read_bytes() if strategy.file else b""
    code = hashlib.sha256(content).hexdigest()
    own = [entrant for contest in field for entrant in contest.entrants if entrant.choice.name == strategy.name]
    now = [entrant for entrant in own if entrant.choice.code_sha256 == code]
    return list(dict.fromkeys(entrant.label for entrant in now or own))


def _pairs(chosen: Sequence[str], labels: Sequence[str]) -> list[Pair]:
    if len(chosen) == 1:
        return [(chosen[0], other) for other in labels if other != chosen[0]]
    return list(combinations(chosen, 2))


def _compared(field: Sequence[Contest], metrics: Sequence[str], pairs: Sequence[Pair]) -> list[Comparison]:
    from lifelong.reporting.statistics.comparison import adjusted, compare
    from lifelong.reporting.text.holes import holes

    found = []
    for metric in metrics:
        comparisons = compare(field, metric, pairs)
        found += adjusted(comparisons) if len(pairs) > 1 else comparisons
    for sentence in holes(found, field, metrics, list(dict.fromkeys(label for pair in pairs for label in pair))):
        say(sentence)
    if not found:
        raise UsageError("nothing to compare: no two of them have a value for the same seed of the same scenario")
    return found


def _print(
    field: Sequence[Contest],
    comparisons: Sequence[Comparison],
    everyone: bool,
    corrected: bool,
    form: Form,
    output: Path | None,
) -> None:
    from lifelong.reporting.text.comparisons import print_comparisons, print_matrices, render_comparisons

    order = _order(field, dict.fromkeys(one.metric for one in comparisons)) if everyone else None
    if form is not Form.table:
        write_out(output, render_comparisons(comparisons, cast("Format", form.value), corrected, order))
    elif order:
        print_matrices(stdout(), comparisons, order)
    else:
        print_comparisons(stdout(), comparisons, corrected)


def _order(field: Sequence[Contest], metrics: Iterable[str]) -> Order:
    """By metric and scenario, everyone from the best to the last."""
    from lifelong.reporting.statistics.standings import standings

    tables = [(metric, table) for metric in metrics for table in standings(field, [metric])]
    return {(metric, table.scenario): [row.strategy for row in table.rows] for metric, table in tables}


def _print_claims(
    field: Sequence[Contest], board: Board, metrics: Sequence[str], form: Form, output: Path | None
) -> None:
    from lifelong.reporting.statistics.scores import labels_of
    from lifelong.reporting.text.claims import print_claims, render_claims
    from lifelong.reporting.text.comparisons import render_comparisons

    if not board.claims:
        raise UsageError(f"board {board.name} states no claims; it would as claims = [[strategy, control, what helps]]")
    claims = {}
    for strategy, control, claim in board.claims:
        first, second = labels_of(strategy, field), labels_of(control, field)
        if len(first) == len(second) == 1:
            claims[first[0], second[0]] = claim
        else:
            say(f"no records to tell {strategy!r} from {control!r} by; or several, and the claim does not say which")
    if not claims:
        raise UsageError(f"nothing to compare: no claim of board {board.name} has records of both sides")
    comparisons = _compared(field, metrics, list(claims))
    if form is Form.table:
        print_claims(stdout(), comparisons, claims)
    elif form is Form.md:
        write_out(output, render_claims(comparisons, claims))
    else:
        write_out(output, render_comparisons(comparisons, cast("Format", form.value), len(claims) > 1))


def _print_front(
    field: Sequence[Contest], strategies: Sequence[str], metrics: Sequence[str], form: Form, output: Path | None
) -> None:
    from lifelong.reporting.statistics.pareto import front
    from lifelong.reporting.statistics.scores import all_labels
    from lifelong.reporting.statistics.standings import standings
    from lifelong.reporting.text.fronts import print_front, render_front
    from lifelong.reporting.text.holes import not_run

    if len(metrics) < 2:
        raise UsageError("--pareto: name two metrics or more, as accuracy,parameters")
    chosen = {_entrant(name, field) for name in strategies} or set(all_labels(field))
    for sentence in not_run(field, sorted(chosen)):
        say(sentence)
    fronts = {}
    for table in standings(field, metrics):
        points = [point for point in front(table, metrics) if point.row.strategy in chosen]
        without = chosen - {point.row.strategy for point in points}
        if absent := [row.strategy for row in table.rows if row.strategy in without and row.n + row.failures]:
            say(f"{table.scenario}: left out, not having all of these metrics: {', '.join(absent)}")
        if points:
            fronts[table.scenario] = points
    if not fronts:
        raise UsageError("nothing to compare: nobody has all of these metrics")
    if form is Form.table:
        print_front(stdout(), fronts, metrics)
    else:
        write_out(output, render_front(fronts, metrics, cast("Format", form.value)))


__all__ = ["compare"]
