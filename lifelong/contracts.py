"""What a strategy and a scenario are: decorated functions whose typed keyword parameters are their configuration.

Importing this file costs nothing: neither torch nor Avalanche is loaded until a function is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifelong.parameters import Count, Parameter, Positive, Share, Weight, parameters_of, resolve

if TYPE_CHECKING:
    import torch
    from avalanche.benchmarks import CLScenario

Protocol = Literal["class", "domain", "task", "task-free"]
"""What a learner is told: `task` gives task labels and boundaries, `class` and `domain` only boundaries, `task-free`
nothing."""

Need = Literal["task labels", "task boundaries", "single head", "class labels", "feature extractor"]
"""What a strategy may require. The last one is about the network, not the scenario: every model of the suite has its
features and its classifier apart."""

Role = Literal["floor", "ceiling", "reference", "control", "contestant"]
"""Why a strategy is on a board. Floor and ceiling always run. Intransigence is measured against the reference. A
contestant has to beat its control before its own idea can be said to help."""

Criterion = Literal["cross-entropy", "squared error"]
"""The loss that compares outputs with targets: of logits and classes, or of one number and another."""

Scored = Literal["all", "current"]
"""Which test sets are evaluated after each experience: all, or only the one of the current experience."""

PROVIDES: dict[Protocol, frozenset[Need]] = {
    "class": frozenset({"task boundaries", "single head"}),
    "domain": frozenset({"task boundaries", "single head"}),
    "task": frozenset({"task labels", "task boundaries"}),
    "task-free": frozenset({"single head"}),
}
"""What each protocol gives a strategy: what it tells a learner, and whether one head serves all classes."""


@dataclass(frozen=True)
class Entry:
    """A named function, with its parameters and the source that it comes from."""

    function: Callable[..., Any]
    name: str
    source: str = ""
    """The paper or code that it comes from."""
    version: int = 1
    """It is raised whenever a change alters the numbers."""
    file: Path | None = None
    """The user's file that it was read from; None for what is installed."""

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The function's keyword parameters by name."""
        return parameters_of(self.function)

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.description.partition("\n")[0]

    @property
    def family(self) -> str:
        """The folder or file of its kind's room that it stands in; elsewhere the package that it came with."""
        module = self.function.__module__
        for room in ("lifelong.strategies.", "lifelong.scenarios.", "lifelong.models.networks."):
            module = module.removeprefix(room)
        return module.partition(".")[0]

    def resolve(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every parameter (see `lifelong.parameters.resolve`)."""
        return resolve(self.name, self.parameters, overrides)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Strategy(Entry):
    """A function from a `Setup` to an Avalanche strategy."""

    needs: frozenset[Need] = frozenset()
    role: Role = "contestant"
    offline: bool = False
    """Whether it trains once, on the whole stream (joint training), so that R has its first and its last row only."""
    avalanche: str = ""
    """The class of Avalanche that it is or stands for, such as `EWC`; empty where Avalanche has none."""

    def refusal(self, scenario: Scenario) -> str | None:
        """Say why this strategy cannot run on a scenario; return None where it can."""
        if missing := sorted(self.needs - scenario.provides):
            return (
                f"{self.name} needs {' and '.join(missing)}, which {scenario.name} ({scenario.protocol}) does not give"
            )
        if self.offline and scenario.scored == "current":
            return f"{self.name} trains once, on the whole stream; {scenario.name} scores each experience as it comes"
        return None


@dataclass(frozen=True)
class Scenario(Entry):
    """A function from a `Context` to an Avalanche benchmark, with what a leaderboard has to know about it."""

    protocol: Protocol = "class"
    licence: str = ""
    download_mb: float = 0.0
    input_shape: tuple[int, ...] = ()
    """The shape of one sample: (features,) or (channels, height, width)."""
    model: Mapping[str, Any] = field(default_factory=lambda: {"name": "mlp"})
    """The default model: its name, and the parameters that differ from the model's own defaults."""
    budget: Mapping[str, Any] = field(default_factory=dict)
    """The default budget: the fields of `lifelong.records.spec.Budget` that differ from its own defaults."""
    ordered: bool = False
    """Whether the samples of an experience are trained on in their own order, each once, and never shuffled."""
    check: Callable[[Context], None] | None = None
    """A function that raises DataError if the data is damaged, or can be neither found nor downloaded. It is called
    before any training."""
    criterion: Criterion = "cross-entropy"
    """The loss that compares outputs with targets. With a squared error there is no accuracy."""
    scored: Scored = "all"
    """Which test sets are evaluated after each experience."""

    @property
    def provides(self) -> frozenset[Need]:
        """What this scenario gives a strategy."""
        classified: frozenset[Need] = frozenset({"class labels"} if self.criterion == "cross-entropy" else ())
        return PROVIDES[self.protocol] | classified | {"feature extractor"}


@dataclass(frozen=True)
class Context:
    """What a scenario is built from."""

    seed: int = 0
    """The seed of the class order, the permutations and the validation split. Equal seeds give equal streams."""
    data: Path | None = None
    """The folder of data sets. None means the folder that `LIFELONG_DATA` names, else a cache folder."""
    device: str | torch.device = "cpu"
    """The device on which the images are held."""


def _named(function: Callable[..., Any]) -> str:
    return function.__name__.replace("_", "-")


def strategy(
    *,
    source: str = "",
    needs: set[Need] | frozenset[Need] = frozenset(),
    role: Role = "contestant",
    offline: bool = False,
    avalanche: str = "",
    version: int = 1,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Strategy]:
    """Make a function `(setup, parameter: type = default, ...) -> SupervisedTemplate` a strategy of the suite.

    Args:
        source: the paper or code that the method comes from.
        needs: what a scenario must give. A cell without it is skipped, with the reason, before any training.
        role: why it is on a board (see `Role`). Strategies with the role `floor` or `ceiling` are on every board.
        offline: whether it trains once, on the whole stream.
        avalanche: the class of Avalanche that it is or stands for, such as `EWC` or `RARPlugin`. A strategy that has
            one is a baseline.
        version: a number to raise whenever a change alters the results, so that old records are not mixed with new
            ones.
        name: the name on the board. By default it is the function's own, with dashes.
    """

    def decorate(function: Callable[..., Any]) -> Strategy:
        return Strategy(
            function,
            name or _named(function),
            source=source,
            version=version,
            needs=frozenset(needs),
            role=role,
            offline=offline,
            avalanche=avalanche,
        )

    return decorate


def scenario(
    *,
    protocol: Protocol,
    source: str = "",
    licence: str = "",
    download_mb: float = 0.0,
    input_shape: tuple[int, ...] = (),
    model: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
    ordered: bool = False,
    check: Callable[[Context], None] | None = None,
    criterion: Criterion = "cross-entropy",
    scored: Scored = "all",
    version: int = 1,
    name: str | None = None,
) -> Callable[[Callable[..., CLScenario]], Scenario]:
    """Make a function `(context, parameter: type = default, ...) -> CLScenario` a scenario of the suite.

    Args:
        protocol: what the learner is told (see `Protocol`).
        source: the paper that the scenario comes from.
        licence: the licence of the data.
        download_mb: how much is downloaded on first use, in megabytes.
        input_shape: the shape of one sample: (features,) or (channels, height, width).
        model: the default model, for example `{"name": "mlp", "widths": [400, 400]}`.
        budget: the default budget, for example `{"epochs": 1}`.
        ordered: whether the samples of an experience are trained on in their own order, each once. A stream whose data
            drift within an experience needs that.
        check: a function that raises DataError if the data is damaged, or can be neither found nor downloaded. It is
            called once, before any training.
        criterion: the loss that compares outputs with targets.
        scored: which test sets are evaluated after each experience: `all`, or only the one of the `current` experience.
        version: a number to raise whenever a change alters the results.
        name: the name on the board. By default it is the function's own, with dashes.
    """

    def decorate(function: Callable[..., CLScenario]) -> Scenario:
        return Scenario(
            function,
            name or _named(function),
            source=source,
            version=version,
            protocol=protocol,
            licence=licence,
            download_mb=download_mb,
            input_shape=input_shape,
            model=model or {"name": "mlp"},
            budget=budget or {},
            ordered=ordered,
            check=check,
            criterion=criterion,
            scored=scored,
        )

    return decorate


def from_file(entry: Entry, file: Path) -> Entry:
    """Return the same entry, marked as coming from a user's file."""
    return replace(entry, file=file)


__all__ = [
    "PROVIDES",
    "Context",
    "Count",
    "Criterion",
    "Entry",
    "Need",
    "Positive",
    "Protocol",
    "Role",
    "Scenario",
    "Scored",
    "Share",
    "Strategy",
    "Weight",
    "from_file",
    "scenario",
    "strategy",
]
