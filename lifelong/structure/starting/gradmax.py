"""Starts units that do nothing yet, and whose gradient is as large as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Generator, Tensor, nn

from lifelong.structure.errors import StructureError
from lifelong.structure.holding.marks import owner, tensor_of
from lifelong.structure.reading.layer import Slot
from lifelong.structure.starting.capture import Closure, Pass
from lifelong.structure.starting.initialisers import Fresh, Growth, Initialiser, Start
from lifelong.structure.starting.trials import Trials, to_rows

_TOLERANCE = 1e-5


@dataclass(frozen=True)
class GradMax(Initialiser):
    """GradMax (Evci et al. 2022, ICLR, arXiv:2201.05125) starts with zero fan-in, and with the fan-out of a given norm
    for which the gradient of the fan-in is largest.

    The gradient of the new fan-in is linear in the new fan-out: M v, where M is the sum over the batch of (input of the
    layer) x (gradient at the output of the next). The new units' fan-outs are the right singular vectors of M with the
    largest singular values s, so that the squared norm of the new fan-in's gradient is norm² times the sum of their s².
    A convolution's M has a row for each entry of a filter and a column for each entry of a fan-out, kernels included,
    as in the paper. We get M by differentiating through what really lies between the two, pooling and flattening
    included, where the authors' code falls back to random weights. M holds for plain gradient descent, in eval mode.

    >>> from lifelong.structure import Structure, create_units
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    >>> x, y = torch.randn(8, 3), torch.randn(8, 2)
    >>> new = GradMax(lambda: nn.functional.mse_loss(network(x), y))
    >>> _ = create_units(Structure(network, x), "0", 1, new)
    >>> network[0].weight[5].count_nonzero().item(), bool(network[2].weight[:, 5].norm() > 0)
    (0, True)

    Where the paper is silent, or torch differs, we chose:

    - The paper needs an activation with slope 1 at zero. torch's relu has slope 0 there: a unit without fan-in would
      never learn. All biases of the new units start at a tiny positive value, so that the units are active on every
      sample; those of normalisations, too, because a batch normalisation takes a constant away. The function changes by
      about `lift`.
    - In training mode a batch normalisation magnifies a channel of no variance by 1 / sqrt(eps): gradients there are
      larger than M says, and the first steps change the function abruptly. A group normalisation does so always, and M
      says it.
    - Depthwise convolutions in between start as the identity, as in the authors' code.
    - Each fan-out's norm is the mean of the existing units', as in the authors' code.
    - A batch may have fewer singular vectors than units are asked for (one less than there are classes, in front of a
      linear classifier). The other units get random directions in the span of those vectors. Where there is only one
      vector, they would all stay the same, and are refused.

    Args:
        closure: runs the network on a batch and returns the loss; without `backward`.
        norm: the norm of each new fan-out, above 0; by default the mean of the existing units'.
        lift: how much the function changes, relative to the root mean square of the next modules' outputs (to 1 where
            all are zero); it has to be under 1e-5.
        generator: draws random directions, on the CPU; torch's global one by default.
    """

    closure: Closure
    norm: float | None = None
    lift: float = 1e-6
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return zero fan-in, tiny biases and singular vectors.

        Raises:
            StructureError: if units cannot be tried in this layer, no fan-out gives them a gradient, or their
                activation is not zero at zero, so that the function would change.
        """
        trials = Trials(growth, self.closure)
        seen = trials.look()
        norm = self._norm(trials)
        bias = self._bias(trials, seen, norm)
        # Silent units take the places of all existing ones for one run. Their fan-in is zero, but has a gradient.
        muted = self._muted(trials, trials.places, bias)
        for slot in trials.fan_in:
            muted[slot].requires_grad_()
        silent = trials.try_units(muted, gradients=True)
        matrix = _gradient_matrix(trials, silent, muted, seen.gradients(trials.readers(seen)))
        fan_out = norm * self._directions(matrix, growth)
        _refuse_changed(trials, seen, silent, fan_out)
        return Start({**self._muted(trials, growth.count, bias), **trials.to_values(trials.fan_out, fan_out)})

    def _norm(self, trials: Trials) -> float:
        norm = float(trials.existing(trials.fan_out).norm(dim=1).mean()) if self.norm is None else self.norm
        if not norm > 0:
            raise StructureError(
                f"{trials.layer.name!r}: its fan-out has the norm {norm}; give a positive `norm` for new units"
            )
        return norm

    def _bias(self, trials: Trials, seen: Pass, norm: float) -> float:
        """Return a bias with which, by Cauchy and Schwarz, orthogonal fan-outs of this norm change at most `lift`."""
        taps = max(slot.width * tensor_of(trials.network, slot.tensor)[0, 0].numel() for slot in trials.fan_out)
        scale = min(_size(seen.outputs[reader]) or 1.0 for reader in trials.readers(seen))
        return self.lift * scale / (norm * taps * sqrt(trials.growth.count))

    def _muted(self, trials: Trials, count: int, bias: float) -> dict[Slot, Tensor]:
        """Return the values of units without fan-in."""
        growth = trials.growth_of(count)
        values = dict(Fresh(generator=self.generator).start(growth).values)
        for slot in trials.fan_in:
            like = tensor_of(trials.network, slot.tensor)
            values[slot] = torch.zeros(growth.shape(slot), dtype=like.dtype, device=like.device)
        for slot in trials.own:
            module, attribute = owner(trials.network, slot.tensor)
            # Biases of everything between the layer and its readers; running statistics are fresh.
            if attribute == "bias":
                values[slot] = torch.full(growth.shape(slot), bias)
            elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                values[slot] = _identity_kernel(growth.shape(slot))
        return values

    def _directions(self, matrix: Tensor, growth: Growth) -> Tensor:
        """Return unit vectors for the new fan-outs, of shape (count, entries of a fan-out)."""
        _, strengths, vectors = torch.linalg.svd(matrix, full_matrices=False)
        rank = int((strengths > strengths[0] * max(matrix.shape) * torch.finfo(matrix.dtype).eps).sum())
        if rank == 0:
            raise StructureError(
                f"{growth.layer.name!r}: no fan-out gives new units a gradient on this batch, as where no bias comes "
                "before an activation whose slope at zero is zero"
            )
        if rank == 1 < growth.count:
            raise StructureError(
                f"{growth.layer.name!r}: on this batch there is one direction only (as in front of one output, or "
                "of two classes), in which several new units would always stay the same; create one"
            )
        vectors = vectors[:rank] * matrix.any(dim=0)  # nothing, not even rounding, where nothing was measured
        # A singular vector's sign is arbitrary: fixed, so that it does not depend on the machine.
        vectors = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
        others = torch.randn(max(growth.count - rank, 0), rank, generator=self.generator).to(vectors)
        return torch.cat([vectors[: growth.count], nn.functional.normalize(others, dim=1) @ vectors])


def _gradient_matrix(trials: Trials, silent: Pass, muted: dict[Slot, Tensor], gradients: dict[str, Tensor]) -> Tensor:
    """Return M: how the gradient of a fan-in depends on the fan-out, (entries of a fan-in, entries of a fan-out)."""
    weights = [muted[slot] for slot in trials.fan_in]
    entries = trials.existing(trials.fan_out).shape[1]
    columns = []
    # One unit vector of a fan-out for each unit that can be tried at once: each gives a column of M.
    for block in torch.split(torch.eye(entries), trials.places):
        added = trials.read(silent, trials.to_values(trials.fan_out, block))
        slope = sum((added[reader] * gradients[reader]).sum() for reader in added)
        assert isinstance(slope, Tensor)
        grads = torch.autograd.grad(slope, weights, retain_graph=True, materialize_grads=True)
        rows = [to_rows(slot, grad)[: len(block)] for slot, grad in zip(trials.fan_in, grads, strict=True)]
        columns.append(torch.cat(rows, dim=1))
    matrix = torch.cat(columns).T
    return matrix.to(torch.promote_types(matrix.dtype, torch.float32))


def _refuse_changed(trials: Trials, seen: Pass, silent: Pass, fan_out: Tensor) -> None:
    """Refuse an activation that is not zero at zero, such as the sigmoid."""
    with torch.no_grad():
        parts = [
            trials.read(silent, trials.to_values(trials.fan_out, rows)) for rows in torch.split(fan_out, trials.places)
        ]
    for reader in parts[0]:
        change = sum(part[reader] for part in parts)
        assert isinstance(change, Tensor)
        if _size(change) > _TOLERANCE * (_size(seen.outputs[reader]) or 1.0):
            raise StructureError(
                f"{trials.layer.name!r}: new units with zero fan-in would change the outputs of {reader!r}, because "
                "what lies between does not keep zero at zero"
            )


def _size(outputs: Tensor) -> float:
    """Return the root mean square of outputs."""
    return float(outputs.float().square().mean().sqrt())


def _identity_kernel(shape: tuple[int, ...]) -> Tensor:
    kernel = torch.zeros(shape)
    kernel.flatten(2)[:, 0, kernel[0, 0].numel() // 2] = 1
    return kernel
