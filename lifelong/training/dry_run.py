"""How large another strategy's network becomes on a run's stream, with its seed. Controls of size are built by it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from avalanche.benchmarks import CLExperience
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate

from lifelong.errors import UsageError
from lifelong.plasticity.plugin import Plasticity
from lifelong.seeds import untouched_generators
from lifelong.training.train import train


@dataclass(frozen=True)
class Widths:
    """The number of units of each layer that the network had from the start.

    Attributes:
        initial: before the first update.
        final: after the last update; layers that were removed are left out.
        average: the mean over all updates.
    """

    initial: Mapping[str, int]
    final: Mapping[str, int]
    average: Mapping[str, float]


@dataclass
class DryRun:
    """Trains a strategy once on a run's own stream, only to find out how large its network becomes.

    Args:
        build: a function from a strategy's name and parameters to that strategy, with a network of its own, as it would
            be on the board.
        stream: the experiences to train on.
        ordered: whether samples are trained on in their own order, and not shuffled.
    """

    build: Callable[[str, Mapping[str, Any]], SupervisedTemplate]
    stream: Iterable[CLExperience]
    ordered: bool = False

    def check(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Check before any training that the strategy can be built and changes a structure.

        Raises:
            UsageError: if it cannot be built, or changes no structure.
        """
        with untouched_generators():
            changers(name, self.build(name, parameters))

    def widths(self, name: str, parameters: Mapping[str, Any]) -> Widths:
        """Train the strategy, and return how wide its layers were.

        Raises:
            UsageError: if it cannot be built, or changes no structure.
        """
        strategy = self.build(name, parameters)
        scale = _Scale(changers(name, strategy)[0])
        strategy.plugins.append(scale)
        for experience in self.stream:
            train(strategy, [experience], in_order=self.ordered)
        return scale.widths()


def changers(name: str, strategy: SupervisedTemplate) -> list[Plasticity]:
    """Return the plug-ins by which a strategy changes its network's structure.

    Args:
        name: the strategy's name, for the message.
        strategy: the strategy.

    Raises:
        UsageError: if there is none.
    """
    plugins = [plugin for plugin in strategy.plugins if isinstance(plugin, Plasticity)]
    if not plugins:
        raise UsageError(f"{name} changes no structure: a control of its size is {name} itself")
    return plugins


@dataclass
class _Scale(SupervisedPlugin):
    """Counts a network's units before each update."""

    watched: Plasticity
    steps: int = 0
    first: dict[str, int] = field(default_factory=dict)
    total: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        super().__init__()

    def before_training_iteration(self, *_: object, **__: object) -> None:
        self.first = self.first or dict(self.watched.initial)
        self.steps += 1
        for layer, units in self.watched.widths.items():
            self.total[layer] += units

    def widths(self) -> Widths:
        final = self.watched.widths
        return Widths(
            self.first,
            {layer: final[layer] for layer in self.first if layer in final},
            {layer: self.total[layer] / self.steps for layer in self.first},
        )
