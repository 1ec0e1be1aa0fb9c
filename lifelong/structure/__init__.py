"""The neural operators on any torch network, while it trains, with nothing silently lost.

This room knows torch, and nothing else. It creates and removes units and synapses, and inserts layers and takes them
out, in networks that know nothing of it. Start with `Structure`:

>>> import torch
>>> from torch import nn
>>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
>>> optimizer = torch.optim.Adam(network.parameters())
>>> structure = Structure(network, torch.zeros(1, 3), optimizer=optimizer)
>>> change = create_units(structure, "0", 2)
>>> network[0], network[2]
(Linear(in_features=3, out_features=7, bias=True), Linear(in_features=7, out_features=2, bias=True))
>>> importances = {name: torch.ones(shape) for name, shape in change.sizes.items()}
>>> change.carry(importances)["2.weight"][0]
tensor([1., 1., 1., 1., 1., 0., 0.])

`reading` finds out which sizes belong together, `operators` change them, `starting` says how new parts start, and
`holding` keeps a changed network and its optimizer together.
"""

from lifelong.structure.blueprint import blueprint, rebuild
from lifelong.structure.counting import NetworkTally, Tally, count
from lifelong.structure.errors import StructureError
from lifelong.structure.holding.change import NEW, Change, StructureOperator
from lifelong.structure.operators.freezing import freeze_units, frozen_units, unfreeze_units
from lifelong.structure.operators.layers import insert_layer, remove_layer
from lifelong.structure.operators.synapses import create_synapses, prune_synapses, pruned_synapses
from lifelong.structure.operators.units import create_units, merge_units, reinitialise_units, remove_units, split_units
from lifelong.structure.reading.layer import Layer, Role, Slot
from lifelong.structure.reading.tracing import Flow
from lifelong.structure.starting.capture import Closure
from lifelong.structure.starting.gradmax import GradMax
from lifelong.structure.starting.initialisers import (
    Copy,
    Fresh,
    Growth,
    Initialiser,
    KeepFanOut,
    Start,
    ZeroFanOut,
)
from lifelong.structure.starting.orthogonal import OrthogonalActivations, OrthogonalWeights
from lifelong.structure.starting.residual import ResidualFit
from lifelong.structure.structure import Structure

__all__ = [  # noqa: RUF022 - in an order that helps
    # Look at a network.
    "Structure",
    "Layer",
    "Slot",
    "Role",
    "Flow",
    "count",
    "NetworkTally",
    "Tally",
    "StructureError",
    # Change its units.
    "create_units",
    "remove_units",
    "reinitialise_units",
    "split_units",
    "merge_units",
    "freeze_units",
    "unfreeze_units",
    "frozen_units",
    # Change its synapses and its layers.
    "prune_synapses",
    "create_synapses",
    "pruned_synapses",
    "insert_layer",
    "remove_layer",
    # Say how new parts start.
    "ZeroFanOut",
    "Fresh",
    "Copy",
    "GradMax",
    "OrthogonalWeights",
    "OrthogonalActivations",
    "ResidualFit",
    "Initialiser",
    "KeepFanOut",
    "Growth",
    "Start",
    "Closure",
    # Know what a change was, and carry other tensors along.
    "Change",
    "StructureOperator",
    "NEW",
    # Save and restore a changed network.
    "blueprint",
    "rebuild",
]
