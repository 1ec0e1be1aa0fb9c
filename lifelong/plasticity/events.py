"""Events: what rules leave in the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lifelong.plasticity.carrying import carry_plugins
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.rule import Happening
from lifelong.structure.contexts import evaluating


@dataclass(frozen=True)
class Event:
    """Tells of one act of a rule on one layer.

    Attributes:
        step: updates made before the act, over the whole stream.
        experience: the experience in training, counted from 0. Readers of events are told it, rules never are.
        trigger: the name of the trigger that fired.
        value: the number that the trigger saw; None where there is none.
        layer: the name of the layer, or of the weight for a change of synapses.
        operator: the name of the operator, such as `grow`.
        count: how many units, synapses or layers were changed; 0 where nothing was.
        parameters_before: how many parameters the network had before the act.
        parameters_after: how many it had after it.
        loss_before: the loss before the act on the last batch, in eval mode, without penalties; None before the first
            batch of an experience.
        loss_after: the same loss after the act.
        note: what else a reader has to know, for example that the change was clipped.
    """

    step: int
    experience: int
    trigger: str
    value: float | None
    layer: str
    operator: str
    count: int
    parameters_before: int
    parameters_after: int
    loss_before: float | None
    loss_after: float | None
    note: str | None = None


def followed(happenings: Iterable[Happening], moment: Moment, strategy: Any, experience: int) -> Iterator[Event]:
    """Let a strategy follow each change as soon as it is made, and tell of it in an event.

    Args:
        happenings: what `Rule.act` yields; each change is made when it is asked for.
        moment: the moment at which the rule acts.
        strategy: the Avalanche strategy whose network is changed.
        experience: the experience in training, counted from 0.
    """
    parameters, loss = _parameters(strategy.model), _loss(moment)
    for happening in happenings:
        outcome = happening.outcome
        # What was measured after the last change is what there is before this one: nothing is measured twice.
        parameters_before, loss_before = parameters, loss
        if outcome.change is not None:
            # Before the next change is made, because that one is told in the names and numbers after this one.
            carry_plugins(strategy, outcome.change)
            parameters, loss = _parameters(strategy.model), _loss(moment)
        yield Event(
            step=moment.step,
            experience=experience,
            trigger=happening.trigger,
            value=happening.value,
            layer=happening.name,
            operator=happening.operator,
            count=outcome.count,
            parameters_before=parameters_before,
            parameters_after=parameters,
            loss_before=loss_before,
            loss_after=loss,
            note=outcome.note,
        )


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def _loss(moment: Moment) -> float | None:
    """Return the loss on the last batch, in eval mode: random numbers and running statistics stay as they are."""
    if moment.batch is None:
        return None
    with evaluating(moment.structure.network):
        return float(moment.closure())
