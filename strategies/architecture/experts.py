"""Expert gate: a network for each experience, of which autoencoders choose one for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import DynamicModule
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.data.drawing import Reader
from lifelong.errors import UsageError
from lifelong.seeds import drawing_from

from .._drawing import own_generator

CODE = 100
"""Number of hidden units of the paper's autoencoders."""
BATCH = 512
"""Number of samples that are read at a time to find the expert that is most related to an experience."""


class Gate(nn.Module):
    """Is an autoencoder of one hidden layer, which reads and writes the sigmoid of a flat sample.

    Args:
        inputs: number of entries of a flat sample.
        code: number of hidden units.
    """

    def __init__(self, inputs: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, code)
        self.decoder = nn.Linear(code, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the squared error of each sample, summed over its inputs, of shape (n,)."""
        target = torch.sigmoid(x.flatten(1))
        written = torch.sigmoid(self.decoder(torch.relu(self.encoder(target))))
        error: Tensor = (written - target).square().sum(1)
        return error


class GatedExperts(DynamicModule):
    """Holds an expert for each experience, and trains the newest; each sample goes to the expert whose gate errs least.

    Args:
        network: the first expert.
        inputs: an example of what it reads, of which the first has the shape (n, ...).
        code: number of hidden units of the gates; by default `CODE`, or half the inputs where that is less.

    Raises:
        UsageError: if the code is not smaller than a sample, or there is no example.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Any], code: int | None) -> None:
        super().__init__()
        if not inputs:
            raise UsageError("what the network reads is not known: give load_strategy an example, such as inputs=(x,)")
        self.inputs = inputs[0].flatten(1).shape[1]
        if code is not None and code >= self.inputs:
            raise UsageError(f"expert-gate.code = {code} hides nothing of the {self.inputs} inputs; give fewer")
        self.code = code or min(CODE, self.inputs // 2)
        self.experts = nn.ModuleList([network])
        self.gates = nn.ModuleList([self._gate(0)])
        self._begun = False

    def adaptation(self, experience: Any) -> None:
        """Add an expert for an experience that is about to be trained on, unless that is the first."""
        super().adaptation(experience)
        if self.training and self._begun:
            related = int(self._errors_on(experience.dataset).argmin())
            expert = deepcopy(self.experts[related]).requires_grad_(True)
            self.requires_grad_(False)
            self.experts.append(expert)
            self.gates.append(self._gate(len(self.gates)))
        self._begun = self._begun or self.training

    def forward(self, x: Tensor) -> Tensor:
        """Return the newest expert's logits in training, else those of the expert whose gate errs least on a sample."""
        if self.training or len(self.experts) == 1:
            newest: Tensor = self.experts[-1](x)
            return newest
        chosen = self._errors(x).argmin(0)
        rows = [(chosen == index).nonzero().flatten() for index in range(len(self.experts))]
        logits = torch.cat([expert(x[own]) for expert, own in zip(self.experts, rows, strict=True) if len(own)])
        return logits[torch.cat(rows).argsort()]

    def _errors(self, x: Tensor) -> Tensor:
        """Return each gate's error on each sample, of shape (experts, n)."""
        return torch.stack([gate(x) for gate in self.gates])

    @torch.no_grad()
    def _errors_on(self, dataset: Any) -> Tensor:
        """Return the error of each gate, added up over a dataset, of shape (experts,)."""
        device = next(self.parameters()).device
        batches = Reader(dataset).in_order(BATCH)
        return torch.stack([self._errors(x.to(device)).sum(1) for x, *_ in batches]).sum(0)

    def _gate(self, number: int) -> Gate:
        with drawing_from(own_generator(f"gate {number}")):
            return Gate(self.inputs, self.code)


class TrainsGate(SupervisedPlugin):
    """Lets the newest gate of `GatedExperts` learn from each batch, beside the expert."""

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.loss = strategy.loss + strategy.model.gates[-1](strategy.mb_x).mean()
