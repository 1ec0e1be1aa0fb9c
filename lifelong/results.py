"""The suite from Python: run a board, read records, rank and compare them, in a script or a notebook.

What the commands `lifelong run`, `board` and `compare` do, these functions return.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifelong.errors import UsageError

if TYPE_CHECKING:
    from lifelong.boards.plan import Wishes
    from lifelong.records.record import Record
    from lifelong.reporting.statistics.scores import Contest
    from lifelong.reporting.text.table import Report

Settings = Mapping[str, Mapping[str, Any]] | Sequence[str]
"""Values of parameters: `{"ewc": {"ewc_lambda": 0.4}, "budget": {"epochs": 2}}`, or texts as `--set` takes them."""


@dataclass(frozen=True)
class Answer:
    """A ranking or a comparison. It prints as a table, and shows itself in a notebook."""

    report: Report = field(repr=False)

    def frame(self) -> Any:
        """Return its rows in full precision, as pandas has them.

        Raises:
            UsageError: if pandas is not installed.
        """
        rows = list(self.report.values())
        return _pandas().DataFrame(rows, columns=list(self.report.fields))

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        from lifelong.reporting.text.render import show

        text = StringIO()
        show(Console(file=text, width=120), self.report)
        return text.getvalue()

    def _repr_markdown_(self) -> str:
        from lifelong.reporting.text.render import render

        return render(self.report, "md")


@dataclass(frozen=True)
class Results:
    """Records, and what they come to.

    Attributes:
        records: the records, one for each run.
        metrics: the metrics that a ranking shows; the first two rank.
    """

    records: list[Record] = field(repr=False)
    metrics: list[str]
    _contests: list[Contest] = field(repr=False)

    def __len__(self) -> int:
        return len(self.records)

    def ranking(self, *metrics: str) -> Answer:
        """Rank on each scenario, and on all together.

        Args:
            metrics: names of metrics, such as `accuracy`; by default the board's. The first two rank.

        Raises:
            UsageError: if there is no such metric.
        """
        from lifelong.records.metrics import metric_name
        from lifelong.reporting.statistics.standings import standings
        from lifelong.reporting.text.rankings import ranking_report

        chosen = [metric_name(name) for name in metrics] or self.metrics
        return Answer(ranking_report(standings(self._contests, chosen), chosen))

    def compare(self, *strategies: str, metric: str = "average_accuracy") -> Answer:
        """Compare strategies, paired by seed.

        Args:
            strategies: two or more; one is compared with all others, and none means all with all.
            metric: the name of a metric.

        Raises:
            UsageError: if there is no such strategy or metric, or no two of them share a seed.
        """
        from lifelong.commands.compare import pairs_report
        from lifelong.records.metrics import metric_name
        from lifelong.reporting.statistics.scores import all_labels

        chosen = strategies or all_labels(self._contests)
        return Answer(pairs_report(self._contests, chosen, [metric_name(metric)]))

    def frame(self) -> Any:
        """Return a row for each run: scenario, strategy, seed, status, the value of every metric, and the key.

        Raises:
            UsageError: if pandas is not installed.
        """
        return _pandas().DataFrame(list(self._rows()))

    def _rows(self) -> Iterator[dict[str, Any]]:
        from lifelong.records.metrics import RUN_METRICS

        for contest in self._contests:
            for entrant in contest.entrants:
                values = {name: entrant.values(name) for name in RUN_METRICS}
                for record in entrant.records:
                    seed = record.spec.seed
                    yield {
                        "scenario": contest.scenario,
                        "strategy": entrant.label,
                        "role": entrant.role,
                        "seed": seed,
                        "status": record.status,
                        **{name: own.get(seed) if record.ok else None for name, own in values.items()},
                        "board": record.board,
                        "key": record.key,
                    }

    def __str__(self) -> str:
        return str(self.ranking()) if self.records else "no records"

    def _repr_markdown_(self) -> str:
        return self.ranking()._repr_markdown_() if self.records else "no records"


def run(
    board: str | Path,
    *,
    strategies: Iterable[str] = (),
    scenarios: Iterable[str] = (),
    seeds: int | Iterable[int] | None = None,
    settings: Settings = (),
    out: str | Path = "results",
    workers: int | None = None,
    timeout_s: float | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    wandb: Literal["offline", "online", "off"] = "off",
    retry_failed: bool = False,
    keep_networks: bool = False,
) -> Results:
    """Run what a board misses, and return the results. The same call goes on where it was stopped.

    Progress is shown on stderr, or in the notebook. Each run has a process of its own. Strategies, scenarios and
    networks of one's own are named as `file.py:name`, because these processes have to find them.

    Args:
        board: the board's name, or its TOML file.
        strategies: only these, each by its name or as `file.py:name`; by default the board's.
        scenarios: only these; by default the board's.
        seeds: the number of seeds, or the seeds; by default the board's.
        settings: values of parameters (see `Settings`).
        out: the folder of records.
        workers: the number of runs at a time; by default one for each core.
        timeout_s: the seconds after which a run is killed; None for never.
        data: the folder of data sets; by default `LIFELONG_DATA`, else a cache folder.
        device: `auto`, `cpu` or `cuda:N`.
        wandb: whether and how runs are logged to Weights & Biases.
        retry_failed: whether failed runs are carried out again.
        keep_networks: whether each run's network is stored beside its record, for `load_network`.

    Raises:
        UsageError: if the request cannot be carried out; nothing has been trained by then.
        DataError: if a data set cannot be read.
    """
    from lifelong.commands.run import run_missing
    from lifelong.running.launch import Options

    options = Options(
        workers=workers,
        timeout_s=timeout_s,
        data=Path(data) if data is not None else None,
        device=device,
        wandb=wandb,
        retry_failed=retry_failed,
        keep_networks=keep_networks,
    )
    wishes = _wishes(strategies, scenarios, seeds, settings)
    run_missing(str(board), wishes, options, Path(out))
    return _results(board, wishes, out, None)


def board(
    board: str | Path,
    *,
    strategies: Iterable[str] = (),
    scenarios: Iterable[str] = (),
    seeds: int | Iterable[int] | None = None,
    settings: Settings = (),
    out: str | Path | None = None,
    published: str | Path | None = None,
) -> Results:
    """Return the results of a board: one's own, or those that were published with it where there are none.

    Args:
        board: the board's name, or its TOML file.
        strategies: only these, with floor and ceiling.
        scenarios: only these.
        seeds: the number of seeds, or the seeds.
        settings: the values of parameters that the runs were made with.
        out: the folder of records; by default `results`, or the published ones.
        published: a file of published records.

    Raises:
        UsageError: if a name, a parameter or a file is wrong.
    """
    return _results(board, _wishes(strategies, scenarios, seeds, settings), out, published)


def compare(name: str | Path, *strategies: str, metric: str = "average_accuracy", **source: Any) -> Answer:
    """Compare strategies on a board, paired by seed (see `Results.compare`).

    Args:
        name: the board's name, or its TOML file.
        strategies: two or more; one is compared with all others, and none means all with all.
        metric: the name of a metric.
        source: where the records are, and which of them, as `board` takes it.

    Raises:
        UsageError: if there is no such strategy or metric, or no two of them share a seed.
    """
    return board(name, **source).compare(*strategies, metric=metric)


def load_results(place: str | Path) -> Results:
    """Return the records of a folder, of a tree of folders, or of a published file, of one board or of several.

    Args:
        place: the folder, or the file, which ends in `.json`, `.jsonl` or `.jsonl.gz`.

    Raises:
        UsageError: if there is no such place, or there are no records in it.
    """
    from lifelong.boards.board import METRICS
    from lifelong.commands.records import roles
    from lifelong.records.sources import records_in
    from lifelong.reporting.statistics.scores import contests

    found = list(records_in(Path(place)))
    records = [located.record for located in found if located.record is not None]
    if not records:
        raise UsageError(f"{place}: there are no records" + (f" ({found[0].reason})" if found else ""))
    return Results(records, METRICS, contests(records, roles(), ()))


def _results(name: str | Path, wishes: Wishes, out: str | Path | None, published: str | Path | None) -> Results:
    from lifelong.commands.options import Source
    from lifelong.commands.records import results_of

    source = Source(*(None if path is None else Path(path) for path in (out, published)))
    found = results_of(str(name), wishes, source)
    return Results(found.records, found.board.metrics, found.contests())


def _wishes(
    strategies: Iterable[str], scenarios: Iterable[str], seeds: int | Iterable[int] | None, settings: Settings
) -> Wishes:
    from lifelong.boards.plan import Wishes

    names = {"strategies": strategies, "scenarios": scenarios}
    for kind, given in names.items():
        if isinstance(given, str):
            raise UsageError(f"{kind} = {given!r}: write a list, such as [{given!r}]")
    chosen = range(seeds) if isinstance(seeds, int) else seeds or ()
    wished = Wishes(tuple(scenarios), tuple(strategies), ",".join(map(str, chosen)))
    return replace(wished, set=tuple(_assignments(settings)))


def _assignments(settings: Settings) -> Iterator[str]:
    """Write settings as the command line takes them: `ewc.ewc_lambda=0.4`."""
    if not isinstance(settings, Mapping):
        yield from settings
        return
    for name, value in settings.items():
        yield from _assigned(value, name)


def _assigned(value: Any, *path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _assigned(inner, *path, name)
    else:
        yield f"{'.'.join(path)}={json.dumps(list(value) if isinstance(value, tuple) else value)}"


def _pandas() -> Any:
    try:
        return import_module("pandas")
    except ImportError:
        raise UsageError("a frame needs pandas: pip install 'lifelong[frames]'") from None
