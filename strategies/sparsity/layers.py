"""The removal of layers that hardly matter."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from avalanche.models import avalanche_forward
from torch import Tensor, nn

from lifelong.plasticity import Batch, Moment, Outcome, RemoveLayer
from lifelong.structure import Structure, remove_layer
from lifelong.structure.contexts import evaluating


@dataclass
class RemoveUnimportant(RemoveLayer):
    """Takes a layer out if it returns the shape that it reads, and the loss on the last batch hardly rises without it.

    Args:
        rise: the largest rise of the loss that is accepted, relative to it; at least 0.
    """

    rise: float = 0.01

    def apply(self, moment: Moment, name: str, chosen: Tensor) -> Outcome | None:
        batch, structure = moment.batch, moment.structure
        flow = structure.flows[name]
        if batch is None or flow.inputs != (flow.output,):
            return None
        trial = Structure(deepcopy(structure.network), *structure.inputs)
        remove_layer(trial, name)
        if _loss(trial.network, batch) > (1 + self.rise) * _loss(structure.network, batch):
            return None
        return super().apply(moment, name, chosen)


@torch.no_grad()
def _loss(network: nn.Module, batch: Batch) -> float:
    with evaluating(network):
        return float(batch.criterion(avalanche_forward(network, batch.x, batch.task_labels), batch.y))
