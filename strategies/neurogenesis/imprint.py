"""Units that store one surprising event at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, avalanche_forward
from torch import Tensor, nn

from lifelong.errors import UsageError
from lifelong.plasticity import Batch, Firing, Moment, MomentKind, Operator, Outcome, Trigger
from lifelong.structure import Growth, Initialiser, Layer, Role, Start, Structure, create_units
from lifelong.structure.contexts import evaluating

MARGIN = 1.0
"""How far the logit of a stored event's class is above all others."""


@dataclass
class Surprising(Trigger):
    """Fires when the error of a sample of the last batch exceeds a threshold.

    Args:
        threshold: threshold of 1 - p, where p is the probability that the network gave to the right class, in [0, 1).
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise UsageError(f"threshold = {self.threshold} of the error is not in [0, 1); the default is 0.9")

    def fires(self, moment: Moment) -> Firing | None:
        if moment.kind is not MomentKind.STEP or moment.batch is None:
            return None
        error = float(_errors(moment.batch).max())
        return Firing(self.name, error) if error > self.threshold else None


@dataclass
class Imprint(Operator):
    """Adds one unit that stores the last batch's most surprising sample, to the layers whose readers give the output.

    Args:
        width: width of the new unit's response (see `Imprinted`).
        cap: the most units that a layer may have, as a multiple of what it had at first.
    """

    width: float
    cap: float
    selects: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if self.cap <= 1:
            raise UsageError(f"cap = {self.cap} times the first units leaves no room to store events")

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        if not any(_is_last(structure, structure.layer(name)) for name in layers):
            raise UsageError(
                "no unit could store an event: none of the network's hidden layers is an nn.Linear "
                "with a bias that is read by the output layer alone"
            )

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        del chosen
        batch, layer = moment.batch, moment.layer(name)
        if batch is None or not _is_last(moment.structure, layer):
            return None
        if layer.units >= int(self.cap * moment.memory.initial[name]):
            return Outcome(None, 0, f"not stored: the layer has reached {self.cap:g} times its first units")
        event = int(_errors(batch).argmax())
        one = slice(event, event + 1)
        alone = Batch(batch.x[one], batch.y[one], batch.task_labels[one], batch.output[one], batch.criterion)
        return Outcome(create_units(moment.structure, name, 1, Imprinted(alone, self.width)), 1)


@dataclass(frozen=True)
class Imprinted(Initialiser):
    """Starts a unit for one sample: its incoming weights encode the sample, its outgoing weights answer it rightly.

    With a the layer's input for the sample, the unit's activation for an input x is relu(1 + (a.x / a.a - 1) / width):
    1 for the sample, 0 where the projection on it is below 1 - width. Its outgoing weights are the residual, one-hot
    target - softmax, times the least factor (1 or more) with which the right logit exceeds all others by 1.

    Args:
        sample: a batch of one.
        width: a number above 0; the smaller it is, the fewer inputs the unit responds to.
    """

    sample: Batch
    width: float

    def start(self, growth: Growth) -> Start:
        (fan_in,) = growth.layer.slots_of(Role.FAN_IN)
        network = growth.structure.network
        given, answers = _passed(network, self.sample, fan_in.module, growth.layer)
        norm = given.square().sum().clamp(min=torch.finfo(given.dtype).tiny)
        values = {fan_in: (given / (self.width * norm))[None]}
        for slot in growth.layer.slots_of(Role.OWN):
            values[slot] = given.new_full(growth.shape(slot), 1 - 1 / self.width)
        for slot in growth.layer.slots_of(Role.FAN_OUT):
            logits, residual = answers.get(slot.module, (None, None))
            wanted = given.new_zeros(growth.shape(slot))
            if logits is not None and residual is not None:
                wanted = (_factor(logits, residual) * residual).view_as(wanted)
            values[slot] = wanted
        return Start(values)


def _errors(batch: Batch) -> Tensor:
    """Return 1 - p of each sample, of shape (n,)."""
    return 1 - batch.output.softmax(dim=1).gather(1, batch.y[:, None])[:, 0]


def _is_last(structure: Structure, layer: Layer) -> bool:
    """Tell whether a layer is linear with a bias, and what its readers return is the network's output."""
    makers = {slot.module for slot in layer.slots_of(Role.FAN_IN, Role.OWN, Role.TIED)}
    if makers != {layer.name} or not isinstance(module := structure.network.get_submodule(layer.name), nn.Linear):
        return False
    readers = {slot.module for slot in layer.slots_of(Role.FAN_OUT)}
    return module.bias is not None and all(_is_output(structure, reader) for reader in readers)


def _is_output(structure: Structure, name: str) -> bool:
    """Tell whether a linear layer gives the network's output, or is one of its heads."""
    network, parts = structure.network, name.split(".")
    around = [network.get_submodule(".".join(parts[:count])) for count in range(1, len(parts))]
    is_head = any(isinstance(module, IncrementalClassifier | MultiHeadClassifier) for module in around)
    return isinstance(network.get_submodule(name), nn.Linear) and (is_head or structure.flows[name].ends)


def _passed(
    network: nn.Module, sample: Batch, maker: str, layer: Layer
) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
    """Return what a layer reads of a sample, of shape (inputs,), and each used reader's logits and residuals."""
    inputs: list[Tensor] = []
    outputs: dict[str, Tensor] = {}
    readers = {slot.module for slot in layer.slots_of(Role.FAN_OUT)}
    handles = [network.get_submodule(name).register_forward_hook(_keeping(outputs, name)) for name in readers]
    handles.append(
        network.get_submodule(maker).register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
    )
    try:
        with evaluating(network), torch.enable_grad():
            loss = sample.criterion(avalanche_forward(network, sample.x, sample.task_labels), sample.y)
            slopes = torch.autograd.grad(loss, list(outputs.values()), allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    pairs = zip(outputs, slopes, strict=True)
    answers = {reader: (outputs[reader][0].detach(), -slope[0]) for reader, slope in pairs if slope is not None}
    return inputs[0].flatten(), answers


def _keeping(outputs: dict[str, Tensor], reader: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
    def hook(module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
        del module, given
        outputs[reader] = output

    return hook


def _factor(logits: Tensor, residual: Tensor) -> float:
    """Return the least c >= 1 with which the right entry of logits + c residual exceeds all others by `MARGIN`.

    The right entry is the one where the residual is positive.
    """
    right = int(residual.argmax())
    rivals = (residual < 0).nonzero().flatten()
    if not len(rivals):
        return 1.0
    needed = (MARGIN + logits[rivals] - logits[right]) / (residual[right] - residual[rivals])
    return max(1.0, float(needed.max()))
