"""The command `lifelong verify`: are results what they say?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.console import say, stdout, stoppable
from lifelong.commands.options import PLACE, Data, Json, Workers
from lifelong.commands.records import roles

if TYPE_CHECKING:
    from lifelong.running.launch import Options
    from lifelong.verification.finding import Finding
    from lifelong.verification.rerun import Rerun
    from lifelong.verification.verify import Verification


def verify(
    place: Annotated[Path, typer.Argument(metavar="DIR", help=PLACE)],
    board: Annotated[
        list[str] | None,
        typer.Option("--board", metavar="FILE", help="A .toml board that is not installed. Repeatable."),
    ] = None,
    rerun: Annotated[
        int | None, typer.Option("--rerun", min=1, metavar="N", help="Run N of them again, drawn by chance.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Run the one with this key again. Repeatable."),
    ] = None,
    data: Data = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, or cuda:0; the records' own by default.")
    ] = "",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Check results, your own or a stranger's.

    Looks at keys, consistency, rankings, seeds, floor and ceiling, data and ranges. Only --rerun trains again.
    """
    from lifelong.running.launch import Options
    from lifelong.verification import report
    from lifelong.verification.verify import verify as verified

    place = place.expanduser()
    verification = verified(place, board or ())
    findings = [*verification.findings, *_of_scores(place, verification)]
    if not as_json:
        say(
            f"{verification.records} records" + (f" of {', '.join(verification.boards)}" if verification.boards else "")
        )
        report.print_findings(stdout(), findings)
    reruns = []
    if rerun or key:
        options = Options(workers=workers, data=data, device=device, wandb="off")
        tell = _say_rerun if as_json else partial(report.print_rerun, stdout())
        reruns = _rerun(verification, place, rerun or 0, key or (), options, tell)
    if as_json:
        sys.stdout.write(report.as_json(verification.records, findings, reruns))
    elif reruns:
        report.print_agreement(stdout())
    failing = sum(finding.level == "fails" for finding in findings)
    bad = sum(one.verdict in ("differs", "failed") for one in reruns)
    if bad:
        say(f"{bad} of {len(reruns)} reruns do not agree")
    if failing or not bad:
        say(f"{failing} findings fail" if failing else "nothing fails")
    if failing or bad:
        raise typer.Exit(1)


def _say_rerun(one: Rerun) -> None:
    from lifelong.verification.report import name, verdict

    say(f"{name(one)}: {verdict(one)}")


def _of_scores(place: Path, verification: Verification) -> list[Finding]:
    """What the scores say, and the rankings that were made of them."""
    from lifelong.reporting.statistics.scores import contests
    from lifelong.verification.plausible import implausible
    from lifelong.verification.recomputed import wrong

    boards = {
        name: contests(plan.ranked(everyone=True), roles(), plan.cells) for name, plan in verification.plans.items()
    }
    findings = [finding for name, own in boards.items() for finding in implausible(name, own)]
    return [*findings, *wrong(place, boards)] if place.is_dir() else findings


def _rerun(
    verification: Verification,
    place: Path,
    number: int,
    keys: Sequence[str],
    options: Options,
    tell: Callable[[Rerun], None],
) -> list[Rerun]:
    from lifelong.verification.rerun import choose, rerun

    chosen = choose(verification.plans.values(), number, keys)
    records = [cell.record for _, cell in chosen if cell.record is not None]
    again = " ".join(f"--key {record.key[:12]}" for record in records)
    say(f"running {len(records)} again; to run just these: lifelong verify {shlex.quote(str(place))} {again}")
    on_cpu = all(record.provenance.device == "cpu" for record in records)
    device = options.device or ("cpu" if on_cpu else "auto")
    with stoppable("nothing was written"):
        return rerun(chosen, replace(options, device=device), tell)
