"""The four neural operators on any torch network, while it trains, with nothing silently lost.

Knows torch, and nothing else: units and synapses are created and removed, layers inserted and taken out, in networks
that know nothing of it. Start with `Structure`.
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
from lifelong.structure.starting.initialisers import Copy, Fresh, Growth, Initialiser, Start, ZeroFanOut
from lifelong.structure.starting.orthogonal import OrthogonalActivations, OrthogonalWeights
from lifelong.structure.starting.residual import ResidualFit
from lifelong.structure.structure import Structure

__all__ = [
    "NEW",
    "Change",
    "Closure",
    "Copy",
    "Flow",
    "Fresh",
    "GradMax",
    "Growth",
    "Initialiser",
    "Layer",
    "NetworkTally",
    "OrthogonalActivations",
    "OrthogonalWeights",
    "ResidualFit",
    "Role",
    "Slot",
    "Start",
    "Structure",
    "StructureError",
    "StructureOperator",
    "Tally",
    "ZeroFanOut",
    "blueprint",
    "count",
    "create_synapses",
    "create_units",
    "freeze_units",
    "frozen_units",
    "insert_layer",
    "merge_units",
    "prune_synapses",
    "pruned_synapses",
    "rebuild",
    "reinitialise_units",
    "remove_layer",
    "remove_units",
    "split_units",
    "unfreeze_units",
]
