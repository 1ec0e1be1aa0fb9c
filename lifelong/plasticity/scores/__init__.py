"""Scores: a number for each unit or synapse, by which a selection chooses; the lowest come first.

- from the weights: `WeightNorm`, `MutualFreezing`, `Magnitude` (magnitude.py)
- from what weights once were: `Drift`, `SignFlip` (movement.py)
- from the gradients of updates: `GradientNorm`, `Taylor`, `Fisher`, `SynapseGradient`, `SynapseTaylor`, `SynapseFisher`
  (gradients.py); from second derivatives: `Curvature` (curvature.py)
- from activations: `MeanActivation`, `Contribution` (activity.py), `FiringAge` (firing.py), `Redundancy`
  (redundancy.py), `Trace` (trace.py)
- at random, as a control: `Random`, `SynapseRandom` (chance.py)

`-score` turns the order round. To write a score of your own, derive from `UnitScore` or `SynapseScore` and write
`__call__`; for a running mean over updates, derive from `MeanOfUnits` or `MeanOfSynapses` (running.py) and write
`measure`.
"""

from lifelong.plasticity.scores.activity import Contribution, MeanActivation
from lifelong.plasticity.scores.base import SynapseScore, UnitScore
from lifelong.plasticity.scores.chance import Random, SynapseRandom
from lifelong.plasticity.scores.curvature import Curvature
from lifelong.plasticity.scores.firing import FiringAge
from lifelong.plasticity.scores.gradients import (
    Fisher,
    GradientNorm,
    SynapseFisher,
    SynapseGradient,
    SynapseTaylor,
    Taylor,
)
from lifelong.plasticity.scores.magnitude import Magnitude, MutualFreezing, WeightNorm
from lifelong.plasticity.scores.movement import Drift, SignFlip
from lifelong.plasticity.scores.redundancy import Redundancy
from lifelong.plasticity.scores.trace import Trace

__all__ = [
    "Contribution",
    "Curvature",
    "Drift",
    "FiringAge",
    "Fisher",
    "GradientNorm",
    "Magnitude",
    "MeanActivation",
    "MutualFreezing",
    "Random",
    "Redundancy",
    "SignFlip",
    "SynapseFisher",
    "SynapseGradient",
    "SynapseRandom",
    "SynapseScore",
    "SynapseTaylor",
    "Taylor",
    "Trace",
    "UnitScore",
    "WeightNorm",
]
