"""Dropout in a network that has none, by hooks that exist during a forward pass of training only."""

from __future__ import annotations

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Generator, Tensor, nn
from torch.utils.hooks import RemovableHandle

from lifelong.errors import UsageError
from lifelong.plasticity import Plasticity
from lifelong.plasticity.inputs import example_inputs
from lifelong.structure import Role, Structure

SALT = 0x64726F70
"""Turns training's seed into the seed of the masks; any constant would do."""


class Dropout(SupervisedPlugin):
    """Sets each hidden activation to zero with a probability p, and multiplies the others by 1 / (1 - p).

    An activation is dropped where it is read: behind non-linearity, normalisation and pooling. The network's modules
    and names stay as they are. So does the order of the batches, because masks come from a generator of their own.

    Args:
        rate: p, in [0, 1).
        marks: a plug-in that comes before this one: drop only in the epoch after one that ended with its mark; by
            default always.

    Raises:
        UsageError: if the rate is out of range.
    """

    def __init__(self, rate: float, marks: Plasticity | None = None) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise UsageError(f"a dropout rate of {rate} is not in [0, 1); the nearest is {0.0 if rate < 0 else 0.99}")
        self.rate = rate
        self.marks = marks
        self.active = marks is None
        self._looked = 0
        self._readers: tuple[str, ...] = ()
        self._generator: Generator | None = None
        self._handles: list[RemovableHandle] = []

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        inputs = example_inputs(strategy.model, strategy.experience.dataset, strategy.device)
        layers = Structure(strategy.model, *inputs).layers.values()
        self._readers = tuple(dict.fromkeys(slot.module for layer in layers for slot in layer.slots_of(Role.FAN_OUT)))
        if self._generator is None:
            self._generator = Generator(strategy.device).manual_seed(torch.initial_seed() ^ SALT)

    def before_training_epoch(self, *_: object, **__: object) -> None:
        if self.marks is not None:
            self.active = any(event.operator == "mark" for event in self.marks.events[self._looked :])
            self._looked = len(self.marks.events)

    def before_forward(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self.active and self.rate:
            modules = map(strategy.model.get_submodule, self._readers)
            self._handles = [module.register_forward_pre_hook(self._drop) for module in modules]

    def after_forward(self, *_: object, **__: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _drop(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        given, *others = args
        kept = torch.rand(given.shape, generator=self._generator, device=given.device) >= self.rate
        return (given * kept / (1 - self.rate), *others)
