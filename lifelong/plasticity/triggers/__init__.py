"""Triggers: when a rule acts.

- by time alone: `TaskArrives`, `Every`, `AtSteps`, `Randomly` (schedules.py)
- by what training achieves: `Converged`, `Stalled`, `Dropped`, `ShortOf` (progress.py)
- by a loss that shows that the stream has changed: `Surprised`, `PageHinkley`, `Adwin` (surprise.py)
- by what a layer makes of its units: `RankSaturated`, `Dormant`, `FewFree` (saturation.py)

Combine them as in `(TaskArrives() | Converged()) & ShortOf(accuracy=0.9)`, and hold them back by
`.cooldown(steps=100)` and `.at_most(3)`. To write a trigger of your own, derive from `Trigger` and write `fires`. If it
judges once an epoch, or once in a number of updates, derive from `Periodic` or `Measured` (periods.py).
"""

from lifelong.plasticity.moment import Firing
from lifelong.plasticity.triggers.base import Trigger
from lifelong.plasticity.triggers.progress import Converged, Dropped, ShortOf, Stalled
from lifelong.plasticity.triggers.saturation import Dormant, FewFree, RankSaturated, excess
from lifelong.plasticity.triggers.schedules import AtSteps, Every, Randomly, TaskArrives
from lifelong.plasticity.triggers.surprise import Adwin, PageHinkley, Surprised

__all__ = [
    "Adwin",
    "AtSteps",
    "Converged",
    "Dormant",
    "Dropped",
    "Every",
    "FewFree",
    "Firing",
    "PageHinkley",
    "Randomly",
    "RankSaturated",
    "ShortOf",
    "Stalled",
    "Surprised",
    "TaskArrives",
    "Trigger",
    "excess",
]
