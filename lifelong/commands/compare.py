"""The command `lifelong compare`: is one strategy better than another, and is it worth its cost?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import answer, check_form, say
from lifelong.commands.options import Form, Forms, Output, Source, Streams, spread
from lifelong.commands.records import metrics_of, results_of
from lifelong.errors import UsageError, unknown

if TYPE_CHECKING:
    from lifelong.boards.board import Board
    from lifelong.contracts import Strategy
    from lifelong.reporting.statistics.comparison import Comparison, Pair
    from lifelong.reporting.statistics.scores import Contest
    from lifelong.reporting.text.comparisons import Order
    from lifelong.reporting.text.table import Report


@spread
def compare(
    streams: Streams,
    source: Source,
    strategies: Annotated[
        list[str] | None, typer.Argument(metavar="STRATEGY", help="Two or more; or one, against all others.")
    ] = None,
    board: Annotated[str, typer.Option("--board", metavar="BOARD", help="The board's name, or a .toml file.")] = "",
    everyone: Annotated[bool, typer.Option("--all", help="Compare all with all, as a matrix.")] = False,
    claims: Annotated[bool, typer.Option("--claims", help="Compare strategies with their controls.")] = False,
    pareto: Annotated[
        str, typer.Option("--pareto", metavar="NAMES", help="Tell who is worth its cost: accuracy,parameters.")
    ] = "",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="A metric, if not the board's: accuracy, macs, time. Repeatable."
        ),
    ] = None,
    form: Forms = Form.table,
    output: Output = None,
) -> None:
    """Compare strategies, paired by seed.

    Says how large each difference is, with its interval, and whether it can be told from chance.
    """
    modes = [name for name, chosen in (("--all", everyone), ("--claims", claims), ("--pareto", pareto)) if chosen]
    _check(strategies or [], board, modes)
    check_form(form, output)
    if pareto and metric:
        raise UsageError("--pareto names its metrics itself: leave out --metric")

    of_files = [name.partition(" (")[0] for name in strategies or () if ".py:" in name]
    results = results_of(board, replace(streams.wishes, beside=of_files), source)
    if not results.records:
        raise UsageError(f"nothing to compare: there are no records of {board}")
    contests = results.contests()
    if pareto:
        metrics = metrics_of([name.strip() for name in pareto.split(",")], results.board)
        report = _front(contests, strategies or [], metrics)
    else:
        metrics = metrics_of(metric or results.board.metrics[:2], results.board)
        if claims:
            report = _claims(contests, results.board, metrics, form)
        else:
            report = pairs_report(contests, None if everyone else strategies or [], metrics)
    answer(report, form, output)


def _check(strategies: Sequence[str], board: str, modes: Sequence[str]) -> None:
    """See that the options make sense together, before anything is read."""
    if not board:
        raise UsageError("which board? name it, as --board digits-v1 (see 'lifelong list boards')")
    if not (strategies or modes):
        raise UsageError(
            "whom to compare? name strategies ('lifelong compare ewc si --board digits-v1'), --all or --claims"
        )
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)}: one at a time")
    if strategies and modes in (["--all"], ["--claims"]):
        raise UsageError(f"{modes[0]} chooses by itself whom to compare: leave it out, or the strategies")
    if len(set(strategies)) < len(strategies):
        raise UsageError(f"{next(s for s in strategies if strategies.count(s) > 1)!r} stands twice")


def pairs_report(contests: Sequence[Contest], chosen: Sequence[str] | None, metrics: Sequence[str]) -> Report:
    """Compare the chosen with each other, one with all others, or, for None, everyone with everyone."""
    from lifelong.reporting.statistics.scores import all_labels
    from lifelong.reporting.text.comparisons import comparison_report

    labels = all_labels(contests)
    names = labels if chosen is None else [_entrant(name, contests) for name in chosen]
    pairs = list(combinations(names, 2))
    if len(names) == 1:
        pairs = [(names[0], other) for other in labels if other != names[0]]
    comparisons = _compared(contests, metrics, pairs)
    order = _order(contests, dict.fromkeys(one.metric for one in comparisons)) if chosen is None else None
    return comparison_report(comparisons, len(pairs) > 1, order)


def _entrant(name: str, contests: Sequence[Contest]) -> str:
    """The label that a person means: itself, or the only one of a strategy; a user's own by its `file.py:name` too."""
    from lifelong.reporting.statistics.scores import all_labels

    labels = _labels(name, contests)
    if len(labels) > 1:
        raise UsageError(f"{name!r} stands on the board several times: write {' or '.join(map(repr, labels))}")
    if not labels:
        raise unknown("strategy among the records", name, all_labels(contests))
    return labels[0]


def _labels(name: str, contests: Sequence[Contest]) -> list[str]:
    """The labels that a name may mean; the name may be `file.py:name`, and may have parameters in brackets."""
    from lifelong.registry import strategies
    from lifelong.reporting.statistics.scores import labels_of

    reference, bracket, parameters = name.partition(" (")
    if ".py:" not in reference:
        return labels_of(name, contests)
    strategy = strategies.get(reference)
    own = _of_file(strategy, contests)
    return [label for label in labels_of(f"{strategy.name}{bracket}{parameters}", contests) if label in own]


def _of_file(strategy: Strategy, contests: Sequence[Contest]) -> list[str]:
    """The labels of a user's own strategy; of its file as it is now, where records of it are."""
    content = strategy.file.read_bytes() if strategy.file else b""
    code = hashlib.sha256(content).hexdigest()
    own = [one for contest in contests for one in contest.entrants if one.choice.name == strategy.name]
    now = [one for one in own if one.choice.code_sha256 == code]
    return list(dict.fromkeys(one.label for one in now or own))


def _compared(contests: Sequence[Contest], metrics: Sequence[str], pairs: Sequence[Pair]) -> list[Comparison]:
    """Compare pairs by each metric, and say what is left out."""
    from lifelong.reporting.statistics.comparison import adjusted, compare
    from lifelong.reporting.text.holes import holes

    compared = []
    for metric in metrics:
        comparisons = compare(contests, metric, pairs)
        compared += adjusted(comparisons) if len(pairs) > 1 else comparisons
    for sentence in holes(compared, contests, metrics, list(dict.fromkeys(label for pair in pairs for label in pair))):
        say(sentence)
    if not compared:
        raise UsageError("nothing to compare: no two of them have a value for the same seed of the same scenario")
    return compared


def _order(contests: Sequence[Contest], metrics: Iterable[str]) -> Order:
    """Everyone from the best to the last, by metric and scenario."""
    from lifelong.reporting.statistics.standings import standings

    tables = [(metric, table) for metric in metrics for table in standings(contests, [metric])]
    return {(metric, table.scenario): [row.strategy for row in table.rows] for metric, table in tables}


def _claims(contests: Sequence[Contest], board: Board, metrics: Sequence[str], form: Form) -> Report:
    """Compare both sides of each claim of a board that has records of them."""
    from lifelong.reporting.text.claims import claims_report

    if not board.claims:
        raise UsageError(
            f"board {board.name} states no claims; a board states them as claims = [[strategy, control, what helps]]"
        )
    claims = {}
    for strategy, control, claim in board.claims:
        first, second = _labels(strategy, contests), _labels(control, contests)
        if len(first) == len(second) == 1:
            claims[first[0], second[0]] = claim
        else:
            say(f"no records to tell {strategy!r} from {control!r} by; or several, and the claim does not say which")
    if not claims:
        raise UsageError(f"nothing to compare: no claim of board {board.name} has records of both sides")
    comparisons = _compared(contests, metrics, list(claims))
    return claims_report(comparisons, claims, "terminal" if form is Form.table else "markdown")


def _front(contests: Sequence[Contest], strategies: Sequence[str], metrics: Sequence[str]) -> Report:
    """Find the Pareto front of each scenario, of the strategies that are named or of all."""
    from lifelong.reporting.statistics.pareto import front
    from lifelong.reporting.statistics.scores import all_labels
    from lifelong.reporting.statistics.standings import standings
    from lifelong.reporting.text.fronts import front_report
    from lifelong.reporting.text.holes import not_run

    if len(metrics) < 2:
        raise UsageError("--pareto: name two metrics or more, for example accuracy,parameters")
    chosen = {_entrant(name, contests) for name in strategies} or set(all_labels(contests))
    for sentence in not_run(contests, sorted(chosen)):
        say(sentence)
    fronts = {}
    for table in standings(contests, metrics):
        points = [point for point in front(table, metrics) if point.row.strategy in chosen]
        without = chosen - {point.row.strategy for point in points}
        if absent := [row.strategy for row in table.rows if row.strategy in without and row.n + row.failures]:
            say(f"{table.scenario}: left out, not having all of these metrics: {', '.join(absent)}")
        if points:
            fronts[table.scenario] = points
    if not fronts:
        raise UsageError("nothing to compare: nobody has all of these metrics")
    return front_report(fronts, metrics)
