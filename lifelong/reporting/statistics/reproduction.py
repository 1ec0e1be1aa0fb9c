"""Published numbers beside ours: reproduced or not.

The mean over seeds and the target's tolerance decide. Our interval is shown, and decides nothing: the fewer the seeds,
the wider it is, and the easier a number would be to reproduce.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lifelong.boards.plan import Cell
from lifelong.boards.settings import parse_value
from lifelong.boards.targets import Target
from lifelong.contracts import Strategy
from lifelong.records.metrics import RUN_METRICS
from lifelong.records.spec import Spec
from lifelong.registry import E, Registry, scenarios, strategies
from lifelong.reporting.statistics.bootstrap import Interval, mean_interval
from lifelong.reporting.statistics.scores import Contest, Entrant

Status = Literal["reproduced", "above", "below", "not run"]

FEW = 3
"""The seeds below which a status says little."""
ROUNDING = 1e-9
"""The part of a published value that is taken for rounding: in floating point, 0.93 - 0.92 is more than 0.01."""
NONE = Interval(None, None, None, 0)


@dataclass(frozen=True)
class TargetOutcome:
    """A target, and what the board's runs came to.

    Attributes:
        target: as the board states it.
        status: reproduced where our mean lies within the tolerance of the published value, its ends included; else
            above or below it as a number, whichever direction is better. Not run where there is no number of ours.
        ours: our mean over seeds, and its interval.
        planned: the runs that the board plans.
        reason: why there is no number, where runs exist or are impossible.
        spec: the specification of the first of its runs; None where they are impossible.
    """

    target: Target
    status: Status
    ours: Interval
    planned: int
    reason: str = ""
    spec: Spec | None = None

    @property
    def difference(self) -> float | None:
        """Our mean minus the published value."""
        return None if self.ours.mean is None else self.ours.mean - self.target.value

    @property
    def few(self) -> bool:
        """Whether the status rests on too few seeds."""
        return 0 < self.ours.n < FEW


def outcomes(targets: Sequence[Target], cells: Sequence[Cell], contests: Sequence[Contest]) -> list[TargetOutcome]:
    """Return what became of each target that the cells are about.

    Args:
        targets: of one board.
        cells: of a plan of that board; a target whose scenario or strategy it leaves out is left out too.
        contests: its records, arranged.

    Raises:
        UsageError: if a target names parameters that its strategy lacks, or a user's file that does not load.
    """
    told = []
    for target in targets:
        scenario = _name(scenarios, target.scenario)
        strategy = _name(strategies, target.method)
        own = [cell for cell in cells if (cell.scenario.name, cell.strategy.name) == (scenario, strategy)]
        if own:
            told.append(_outcome(target, own, contests))
    return told


def status_of(mean: float, target: Target) -> Status:
    """Return where a mean lies: within the tolerance of the published value, above or below."""
    difference = mean - target.value
    if abs(difference) <= target.tolerance + ROUNDING * abs(target.value):
        return "reproduced"
    return "above" if difference > 0 else "below"


def summary(outcomes: Sequence[TargetOutcome]) -> str:
    """Write `18 of 20 reproduced, 1 above, 1 below; 3 not run`."""
    counts = Counter(one.status for one in outcomes)
    run = len(outcomes) - counts["not run"]
    others = [f"{counts[status]} {status}" for status in ("above", "below") if counts[status]]
    parts = [", ".join([f"{counts['reproduced']} of {run} reproduced", *others])] if run else []
    return "; ".join([*parts, *([f"{counts['not run']} not run"] if run < len(outcomes) else [])])


def _name(registry: Registry[E], reference: str) -> str:
    return registry.get(reference).name if ".py:" in reference else reference


def _outcome(target: Target, cells: Sequence[Cell], contests: Sequence[Contest]) -> TargetOutcome:
    """What became of a target, given the cells of its scenario and strategy: one for each seed, at least one."""
    if cells[0].spec is None:
        return TargetOutcome(target, "not run", NONE, 0, cells[0].reason)
    spec = _meant(target, cells[0].spec, cells[0].strategy)
    entrant = _entrant(spec, contests)
    values = entrant.values(target.metric) if entrant else {}
    ours = mean_interval([values[seed] for seed in sorted(values)])
    status = "not run" if ours.mean is None else status_of(ours.mean, target)
    return TargetOutcome(target, status, ours, len(cells), _reason(entrant, target.metric, ours), spec)


def _meant(target: Target, own: Spec, strategy: Strategy) -> Spec:
    """The specification that a target means: the board's own, with the parameters that the target names."""
    changes = {name: parse_value(value) for name, value in target.settings.items()}
    if not changes:
        return own
    parameters = strategy.resolve({**own.strategy.parameters, **changes})
    return own.model_copy(update={"strategy": own.strategy.model_copy(update={"parameters": parameters})})


def _entrant(spec: Spec, contests: Sequence[Contest]) -> Entrant | None:
    contest = next((contest for contest in contests if contest.setting == spec.setting), None)
    entrants = contest.entrants if contest else ()
    return next((entrant for entrant in entrants if entrant.identity == spec.strategy.identity), None)


def _reason(entrant: Entrant | None, metric: str, ours: Interval) -> str:
    """Why there is no number of ours."""
    if ours.n or entrant is None or not entrant.records:
        return ""
    if entrant.matrices:
        return f"{RUN_METRICS[metric].title.lower()} is not defined for its runs"
    return "every run failed"
