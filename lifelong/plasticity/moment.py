"""What a rule may look at, at one moment of training."""

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
    """When a rule is asked. Of a task-free stream only the steps are told: all else would give its boundaries away."""

    START = "experience starts"
    STEP = "step"
    """After each update: the batch is that of the update, and parameters still hold its gradients."""
    EPOCH = "epoch ends"
    END = "experience ends"


@dataclass(frozen=True)
class Firing:
    """That a trigger fired.

    Attributes:
        trigger: its name, as records show it.
        value: what it saw: a z-score, a loss, a rank; None where there is no such number.
        layers: for which layers, with what it saw of each; None for all of the rule's.
    """

    trigger: str
    value: float | None = None
    layers: Mapping[str, float] | None = None


@dataclass
class Batch:
    """The samples of the last update, and what the network said of them.

    Attributes:
        x: of shape (n, ...).
        y: of shape (n,).
        task_labels: of shape (n,).
        output: logits of shape (n, classes), as they were before the update.
        criterion: the strategy's loss of outputs and targets, without the penalties of plug-ins.
    """

    x: Tensor
    y: Tensor
    task_labels: Tensor
    output: Tensor
    criterion: Callable[[Tensor, Tensor], Tensor]

    @cached_property
    def loss(self) -> Tensor:
        """The mean loss, a detached scalar."""
        with torch.no_grad():
            return self.criterion(self.output.detach(), self.y)

    @cached_property
    def accuracy(self) -> Tensor:
        """The share of right answers, a scalar."""
        return (self.output.argmax(dim=1) == self.y).float().mean()


@dataclass
class Memory:
    """What a plug-in knows of the network beside the network itself; it outlives any one `Structure`.

    Attributes:
        generator: draws for triggers, scores and new weights, so that training draws as it would without rules.
        births: for each layer the update after which each unit was born, of shape (units,); 0 for the first ones.
        initial: for each layer how many units it had at first.
        layers: those whose units may change, as they are now.
    """

    generator: Generator
    births: dict[str, Tensor] = field(default_factory=dict)
    initial: dict[str, int] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def carry(self, change: Change, step: int) -> None:
        """Follow a change of the network after so many updates: by its old names, in which the change speaks."""
        for name in twins(self.layers, change.layer):
            births = self.births.get(name, torch.zeros(self.layers[name].units, dtype=torch.int64))
            self.births[name] = carry_units(births, change, step)
        self.births = renamed_keys(self.births, change)
        self.initial = renamed_keys(self.initial, change)


@dataclass
class Moment:
    """One moment of training, as one rule sees it.

    Attributes:
        kind: when it is.
        step: updates made so far, over the whole stream.
        layers: names of the layers that the rule is about.
        structure: the network and its optimizer.
        batch: that of the last update; None before any.
        memory: see `Memory`.
        recorded: activations of the last update, of the layers for which a score asked.
        averages: the mean loss and accuracy over the last epoch of training (on the training batches, each before its
            update), where a trigger asked for them and there has been one.
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
        """Where random numbers are drawn, on the CPU."""
        return self.memory.generator

    @cached_property
    def loss(self) -> float | None:
        """At a step the batch's mean loss before the update, else that of the last epoch; None where there is none."""
        return self._measured("loss")

    @cached_property
    def accuracy(self) -> float | None:
        """At a step the batch's accuracy before the update, in [0, 1], else that of the last epoch."""
        return self._measured("accuracy")

    def _measured(self, name: str) -> float | None:
        if self.kind is not MomentKind.STEP:
            return self.averages.get(name)
        return None if self.batch is None else float(getattr(self.batch, name))

    def layer(self, name: str) -> Layer:
        """The layer of that name, one of those whose units may change; found without analysing the network again."""
        return self.memory.layers[name]

    def activations(self, layer: str) -> Tensor:
        """What the layer's readers were given at the last update, of shape (samples, units).

        Places of an image count as samples. Only where a score of a rule `watches` activations.
        """
        return self.recorded.of(layer)

    def ages(self, layer: str) -> Tensor:
        """Updates since the birth of each unit, of shape (units,); units start again when they are reinitialised."""
        births = self.memory.births.get(layer)
        return torch.full((self.layer(layer).units,), self.step) if births is None else self.step - births

    @property
    def closure(self) -> Closure:
        """Runs the network on the batch and returns the loss; for initialisers and for what tries a change.

        Raises:
            UsageError: if there has been no batch yet.
        """
        batch, network = self.batch, self.structure.network
        if batch is None:
            raise UsageError("before the first update there is no batch on which new units could be tried")

        def closure() -> Tensor:
            return batch.criterion(avalanche_forward(network, batch.x, batch.task_labels), batch.y)

        return closure


__all__ = ["Batch", "Firing", "Memory", "Moment", "MomentKind"]
