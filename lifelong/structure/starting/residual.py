"""Starts units that take away some of the error at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lifelong.structure.checks import whole
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import tensor_of
from lifelong.structure.reading.layer import Slot
from lifelong.structure.starting.capture import Closure, Pass
from lifelong.structure.starting.initialisers import Fresh, Growth, Initialiser, Start
from lifelong.structure.starting.trials import Trials, feature_dim, to_rows

Residuals = Mapping[str, Tensor]
"""What each module that reads the units lacks, or gets added, by its name: tensors of its outputs' shapes."""


@dataclass(frozen=True)
class ResidualFit(Initialiser):
    """Trains units to covary with what the network still gets wrong (Fahlman & Lebiere 1990, cascade correlation).

    One unit after the other: the fan-in of a pool of candidates ascends `S = sum over outputs o of |sum over patterns p
    of (V_p - mean V)(E_po - mean E_o)|`, where V is the candidate's activation and E the residual; the candidate with
    the largest S stays. In a convolution patterns are samples and places, and S has a term for each entry of the
    kernel.

    >>> from lifelong.structure import Structure, create_units
    >>> network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    >>> _ = torch.manual_seed(0)
    >>> x, y = torch.randn(20, 3), torch.randn(20, 2)
    >>> loss = lambda: torch.nn.functional.mse_loss(network(x), y)
    >>> before = loss().item()
    >>> _ = create_units(Structure(network, x), "0", 1, ResidualFit(loss))
    >>> loss().item() < before
    True

    The paper has squared errors, sigmoid units and one layer of outputs. For everything else we chose:

    - The residual is the negative gradient of the loss at the outputs of the modules that read the units (Friedman
      2001, gradient boosting). The fan-out is the least-squares fit to it, times a step found by a line search on the
      closure's loss. For squared errors of a linear output that is the least-squares fit of the error itself.
    - Each candidate's fan-in, with its bias, keeps the norm that it was drawn with, because S of a rectifier has no
      maximum. It ascends along the gradient by a part of that norm, from `rate` down to nothing.
    - The new units stand side by side in one layer; in the paper each is a layer of its own that reads those before.
    - A unit that would not lower the loss gets a fan-out of zero. The loss is that of eval mode, and rises by rounding
      only.

    The closure is run about count x (steps + 30) times, with each candidate in the place of an existing unit.

    Args:
        closure: runs the network on a batch and returns the loss, always on the same batch; without `backward`.
        candidates: how many are in the pool for each new unit, at least 1 and at most as many as the layer has units.
        steps: how many steps of gradient ascent are made for each new unit.
        rate: the length of the first step, relative to the fan-in's norm.
        generator: draws candidates, on the CPU; torch's global one by default.
    """

    closure: Closure
    candidates: int = 8
    steps: int = 30
    rate: float = 0.3
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return trained fan-in and fitted fan-out.

        Raises:
            StructureError: if units cannot be tried in this layer, or units start again in it, because the loss without
                them is not known.
        """
        whole(self.candidates, "the number of candidates")
        trials = Trials(growth, self.closure)
        if growth.renewed:
            raise StructureError(f"{growth.layer.name!r}: ResidualFit is for units that are created")
        added: Residuals = {}  # what the new units so far contribute to their readers' outputs
        units = []
        for _ in range(growth.count):
            seen = trials.look(added)
            gradients = seen.gradients(trials.readers(seen))
            residuals = {reader: -gradient for reader, gradient in gradients.items()}
            unit = self._trained(trials, residuals)
            fan_out, added = _fitted(trials, unit, residuals, float(seen.loss.detach()), added)
            units.append(unit | fan_out)
        return Start({slot: torch.cat([unit[slot] for unit in units], dim=slot.dim) for slot in trials.layer.slots})

    def _trained(self, trials: Trials, residuals: Residuals) -> dict[Slot, Tensor]:
        """Return the best candidate after its ascent."""
        count = min(self.candidates, trials.places)
        values = dict(Fresh(generator=self.generator).start(trials.growth_of(count)).values)
        slots = _trained_slots(trials)
        rows = torch.cat([to_rows(slot, values[slot].to(_like(trials, slot))) for slot in slots], dim=1)
        norms = rows.norm(dim=1, keepdim=True)
        centred = {reader: _centred(trials, reader, residual) for reader, residual in residuals.items()}
        for step in range(self.steps):
            rows.requires_grad_()
            scores = _covariances(trials, values | trials.to_values(slots, rows), centred)
            (slope,) = torch.autograd.grad(scores.sum(), rows)
            # A step along the gradient, then back to the norm that the candidate was drawn with.
            pace = self.rate * (1 - step / self.steps)
            rows = rows.detach() + pace * norms * torch.nn.functional.normalize(slope, dim=1)
            rows = torch.nn.functional.normalize(rows, dim=1) * norms
        scores = _covariances(trials, values | trials.to_values(slots, rows), centred)
        best = int(scores.argmax())
        values |= trials.to_values(slots, rows.detach())
        return {slot: value.narrow(slot.dim, best * slot.width, slot.width) for slot, value in values.items()}


def _trained_slots(trials: Trials) -> list[Slot]:
    """Return the slots of the candidates' fan-in, and of the biases of the same modules."""
    makers = {slot.module for slot in trials.fan_in}
    biases = [slot for slot in trials.own if slot.module in makers]
    return [*trials.fan_in, *biases]


def _covariances(trials: Trials, values: Mapping[Slot, Tensor], residuals: Residuals) -> Tensor:
    """Return S of each candidate, of shape (candidates,)."""
    # What a fan-out adds is linear in it: the gradient of its product with the residuals is each entry's covariance.
    seen = trials.try_units(values, gradients=True)
    count = values[trials.fan_in[0]].shape[trials.fan_in[0].dim] // trials.fan_in[0].width
    rows = torch.zeros_like(trials.existing(trials.fan_out)[:count]).requires_grad_()
    added = trials.read(seen, trials.to_values(trials.fan_out, rows))
    (covariances,) = torch.autograd.grad(_product(added, residuals), rows, create_graph=True)
    return covariances.abs().sum(dim=1)


def _fitted(
    trials: Trials, unit: Mapping[Slot, Tensor], residuals: Residuals, loss: float, added: Residuals
) -> tuple[dict[Slot, Tensor], Residuals]:
    """Return a unit's fan-out, and what it and the units before it add to their readers' outputs."""
    seen = trials.try_units(unit)
    fan_out = _least_squares(trials, seen, residuals)
    with torch.no_grad():
        more = trials.read(seen, trials.to_values(trials.fan_out, fan_out))

    def sum_with(step: float) -> Residuals:
        return {reader: more[reader] * step + added.get(reader, 0) for reader in more}

    def loss_with(step: float) -> float:
        return float(trials.look(sum_with(step), gradients=False).loss)

    step = _line_search(loss_with, loss, -float(_product(more, residuals)))
    return trials.to_values(trials.fan_out, step * fan_out), sum_with(step)


def _least_squares(trials: Trials, seen: Pass, residuals: Residuals) -> Tensor:
    """Find the fan-out of the unit tried first that fits the residuals best, by conjugate gradients: (1, entries).

    All outputs have the same normal equations, with as many unknowns as a unit has entries for each output. That many
    steps suffice.
    """
    fan_out = torch.zeros_like(trials.existing(trials.fan_out)[:1])
    steps = max(slot.width * tensor_of(trials.network, slot.tensor)[0, 0].numel() for slot in trials.fan_out)
    rest = dict(residuals)
    slope = _transposed(trials, seen, rest, fan_out)
    direction, length = slope, float(slope.square().sum())
    # Textbook conjugate gradients, with `read` as the matrix and its gradient as the transposed one.
    for _ in range(steps * len(rest)):
        with torch.no_grad():
            change = trials.read(seen, trials.to_values(trials.fan_out, direction))
        curvature = float(_product(change, change))
        if not curvature > 0:
            break
        fan_out = fan_out + length / curvature * direction
        rest = {reader: rest[reader] - length / curvature * change[reader] for reader in rest}
        slope = _transposed(trials, seen, rest, fan_out)
        direction, length = slope + float(slope.square().sum()) / length * direction, float(slope.square().sum())
    return fan_out


def _transposed(trials: Trials, seen: Pass, residuals: Residuals, like: Tensor) -> Tensor:
    rows = torch.zeros_like(like).requires_grad_()
    with torch.enable_grad():
        added = trials.read(seen, trials.to_values(trials.fan_out, rows))
        return torch.autograd.grad(_product(added, residuals), rows)[0]


def _line_search(loss_with: Callable[[float], float], loss: float, slope: float) -> float:
    """Return a step that lowers the loss; 0 if none is found.

    The first step is the one for which the slope promises a hundredth of the loss. If it lowers the loss, it is doubled
    for as long as the loss still falls at a tenth of the slope; if not, it is halved until the loss falls; either 20
    times at most. The vertex of the parabola through the ends, where a quadratic loss has its minimum, is tried, too.

    Args:
        loss_with: returns the loss after a step of a length.
        loss: the loss without a step.
        slope: the loss's derivative with respect to the step's length, at 0.
    """
    if not slope < 0:
        return 0.0
    step = (0.01 * abs(loss) or 1.0) / -slope
    tried = {0.0: loss, step: loss_with(step)}
    grows = tried[step] < loss
    for _ in range(20):
        step *= 2 if grows else 0.5
        tried[step] = loss_with(step)
        falls = tried[step] < (tried[step / 2] + 0.1 * slope * step / 2 if grows else loss)
        if falls != grows:
            break
    # The parabola with this slope at 0 that goes through both ends: loss + slope s + bend s² / step².
    bend = tried[step] - loss - slope * step
    if bend > 0:
        vertex = min(-slope * step**2 / (2 * bend), 2 * step)
        tried[vertex] = loss_with(vertex)
    return min(tried, key=tried.__getitem__)


def _centred(trials: Trials, reader: str, residual: Tensor) -> Tensor:
    """Return the residual less each output's mean, so that activations' means drop out of the covariance."""
    dim = feature_dim(trials.network.get_submodule(reader)) % residual.dim()
    return residual - residual.mean(dim=[other for other in range(residual.dim()) if other != dim], keepdim=True)


def _product(one: Residuals, other: Residuals) -> Tensor:
    return torch.stack([(one[reader] * other[reader]).sum() for reader in one]).sum()


def _like(trials: Trials, slot: Slot) -> Tensor:
    return tensor_of(trials.network, slot.tensor)
