"""The commands `lifelong verify` and `lifelong merge`: results from elsewhere, checked and put together."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifelong.commands.common import roles, say, stdout, stoppable
from lifelong.commands.options import Data, Json, Workers

if TYPE_CHECKING:
    from lifelong.running.launch import Options
    from lifelong.verification.finding import Finding
    from lifelong.verification.rerun import Rerun
    from lifelong.verification.verify import Verification

PLACE = "A folder of records, a tree of them, or a published .jsonl or .jsonl.gz."
Place = Annotated[Path, typer.Argument(metavar="DIR", help=PLACE)]


def verify(
    place: Place,
    board: Annotated[
        list[str] | None,
        typer.Option("--board", help="A board beside the installed ones, as .toml. May be given again."),
    ] = None,
    rerun: Annotated[
        int | None, typer.Option("--rerun", min=1, metavar="N", help="Also run N of them again, drawn by chance.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Run the one with this key again. May be given again.")
    ] = None,
    data: Data = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or cuda:0; else the cpu where the records' was.")] = "",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Check results: schema, keys, consistency, rankings recomputed, seeds, floor and ceiling, data, closed ranges."""
    from lifelong.running.launch import Options
    from lifelong.verification import findings as shown
    from lifelong.verification.verify import verify as verified

    place = place.expanduser()
    found = verified(place, board or ())
    findings = [*found.findings, *_of_scores(place, found)]
    if not as_json:
        say(f"{found.records} records" + (f" of {', '.join(found.boards)}" if found.boards else ""))
        shown.print_findings(stdout(), findings)
    reruns = []
    if rerun or key:
        options = Options(workers=workers, data=data, device=device, wandb="off")
        tell = _say_rerun if as_json else partial(shown.print_rerun, stdout())
        reruns = _rerun(found, place, rerun or 0, key or (), options, tell)
    if as_json:
        sys.stdout.write(shown.as_json(found.records, findings, reruns))
    elif reruns:
        shown.print_agreement(stdout())
    failing = sum(finding.level == "fails" for finding in findings)
    bad = sum(one.verdict in ("differs", "failed") for one in reruns)
    if bad:
        say(f"{bad} of {len(reruns)} reruns do not agree")
    if failing or not bad:
        say(f"{failing} findings fail" if failing else "nothing fails")
    if failing or bad:
        raise typer.Exit(1)


def _say_rerun(one: Rerun) -> None:
    from lifelong.verification.findings import name, verdict

    say(f"{name(one)}: {verdict(one)}")


def _of_scores(place: Path, found: Verification) -> list[Finding]:
    """What the scores say, and the rankings that were made of them."""
    from lifelong.reporting.statistics.scores import contests
    from lifelong.verification.plausible import implausible
    from lifelong.verification.recomputed import wrong

    boards = {name: contests(plan.ranked(everyone=True), roles(), plan.cells) for name, plan in found.plans.items()}
    findings = [finding for name, field in boards.items() for finding in implausible(name, field)]
    return [*findings, *wrong(place, boards)] if place.is_dir() else findings


def _rerun(
    found: Verification,
    place: Path,
    number: int,
    keys: Sequence[str],
    options: Options,
    tell: Callable[[Rerun], None],
) -> list[Rerun]:
    from lifelong.verification.rerun import choose, rerun

    chosen = choose(found.plans.values(), number, keys)
    records = [cell.record for _, cell in chosen if cell.record is not None]
    again = " ".join(f"--key {record.key[:12]}" for record in records)
    say(f"running {len(records)} again; to run just these: lifelong verify {shlex.quote(str(place))} {again}")
    on_cpu = all(record.provenance.device == "cpu" for record in records)
    device = options.device or ("cpu" if on_cpu else "auto")
    with stoppable("nothing was written"):
        return rerun(chosen, replace(options, device=device), tell)


def merge(
    places: Annotated[list[Path], typer.Argument(metavar="DIR...", help=PLACE)],
    out: Annotated[Path, typer.Option("--out", help="The folder to put them into, as --out of 'lifelong run'.")],
) -> None:
    """Put records from several machines into one folder. Nothing there is overwritten; conflicts are kept and told."""
    from lifelong.errors import UsageError
    from lifelong.records.merge import merge as merged

    outcomes: Counter[str] = Counter()
    for one in merged(places, out.expanduser()):
        outcomes[one.outcome] += 1
        if one.told:
            say(one.told)
    if not outcomes:
        raise UsageError(f"no records in {', '.join(map(str, places))}")
    say(f"{outcomes.total()} records read: {', '.join(f'{count} {name}' for name, count in outcomes.items())}")
    if outcomes["conflict"] or outcomes["damaged"]:
        raise typer.Exit(1)


__all__ = ["merge", "verify"]
