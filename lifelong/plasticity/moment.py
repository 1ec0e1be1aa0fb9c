"""What a rule can see of training: the kind of moment, the last batch, the network, and what is known of its units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import torch
from avalanche.models import avalanche_forward
from torch import Generator, Tensor

from lifelong.errors import UsageError
from lifelong.plasticity.activations import Activations
from lifelong.plasticity.following import carry_units, renamed_keys, twins
from lifelong.structure import Change, Closure, Layer, Structure


class MomentKind(StrEnum):
    """Names the moments of training at which a rule is asked.

    On a task-free stream a rule is asked at steps only, because every other moment would show where tasks begin or end.
    """

    START = "experience starts"
    STEP = "step"
    """An update has been made: the batch is that of the update, and the parameters still hold its gradients."""
    EPOCH = "epoch ends"
    END = "experience ends"


@dataclass(frozen=True)
class Firing:
    """Tells that a trigger fired, for which layers, and what it saw.

    Attributes:
        trigger: the trigger's name, as records show it.
        value: the number that made it fire, such as a z-score, a loss or a rank; None where there is no such number.
        layers: the layers for which it fired, each with the number seen there; None for all layers of the rule.
    """

    trigger: str
    value: float | None = None
    layers: Mapping[str, float] | None = None


@dataclass
class Batch:
    """Holds the samples of the last update, and the network's outputs for them.

    Attributes:
        x: inputs, of shape (n, ...).
        y: classes, int64 of shape (n,); or other targets, of shape (n, ...).
        task_labels: int64 of shape (n,).
        output: logits of shape (n, classes), or other outputs, computed before the update.
        criterion: the strategy's loss as a function of outputs and targets, without the penalties of plug-ins.
    """

    x: Tensor
    y: Tensor
    task_labels: Tensor
    output: Tensor
    criterion: Callable[[Tensor, Tensor], Tensor]

    @cached_property
    def loss(self) -> Tensor:
        """Return the mean loss before the update, a scalar without a graph."""
        with torch.no_grad():
            return self.criterion(self.output.detach(), self.y)

    @cached_property
    def accuracy(self) -> Tensor:
        """Return the share of samples that were classified correctly before the update, a scalar in [0, 1].

        Raises:
            UsageError: if the targets are no classes.
        """
        if self.y.is_floating_point() or self.y.dim() != 1:
            raise UsageError(
                f"a rule reads the accuracy, and the targets are no classes, but {self.y.dtype} of shape "
                f"{tuple(self.y.shape)}: use a rule that reads the loss"
            )
        return (self.output.argmax(dim=1) == self.y).float().mean()


@dataclass
class Memory:
    """Holds what a plug-in has to remember about a network; a `Structure` is made anew more often.

    Attributes:
        generator: draws all random numbers of rules, so that training draws the same numbers as without rules.
        births: for each layer that has changed, the update after which each unit was born, int64 of shape (units,);
            0 for units that were there from the start.
        initial: for each layer, how many units it had when it was first seen.
        layers: the layers whose units may change, by name, as they are now.
    """

    generator: Generator
    births: dict[str, Tensor] = field(default_factory=dict)
    initial: dict[str, int] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def carry(self, change: Change, step: int) -> None:
        """Follow a change of the network.

        Args:
            change: what was done to the network.
            step: updates made so far; new and restarted units are born now.
        """
        # A change names layers as they were before it, so units are carried first and names are changed afterwards.
        for name in twins(self.layers, change.layer):
            births = self.births.get(name, torch.zeros(self.layers[name].units, dtype=torch.int64))
            self.births[name] = carry_units(births, change, step)
        self.births = renamed_keys(self.births, change)
        self.initial = renamed_keys(self.initial, change)


@dataclass
class Moment:
    """Shows one moment of training to one rule.

    Attributes:
        kind: the kind of moment.
        step: updates made so far, over the whole stream.
        layers: names of the layers that the rule is about.
        structure: the network and its optimizer.
        batch: the batch of the last update; None before the first update of an experience.
        memory: what the plug-in remembers about the network.
        recorded: activations at the last update, for the layers where a trigger or a score reads them.
        averages: the mean loss and accuracy over the last epoch, on training batches, each before its update; only
            what a trigger or a schedule reads, and empty before an epoch has ended.
        firing: what the trigger saw, once it has fired; None before.
    """

    kind: MomentKind
    step: int
    layers: Sequence[str]
    structure: Structure
    batch: Batch | None
    memory: Memory
    recorded: Activations
    averages: Mapping[str, float] = field(default_factory=dict)
    firing: Firing | None = None

    @property
    def generator(self) -> Generator:
        """Return the generator of all random numbers of rules, on the CPU."""
        return self.memory.generator

    @cached_property
    def loss(self) -> float | None:
        """Return the mean loss: at a step of the batch before its update, else of the last epoch; None if unknown."""
        return self._measured("loss")

    @cached_property
    def accuracy(self) -> float | None:
        """Return the accuracy in [0, 1], of the same samples as the loss; None if unknown."""
        return self._measured("accuracy")

    def _measured(self, name: str) -> float | None:
        if self.kind is not MomentKind.STEP:
            return self.averages.get(name)
        return None if self.batch is None else float(getattr(self.batch, name))

    def layer(self, name: str) -> Layer:
        """Return the layer of this name, whose units may change, without analysing the network again."""
        return self.memory.layers[name]

    def activations(self, layer: str) -> Tensor:
        """Return what a layer's units gave to their readers at the last update, of shape (samples, units).

        Each place of an image counts as a sample. Activations are recorded only where a trigger or a score of a rule
        says that it `watches` them.

        Raises:
            UsageError: if no activations of this layer were recorded.
        """
        return self.recorded.of(layer)

    def ages(self, layer: str) -> Tensor:
        """Return the updates since the birth of each unit, int64 of shape (units,); a reset unit is born again."""
        births = self.memory.births.get(layer)
        return torch.full((self.layer(layer).units,), self.step) if births is None else self.step - births

    @property
    def closure(self) -> Closure:
        """Return a function that runs the network on the batch and returns the loss, a scalar with its graph.

        Initialisers and scores that have to try something on data call it.

        Raises:
            UsageError: if there has been no batch yet.
        """
        batch, network = self.batch, self.structure.network
        if batch is None:
            raise UsageError("before the first update there is no batch on which new units could be tried")

        def closure() -> Tensor:
            return batch.criterion(avalanche_forward(network, batch.x, batch.task_labels), batch.y)

        return closure
