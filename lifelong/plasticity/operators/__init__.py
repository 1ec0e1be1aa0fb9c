"""Operators: what a rule does where its trigger has fired.

- units: `Grow` (growing.py); `Remove`, `Reset`, `Split`, `Freeze`, `Unfreeze` (units.py); `Merge` (merging.py)
- synapses: `PruneSynapses`, `CreateSynapses`, `ResetSynapses` (synapses.py)
- layers: `InsertLayer`, `RemoveLayer` (layers.py)
- nothing but an event: `Mark` (base.py)

To write an operator of your own, derive from `Operator`, set `selects` to what it has to be told, and write `apply`,
which changes one layer by a function of `lifelong.structure` and returns an `Outcome`. Write `attempt` too, so that a
network on which it cannot work is refused before training.
"""

from lifelong.plasticity.operators.base import NOTHING, Mark, New, Operator, Outcome, start_of
from lifelong.plasticity.operators.growing import Amount, Grow
from lifelong.plasticity.operators.layers import InsertLayer, RemoveLayer
from lifelong.plasticity.operators.merging import Merge
from lifelong.plasticity.operators.synapses import CreateSynapses, PruneSynapses, ResetSynapses
from lifelong.plasticity.operators.units import Freeze, Remove, Reset, Split, Unfreeze

__all__ = [
    "NOTHING",
    "Amount",
    "CreateSynapses",
    "Freeze",
    "Grow",
    "InsertLayer",
    "Mark",
    "Merge",
    "New",
    "Operator",
    "Outcome",
    "PruneSynapses",
    "Remove",
    "RemoveLayer",
    "Reset",
    "ResetSynapses",
    "Split",
    "Unfreeze",
    "start_of",
]
