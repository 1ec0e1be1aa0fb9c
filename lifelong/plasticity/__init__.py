"""Rules that change a network's structure while it trains, and the Avalanche plug-in that applies them.

A rule says *when* a trigger fires, *which* units or synapses a selection takes by a score, and *what* an operator does
to them. *How* new weights start is a parameter of the operator, an initialiser of `lifelong.structure`. `Plasticity`
applies rules in any Avalanche strategy.
"""

from lifelong.plasticity.amounts import Cosine, Cubic, Schedule, UntilDrop
from lifelong.plasticity.events import Event
from lifelong.plasticity.moment import Batch, Firing, Moment, MomentKind
from lifelong.plasticity.operators import (
    CreateSynapses,
    Freeze,
    Grow,
    InsertLayer,
    Mark,
    Merge,
    Operator,
    Outcome,
    PruneSynapses,
    Remove,
    RemoveLayer,
    Reset,
    ResetSynapses,
    Split,
    Unfreeze,
)
from lifelong.plasticity.plugin import Plasticity
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.scores import (
    Contribution,
    Curvature,
    Drift,
    FiringAge,
    Fisher,
    GradientNorm,
    Magnitude,
    MeanActivation,
    MutualFreezing,
    Random,
    Redundancy,
    SignFlip,
    SynapseFisher,
    SynapseGradient,
    SynapseRandom,
    SynapseScore,
    SynapseTaylor,
    Taylor,
    Trace,
    UnitScore,
    WeightNorm,
)
from lifelong.plasticity.selection import Below, Lowest, Rate, Selection
from lifelong.plasticity.survival import Survival
from lifelong.plasticity.triggers import (
    Adwin,
    AtSteps,
    Converged,
    Dormant,
    Dropped,
    Every,
    FewFree,
    PageHinkley,
    Randomly,
    RankSaturated,
    ShortOf,
    Stalled,
    Surprised,
    TaskArrives,
    Trigger,
    excess,
)

__all__ = [  # noqa: RUF022 (in the order of a rule, not of the alphabet)
    # applying: rules in a strategy
    "Plasticity",
    "Rule",
    "Event",
    # when: triggers, and what they see and say
    "Trigger",
    "Firing",
    "Moment",
    "MomentKind",
    "Batch",
    "TaskArrives",
    "Every",
    "AtSteps",
    "Randomly",
    "Converged",
    "Stalled",
    "Dropped",
    "ShortOf",
    "Surprised",
    "PageHinkley",
    "Adwin",
    "RankSaturated",
    "Dormant",
    "FewFree",
    # which: selections
    "Selection",
    "Lowest",
    "Below",
    "Rate",
    "Survival",
    # which: schedules of the share that a selection takes
    "Schedule",
    "Cubic",
    "Cosine",
    "UntilDrop",
    # which: scores of units
    "UnitScore",
    "WeightNorm",
    "MutualFreezing",
    "Drift",
    "GradientNorm",
    "Taylor",
    "Fisher",
    "Curvature",
    "MeanActivation",
    "Contribution",
    "FiringAge",
    "Redundancy",
    "Trace",
    "Random",
    # which: scores of synapses
    "SynapseScore",
    "Magnitude",
    "SignFlip",
    "SynapseGradient",
    "SynapseTaylor",
    "SynapseFisher",
    "SynapseRandom",
    # what: operators on units, and how many units `Grow` adds after `RankSaturated`
    "Operator",
    "Outcome",
    "Grow",
    "excess",
    "Remove",
    "Reset",
    "Split",
    "Merge",
    "Freeze",
    "Unfreeze",
    # what: operators on synapses, on layers, and on nothing
    "PruneSynapses",
    "CreateSynapses",
    "ResetSynapses",
    "InsertLayer",
    "RemoveLayer",
    "Mark",
]
