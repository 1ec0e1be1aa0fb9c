"""When a rule acts."""

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
