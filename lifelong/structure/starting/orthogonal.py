"""Starts units that do what the existing ones do not: NORTH* (Maile, Rachelson, Luga & Wilson 2022, "When, where, and
how to add new neurons to ANNs", AutoML-Conf, arXiv:2202.08539).

Nothing reads the new units yet, as in the authors' code: the network's function is preserved exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from lifelong.structure.checks import whole
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import carry_tensor
from lifelong.structure.holding.marks import owner, tensor_of
from lifelong.structure.reading.layer import Role, Slot
from lifelong.structure.starting.capture import Closure
from lifelong.structure.starting.initialisers import Fresh, Growth, Initialiser, Start, ZeroFanOut
from lifelong.structure.starting.trials import Trials, Values, from_rows, to_rows


@dataclass(frozen=True)
class OrthogonalWeights(Initialiser):
    """NORTH-Weight starts with fan-in orthogonal to that of the existing units and of each other, and zero fan-out.

    >>> from lifelong.structure import Structure, create_units
    >>> network = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> _ = create_units(Structure(network, torch.zeros(1, 8)), "0", 2, OrthogonalWeights())
    >>> overlaps = network[0].weight[:3] @ network[0].weight[3:].T
    >>> bool((overlaps.abs() < 1e-5).all())
    True

    The directions are random in the space that is left. Once the existing units' fan-ins span all of it, each further
    unit gets the direction that overlaps least with all units so far: the one with the smallest sum of squared cosines.
    This is our choice, where the authors draw at random. The norm is the mean of the existing units' (the authors keep
    that of the random draw). Biases and all else are fresh.

    Args:
        generator: draws directions, on the CPU; torch's global one by default.
    """

    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return orthogonal fan-in, layer by layer where several make the units together.

        Raises:
            StructureError: if the layer's units have no fan-in of their own, or one that is tied to their fan-out.
        """
        if not growth.layer.slots_of(Role.FAN_IN):
            raise StructureError(f"{growth.layer.name!r}: its units have no fan-in of their own")
        start = ZeroFanOut(Fresh(generator=self.generator)).start(growth)
        fan_in = {slot: self._values(growth, slot) for slot in growth.layer.slots_of(Role.FAN_IN)}
        return Start({**start.values, **fan_in})

    def _values(self, growth: Growth, slot: Slot) -> Tensor:
        tensor = tensor_of(growth.structure.network, slot.tensor).detach()
        existing = tensor.index_select(slot.dim, slot.positions.flatten().to(tensor.device))
        rows = to_rows(slot, existing).double().cpu()
        directions = _orthogonal_directions(rows, growth.count, self.generator)
        values = from_rows(slot, (directions * rows.norm(dim=1).mean()).to(tensor), tensor.shape)
        # Where the layer reads its own units, what new units read of each other stays zero.
        return carry_tensor(
            values, {dim: index for dim, index in growth.maps.get(slot.tensor, {}).items() if dim != slot.dim}
        )


@dataclass(frozen=True)
class OrthogonalActivations(Initialiser):
    """NORTH-Select starts with those of many random units whose activations on a batch are most orthogonal to the
    existing units', and with zero fan-out.

    The measure is the share of a candidate's activations, as they are read from the layer, that lies outside the span
    of the existing units' activations: the sine of the angle between them. We choose greedily: each new unit counts as
    an existing one for the next, where the authors' code ranks all candidates once. And we choose by the share, not by
    the length, so that large activations are not preferred. The candidates are fresh, with fan-ins of the existing
    ones' mean norm.

    Args:
        closure: runs the network on a batch and returns the loss, which does not matter here. The batch needs more
            samples, or places in them, than there are units: else no activations lie outside the others' span.
        candidates: how many are drawn in all; by default as many as in the authors' code, 100 for convolutions and 1000
            for linear layers. One run of the closure tries as many of them as the layer has units.
        generator: draws candidates, on the CPU; torch's global one by default.
    """

    closure: Closure
    candidates: int | None = None
    generator: Generator | None = None

    def start(self, growth: Growth) -> Start:
        """Return the most orthogonal candidates.

        Raises:
            StructureError: if units cannot be tried in this layer, or more are asked for than there are candidates.
        """
        trials = Trials(growth, self.closure)
        convolves = not isinstance(owner(trials.network, trials.fan_in[0].tensor)[0], nn.Linear)
        candidates = self.candidates if self.candidates is not None else 100 if convolves else 1000
        if whole(candidates, "the number of candidates") < growth.count:
            raise StructureError(
                f"{growth.layer.name!r}: cannot choose {growth.count} units from {candidates} candidates"
            )
        values = self._candidates(trials, candidates)
        existing = trials.activations(trials.look(gradients=False), trials.places)
        tried = torch.cat(
            [_activations(trials, values, block) for block in torch.split(torch.arange(candidates), trials.places)]
        )
        chosen = _most_orthogonal(existing, tried, growth.count)
        start = ZeroFanOut(Fresh(generator=self.generator)).start(growth)
        return Start({**start.values, **_select(values, chosen)})

    def _candidates(self, trials: Trials, count: int) -> dict[Slot, Tensor]:
        values = dict(Fresh(generator=self.generator).start(trials.growth_of(count)).values)
        fan_in = torch.cat([to_rows(slot, values[slot]) for slot in trials.fan_in], dim=1)
        norm = trials.existing(trials.fan_in).norm(dim=1).mean()
        return values | trials.to_values(trials.fan_in, nn.functional.normalize(fan_in, dim=1) * norm.to(fan_in))


def _orthogonal_directions(rows: Tensor, count: int, generator: Generator | None) -> Tensor:
    """Return unit vectors, orthogonal to the rows and each other as far as there is room: (count, entries)."""
    rows = nn.functional.normalize(rows, dim=1)
    directions = rows.new_empty(0, rows.shape[1])
    while len(directions) < count:
        # The right singular vectors, by how much the rows overlap with them: those with none are free.
        _, overlaps, basis = torch.linalg.svd(torch.cat([rows, directions]), full_matrices=False)
        spanned = basis[overlaps > 1e-6]
        room = rows.shape[1] - len(spanned)
        if room:
            more = min(room, count - len(directions))
            drawn = torch.randn(more, rows.shape[1], generator=generator, dtype=rows.dtype)
            new = torch.linalg.qr((drawn - drawn @ spanned.T @ spanned).T).Q.T
        else:  # no room: the direction with the smallest sum of squared cosines
            new = basis[-1:]
        directions = torch.cat([directions, new])
    return directions


def _activations(trials: Trials, values: Values, block: Tensor) -> Tensor:
    return trials.activations(trials.try_units(_select(values, block)), len(block))


def _select(values: Values, units: Tensor) -> dict[Slot, Tensor]:
    """Return the values of some of the units."""
    chosen = {}
    for slot, value in values.items():
        places = units[:, None] * slot.width + torch.arange(slot.width)
        chosen[slot] = value.index_select(slot.dim, places.flatten().to(value.device))
    return chosen


def _most_orthogonal(existing: Tensor, candidates: Tensor, count: int) -> Tensor:
    """Choose the candidates furthest outside the span of the existing units, one by one.

    Args:
        existing: their activations, of shape (units, patterns).
        candidates: the candidates' activations, of shape (candidates, patterns).
        count: how many to choose.

    Returns:
        The numbers of the chosen ones, int64 of shape (count,).
    """
    _, strengths, basis = torch.linalg.svd(existing.double(), full_matrices=False)
    basis = basis[strengths > strengths[0] * 1e-6]
    outside = nn.functional.normalize(candidates.double(), dim=1)
    outside = outside - outside @ basis.T @ basis
    chosen: list[int] = []
    for _ in range(count):
        shares = outside.norm(dim=1)
        shares[chosen] = -1
        chosen.append(int(shares.argmax()))
        # The chosen one widens the span: what the others have along it no longer counts.
        direction = nn.functional.normalize(outside[chosen[-1]], dim=0)
        outside = outside - torch.outer(outside @ direction, direction)
    return torch.tensor(chosen)
