"""A score by how long a unit has been silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_map

from lifelong.errors import UsageError
from lifelong.plasticity.activations import Activations
from lifelong.plasticity.moment import Moment
from lifelong.plasticity.scores.base import UnitScore
from lifelong.structure import Structure
from lifelong.structure.contexts import evaluating
from lifelong.structure.holding.undo import undone

_TRIALS = 32
"""On how many random inputs a unit has to be exactly 0 once, to count as one that can be silent."""


@dataclass
class FiringAge(UnitScore):
    """Scores a unit by minus the updates since it last fired, so that the unit that was silent for longest comes first.

    A unit fires at an update if its activation is not exactly 0 for at least one sample, or place of an image, in the
    batch; its score is then 0. The count of a new unit begins at its birth. `Below(FiringAge(), -100)` selects units
    that have been silent for at least 100 updates. This is the age of self-normalised resets (Farias & Jozefiak 2025),
    but it counts batches, not samples.
    """

    watches: ClassVar[bool] = True

    def check(self, structure: Structure, layers: tuple[str, ...]) -> None:
        """Refuse layers whose units are never exactly 0 on random inputs, such as those of tanh, GELU or batch norm.

        Raises:
            UsageError: if there is such a layer; the message names it.
        """
        if never := _never_silent(structure, layers):
            raise UsageError(
                f"FiringAge: the units of {never[0]!r} are exactly 0 on none of {_TRIALS} random inputs, as with tanh "
                "or GELU, so that none can be seen to be silent; use ReLU there, or a score such as GradientNorm"
            )

    def observe(self, moment: Moment, layer: str) -> None:
        fired = moment.activations(layer).abs().sum(0) > 0
        age = self.state.setdefault(layer, {"age": torch.zeros(len(fired), device=fired.device)})["age"]
        age.add_(1).masked_fill_(fired, 0)

    def __call__(self, moment: Moment, layer: str) -> Tensor:
        held = self.state.get(layer)
        return -held["age"] if held else torch.zeros(moment.layer(layer).units)


@torch.no_grad()
def _never_silent(structure: Structure, layers: tuple[str, ...]) -> list[str]:
    """Return the layers none of whose units is ever exactly 0.

    The network is run on random inputs. Its modules would not tell, because a network may call functions.
    """
    network, left = structure.network, list(layers)
    generator = Generator().manual_seed(0)
    recorded = Activations(layers)
    # A trial leaves no trace: neither in random numbers, nor in buffers, nor in modes.
    with torch.random.fork_rng(devices=[]), undone(network), evaluating(network):
        for _ in range(_TRIALS):
            recorded.start(structure)
            network(*tree_map(lambda value: _noise(value, generator), structure.inputs))
            left = [layer for layer in left if bool((recorded.of(layer) != 0).all())]
            if not left:
                break
    return left


def _noise(value: Any, generator: Generator) -> Any:
    """Return noise of the shape of a tensor of floats; return anything else, such as task labels, as it is."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    return torch.randn(value.shape, generator=generator).to(value)
