"""New units that take away some of the error at once."""

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
"""What each module that reads the units lacks, or gets added: of its outputs' shapes."""


@dataclass(frozen=True)
class ResidualFit(Initialiser):
    """Units trained to covary with what the network still gets wrong (Fahlman & Lebiere 1990, cascade correlation).

    One unit after the other: the fan-in of a pool of candidates ascends S = sum over outputs o of |sum over patterns p
    of (V_p - mean V)(E_po - mean E_o)|, where V is the candidate's activation and E the residual; the candidate with
    the largest S stays. In a convolution patterns are samples and places, and S has a term for each entry of the
    kernel.

    The paper has squared errors, sigmoid units and one layer of outputs; for all else we chose:

    - The residual is the negative gradient of the loss at the outputs of the modules that read the units (Friedman
      2001, gradient boosting). The fan-out is the least-squares fit to it, times a step found by a line search on the
      closure's loss. For squared errors of a linear output that is the least-squares fit of the error itself.
    - Each candidate's fan-in, with its bias, keeps the norm that it was drawn with: S of a rectifier has no maximum.
      It ascends along the gradient by a part of that norm, from `rate` down to nothing.
    - The new units stand side by side in one layer; in the paper each is a layer of its own that reads those before.
    - A unit that would not lower the loss gets a fan-out of zero. The loss is that of eval mode, and never rises but by
      rounding.

    The closure is run about count x (steps + 30) times, with each candidate in the place of an existing unit.

    Args:
        closure: runs the network on a batch and returns the loss, always on the same batch; without `backward`.
        candidates: in the pool for each new unit, at most as many as the layer has units.
        steps: of gradient ascent, for each new unit.
        rate: of the ascent, relative to the fan-in's norm.
        generator: where candidates are drawn, on the CPU.
    """

    closure: Closure
    candidates: int = 8
    steps: int = 30
    rate: float = 0.3
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Trained fan-in, fitted fan-out.

        Raises:
            StructureError: if units cannot be tried in this layer, or it keeps its size: the loss without the units
                that are to start again is not known.
        """
        whole(self.candidates, "the number of candidates")
        trials = Trials(growth, self.closure)
        if growth.renewed:
            raise StructureError(f"{growth.layer.name!r}: ResidualFit is for units that are created")
        added: Residuals = {}
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
        """The best candidate after its ascent."""
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
            pace = self.rate * (1 - step / self.steps)
            rows = rows.detach() + pace * norms * torch.nn.functional.normalize(slope, dim=1)
            rows = torch.nn.functional.normalize(rows, dim=1) * norms
        scores = _covariances(trials, values | trials.to_values(slots, rows), centred)
        best = int(scores.argmax())
        values |= trials.to_values(slots, rows.detach())
        return {slot: value.narrow(slot.dim, best * slot.width, slot.width) for slot, value in values.items()}


def _trained_slots(trials: Trials) -> list[Slot]:
    """The candidates' fan-in, and the biases of the same modules."""
    makers = {slot.module for slot in trials.fan_in}
    biases = [slot for slot in trials.own if slot.module in makers]
    return [*trials.fan_in, *biases]


def _covariances(trials: Trials, values: Mapping[Slot, Tensor], residuals: Residuals) -> Tensor:
    """S of each candidate: the fan-out's gradient of its product with the residuals is the covariance of each entry."""
    seen = trials.try_units(values, gradients=True)
    count = values[trials.fan_in[0]].shape[trials.fan_in[0].dim] // trials.fan_in[0].width
    rows = torch.zeros_like(trials.existing(trials.fan_out)[:count]).requires_grad_()
    added = trials.read(seen, trials.to_values(trials.fan_out, rows))
    (covariances,) = torch.autograd.grad(_product(added, residuals), rows, create_graph=True)
    return covariances.abs().sum(dim=1)


def _fitted(
    trials: Trials, unit: Mapping[Slot, Tensor], residuals: Residuals, loss: float, added: Residuals
) -> tuple[dict[Slot, Tensor], Residuals]:
    """A unit's fan-out, and what is added to its readers' outputs by it and the units before it."""
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
    """Of shape (1, entries): the fan-out of the unit tried first that fits the residuals best, by conjugate gradients.

    All outputs have the same normal equations, of as many unknowns as a unit has entries for each: that many steps
    suffice.
    """
    fan_out = torch.zeros_like(trials.existing(trials.fan_out)[:1])
    steps = max(slot.width * tensor_of(trials.network, slot.tensor)[0, 0].numel() for slot in trials.fan_out)
    rest = dict(residuals)
    slope = _transposed(trials, seen, rest, fan_out)
    direction, length = slope, float(slope.square().sum())
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
    """A step that lowers the loss; 0 if none is found.

    From where the slope promises a hundredth of the loss it is doubled (20 times at most), for as long as the loss
    still falls at a tenth of the slope, or halved until the loss falls; the vertex of the parabola through the ends is
    tried as well. That is the minimum of a quadratic loss.
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
    bend = tried[step] - loss - slope * step
    if bend > 0:
        vertex = min(-slope * step**2 / (2 * bend), 2 * step)
        tried[vertex] = loss_with(vertex)
    return min(tried, key=tried.__getitem__)


def _centred(trials: Trials, reader: str, residual: Tensor) -> Tensor:
    """The residual less each output's mean; the activations' means then drop out of the covariance."""
    dim = feature_dim(trials.network.get_submodule(reader)) % residual.dim()
    return residual - residual.mean(dim=[other for other in range(residual.dim()) if other != dim], keepdim=True)


def _product(one: Residuals, other: Residuals) -> Tensor:
    return torch.stack([(one[reader] * other[reader]).sum() for reader in one]).sum()


def _like(trials: Trials, slot: Slot) -> Tensor:
    return tensor_of(trials.network, slot.tensor)
