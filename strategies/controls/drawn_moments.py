"""Growth at moments that are drawn beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from avalanche.training.templates import SupervisedTemplate
from torch import Generator

from lifelong.errors import UsageError
from lifelong.plasticity import Firing, Grow, Moment, MomentKind, Plasticity, Rule, Trigger

from .._drawing import own_generator

if TYPE_CHECKING:
    from lifelong import Setup


@dataclass
class DrawnMoments(Trigger):
    """Fires for each layer at moments of its own, which are drawn uniformly over the steps of a stream."""

    _due: dict[str, Counter[int]] = field(default_factory=dict, init=False)

    def draw(self, units: Mapping[str, int], steps: int, generator: Generator) -> None:
        """Give each unit of a layer a step of its own, from 1 to `steps`.

        Args:
            units: number of units to be added, by layer.
            steps: number of steps in the stream.
            generator: draws the steps.
        """
        for layer, count in units.items():
            self._due[layer] = Counter((1 + torch.randint(steps, (count,), generator=generator)).tolist())

    def due(self, moment: Moment, layer: str) -> int:
        """Return how many units a layer gets now."""
        return self._due[layer][moment.step]

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP:
            return None
        layers = {layer: float(steps[moment.step]) for layer, steps in self._due.items() if steps[moment.step]}
        return Firing(self.name, layers=layers) if layers else None


def grow_at_random(setup: Setup, of: str, parameters: dict[str, Any]) -> SupervisedTemplate:
    """Fine-tune, and add as many units as another strategy does, each at a random step.

    Args:
        setup: of this control.
        of: name of the other strategy.
        parameters: parameters of the other strategy.

    Raises:
        UsageError: if the stream or its number of steps is not known, or the other strategy cannot be trained
            beforehand.
    """
    if setup.dry_run is None:
        raise UsageError("random-growth has to know the stream: run it on a board, and make no control of it")
    setup.dry_run.check(of, parameters)
    _updates(setup, samples=1)
    moments = DrawnMoments()
    plugin = Plasticity(Rule(when=moments, what=Grow(moments.due)))
    setup.before_training.append(partial(_draw, setup, plugin, of, parameters))
    return setup.naive(plugin)


def _draw(setup: Setup, plugin: Plasticity, of: str, parameters: dict[str, Any]) -> None:
    """Train the other strategy, and draw a step for each unit that it added."""
    (rule,) = plugin.rules  # the plug-in's copy of the rule, with its own copy of the moments
    assert isinstance(rule.when, DrawnMoments)
    assert setup.dry_run is not None
    generator = own_generator("random growth")
    widths = setup.dry_run.widths(of, parameters)
    added = {layer: max(0, units - widths.initial[layer]) for layer, units in widths.final.items()}
    updates = [_updates(setup, len(experience.dataset)) for experience in setup.dry_run.stream]
    rule.when.draw(added, sum(updates), generator)


def _updates(setup: Setup, samples: int) -> int:
    """Return how often a network is updated on so many samples.

    Raises:
        UsageError: if that depends on the network's size.
    """
    updates = setup.budget.updates(batches=-(-samples // setup.budget.batch_size))
    if updates is None:
        raise UsageError("random-growth draws its moments beforehand, which a budget in training_macs does not allow")
    return updates
