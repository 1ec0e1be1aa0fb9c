"""Published numbers beside ours: reproduced or not.

The mean over seeds decides, and the target's tolerance. Our interval is shown and has no say: the fewer the seeds, the
wider it is, and the easier it would be to reproduce a number by overlapping it.
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
"""Seeds, with fewer of which a status says little."""
ROUNDING = 1e-9
"""What a difference may owe to rounding, relative to the published value: 0.93 - 0.92 is more than 0.01."""
NONE = Interval(None, None, None, 0)


@dataclass(frozen=True)
class TargetOutcome:
    """A target, and what the board's runs came to."""

    target: Target
    status: Status
    """Reproduced where the mean over seeds is within the tolerance of the published value, itself included; else above
    or below it as a number, whichever direction is better. Not run where there is no number of ours."""
    ours: Interval
    planned: int
    """The runs that the board plans."""
    reason: str = ""
    """Why there is no number, where it is not that nothing has been run."""
    spec: Spec | None = None
    """Of the first of its runs; None where they are impossible."""

    @property
    def difference(self) -> float | None:
        """Ours minus the published."""
        return None if self.ours.mean is None else self.ours.mean - self.target.value

    @property
    def few(self) -> bool:
        """Whether the status rests on too few seeds."""
        return 0 < self.ours.n < FEW


def outcomes(targets: Sequence[Target], cells: Sequence[Cell], contests: Sequence[Contest]) -> list[TargetOutcome]:
    """What became of each target that the cells are about.

    Args:
        targets: of one board.
        cells: of a plan of that board; a target whose scenario or strategy it leaves out is left out too.
        contests: its records, arranged.

    Raises:
        UsageError: if a target names parameters that its strategy lacks, or a user's file that does not load.
    """
    found = []
    for target in targets:
        scenario = _name(scenarios, target.scenario)
        strategy = _name(strategies, target.method)
        own = [cell for cell in cells if (cell.scenario.name, cell.strategy.name) == (scenario, strategy)]
        if own:
            found.append(_outcome(target, own, contests))
    return found


def status_of(mean: float, target: Target) -> Status:
    """Where a mean lies."""
    difference = mean - target.value
    if abs(difference) <= target.tolerance + ROUNDING * abs(target.value):
        return "reproduced"
    return "above" if difference > 0 else "below"


def summary(found: Sequence[TargetOutcome]) -> str:
    """`18 of 20 reproduced, 1 above, 1 below; 3 not run`."""
    counts = Counter(one.status for one in found)
    run = len(found) - counts["not run"]
    others = [f"{counts[status]} {status}" for status in ("above", "below") if counts[status]]
    parts = [", ".join([f"{counts['reproduced']} of {run} reproduced", *others])] if run else []
    return "; ".join([*parts, *([f"{counts['not run']} not run"] if run < len(found) else [])])


def _name(registry: Registry[E], reference: str) -> str:
    return registry.get(reference).name if ".py:" in reference else reference


def _outcome(target: Target, cells: Sequence[Cell], contests: Sequence[Contest]) -> TargetOutcome:
    """One target's, given the cells of its scenario and strategy: a cell for each seed, at least one."""
    if cells[0].spec is None:
        return TargetOutcome(target, "not run", NONE, 0, cells[0].reason)
    spec = _meant(target, cells[0].spec, cells[0].strategy)
    entrant = _entrant(spec, contests)
    values = entrant.values(target.metric) if entrant else {}
    ours = mean_interval([values[seed] for seed in sorted(values)])
    status = "not run" if ours.mean is None else status_of(ours.mean, target)
    return TargetOutcome(target, status, ours, len(cells), _reason(entrant, target.metric, ours), spec)


def _meant(target: Target, own: Spec, strategy: Strategy) -> Spec:
    """The specification that a target is about: the board's own, with the parameters that the target names."""
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
