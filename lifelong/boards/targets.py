"""Targets: numbers that others have published, and that a board's runs should reach."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from lifelong.errors import UsageError, unknown
from lifelong.records.spec import Strict

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Target(Strict):
    """One published number.

    [[targets]]
    scenario = "mnist-task"
    strategy = "ewc"                # a name, and parameters that differ: "ewc (ewc_lambda=0.4, mode=online)"
    metric = "average_accuracy"     # a name of `lifelong.records.metrics.RUN_METRICS`, or an alias
    value = 0.986                   # a share is a fraction, as everywhere
    tolerance = 0.01                # how far the mean over seeds may be from the value
    source = "van de Ven & Tolias 2019, arXiv:1904.07734, Table 4"
    note = "..."                    # what a reader of the comparison has to know
    """

    scenario: str
    strategy: str
    metric: str = Field("average_accuracy", validate_default=True)
    value: float = Field(strict=True)
    tolerance: float = Field(ge=0, strict=True)
    source: Words
    note: str = ""

    @property
    def method(self) -> str:
        """The strategy's name on the board, without parameters."""
        return self.strategy.partition(" (")[0]

    @property
    def settings(self) -> dict[str, str]:
        """The parameters in which its runs differ from the board's own, as a user would type them."""
        written = self.strategy.removeprefix(self.method).strip(" ()")
        return {name: value for name, _, value in (part.partition("=") for part in written.split(", ") if part)}

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells this target from others: no two targets of a board share it."""
        return self.scenario, self.strategy, self.metric, self.source

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        from lifelong.records.metrics import metric_name

        try:
            return metric_name(name)
        except UsageError as error:
            raise ValueError(str(error)) from None

    @field_validator("value", "tolerance")
    @classmethod
    def _fraction(cls, number: float, info: ValidationInfo) -> float:
        """Refuse a value in per cent, because papers write accuracies so."""
        from lifelong.records.metrics import RUN_METRICS

        metric = RUN_METRICS.get(info.data.get("metric", ""))
        if metric and metric.quantity == "fraction" and abs(number) > 1:
            raise ValueError(f"{number:g} is no fraction; if {metric.name} is in per cent, divide it by 100")
        return number


def check_placed(
    targets: Sequence[Target],
    scenarios: Collection[str],
    strategies: Collection[str],
    on: Mapping[str, Collection[str]],
) -> None:
    """Check that the runs of a board can reach each of its targets, and that no target stands twice.

    Args:
        targets: the targets of the board.
        scenarios: the scenarios of the board, by name.
        strategies: the strategies of the board, by name.
        on: the scenarios of those strategies that run on some of them only.

    Raises:
        ValidationError: if a target is in the wrong place. The error holds the target's index.
    """
    seen = set()
    for index, target in enumerate(targets):
        twice = "the same target stands above already" if target.identity in seen else ""
        if why := twice or _misplaced(target, scenarios, strategies, on):
            error = PydanticCustomError("target", "{why}", {"why": why})
            raise ValidationError.from_exception_data("targets", [{"type": error, "loc": (index,), "input": target}])
        seen.add(target.identity)


def _misplaced(
    target: Target, scenarios: Collection[str], strategies: Collection[str], on: Mapping[str, Collection[str]]
) -> str:
    """Say why no run of the board could reach a target; empty where one could."""
    for kind, name, there in (("scenario", target.scenario, scenarios), ("strategy", target.method, strategies)):
        if name not in there:
            return f"this board has {unknown(kind, name, there)}"
    if target.scenario not in on.get(target.method, scenarios):
        return f"the board runs {target.method} only on {' and '.join(on[target.method])}, not on {target.scenario}"
    return ""


def told(detail: ErrorDetails) -> str:
    """Say what is wrong with a target, for whoever wrote it."""
    key = ".".join(str(part) for part in detail["loc"] if isinstance(part, str)).partition(".")[2]
    if key == "source" and detail["type"] in ("missing", "string_too_short"):
        return "a target with no source: say which table of which paper, or which file, its value was read from"
    if detail["type"] == "extra_forbidden":
        return f"targets: {unknown('key of a target', key, Target.model_fields)}"
    if detail["type"] == "missing":
        return f"a target with no {key}"
    return f"targets{'.' * bool(key)}{key}: {detail['msg'].removeprefix('Value error, ')}"
