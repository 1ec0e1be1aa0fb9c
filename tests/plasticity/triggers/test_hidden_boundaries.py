"""Where boundaries are hidden, no trigger sees them: the same batches, cut into experiences elsewhere, give the same
events. What cannot do without boundaries is refused before training.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset
from torch import nn
from torch.utils.data import TensorDataset

import lifelong.plasticity.triggers as module
from lifelong import Setup
from lifelong.errors import UsageError
from lifelong.plasticity import Grow, Lowest, Mark, Plasticity, Reset, Rule, WeightNorm
from lifelong.plasticity.triggers import (
    Adwin,
    AtSteps,
    Converged,
    Dormant,
    Dropped,
    Every,
    FewFree,
    Firing,
    PageHinkley,
    Randomly,
    RankSaturated,
    ShortOf,
    Stalled,
    Surprised,
    TaskArrives,
)
from lifelong.records.spec import Budget

BATCH, BATCHES = 16, 90
CUTS = [(30, 60), (3, 10, 61, 62), (89,)]
"""The ends of experiences, in batches; the stream itself changes after batches 30 and 60."""


def free():
    """Return every trigger in the form that needs no boundaries, set so that it fires on this stream."""
    return [
        Adwin(delta=0.9),
        AtSteps([7, 33]),
        Converged(delta=0.2, steps=4),
        Dormant(share=0.05, threshold=0.4, steps=7, samples=20),
        Dropped(steps=5),
        Every(steps=9),
        FewFree(share=0.5, steps=6, samples=20),
        PageHinkley(threshold=1, warm_up=5),
        Randomly(0.2),
        RankSaturated(share=0.5, steps=8),
        ShortOf(accuracy=0.6, steps=5),
        Stalled(patience=2, steps=3),
        Surprised(batches=2, warm_up=5, refractory=5),
        (Every(steps=2) & ShortOf(loss=0.5, steps=5)).cooldown(steps=5) | Surprised(batches=3, warm_up=5).at_most(2),
    ]


def bound():
    """Return triggers that cannot do without boundaries."""
    return [
        TaskArrives(),
        Every(epochs=1),
        Every(experiences=1),
        Converged(),
        Dormant(),
        Dropped(),
        FewFree(),
        RankSaturated(),
        ShortOf(accuracy=0.9),
        Stalled(),
        Every(steps=1).cooldown(epochs=1),
        Every(steps=1) | TaskArrives(),
        Surprised() & ShortOf(loss=0.1),
    ]


def dataset(x, y, task):
    return TaskAwareSupervisedClassificationDataset(
        [TensorDataset(x, y)],
        data_attributes=[
            DataAttribute(y.tolist(), "targets"),
            DataAttribute([task] * len(y), "targets_task_labels", use_in_getitem=True),
        ],
    )


def stream(cuts):
    """Make a problem, then one without an answer, then the first with classes reversed; cut them at given batches."""
    torch.manual_seed(0)
    x = 3 * torch.randn(BATCHES * BATCH, 6)
    y = (x[:, 0] > 0).long()
    y[30 * BATCH : 60 * BATCH] = torch.randint(2, (30 * BATCH,))
    y[60 * BATCH :] = 1 - y[60 * BATCH :]
    ends = [0, *(cut * BATCH for cut in cuts), len(x)]
    parts = [slice(start, end) for start, end in pairwise(ends)]
    datasets = [dataset(x[part], y[part], label) for label, part in enumerate(parts)]
    return with_task_labels(benchmark_from_datasets(train=datasets)).train_stream


def events(rules, cuts, boundaries=False):
    """Return what rules do: step, trigger, value, layer and count of each event."""
    experiences = stream(cuts)
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))
    plugin = Plasticity(*rules, boundaries=boundaries)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    strategy = Setup(network, optimizer, Budget(epochs=1, batch_size=BATCH)).naive(plugin)
    for experience in experiences:
        strategy.train(experience, shuffle=False)
    assert plugin.step == BATCHES
    return [(event.step, event.trigger, event.value, event.layer, event.count) for event in plugin.events]


def test_every_trigger_is_here():
    names = {name for name in module.__all__ if isinstance(kind := getattr(module, name), type) and kind is not Firing}
    assert {type(trigger).__name__ for trigger in free()} >= names - {"Trigger", "TaskArrives"}


def test_no_trigger_sees_where_experiences_end():
    rules = [Rule(when=trigger, what=Mark()) for trigger in free()]
    first, *others = [events(rules, cuts) for cuts in CUTS]
    fired = {trigger for _, trigger, *_ in first}
    assert fired >= {trigger.name for trigger in free()[:-1]}
    for other in others:
        assert other == first


def test_none_does_where_the_network_changes():
    rules = [Rule(when=trigger, what=Grow(1, cap=3)) for trigger in free()]
    rules.append(Rule(when=Every(steps=11), what=Reset(), which=Lowest(WeightNorm(), count=1)))
    first, *others = [events(rules, cuts) for cuts in CUTS]
    assert sum(count for *_, count in first) > 30
    assert all(other == first for other in others)


def test_this_would_be_seen():
    rules = [Rule(when=Converged(delta=0.2, steps=4), what=Mark())]
    assert events(rules, CUTS[0], boundaries=True) != events(rules, CUTS[1], boundaries=True)


@pytest.mark.parametrize("trigger", bound(), ids=lambda trigger: trigger.name)
def test_what_needs_boundaries_is_refused_where_they_are_hidden(trigger):
    with pytest.raises(UsageError, match="task boundaries"):
        events([Rule(when=trigger, what=Mark())], CUTS[0])
