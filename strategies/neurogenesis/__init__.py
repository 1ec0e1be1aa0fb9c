"""Strategies that add neurons when the network is surprised, or when its accuracy has not risen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Eriksson & Westlund Gotby 2019, Dynamic Network Architectures for Deep Q-Learning", needs={"class labels"}
)
def surprise_neurogenesis(
    setup: Setup, threshold: Share = 0.9, width: Positive = 0.2, cooldown: Count = 10, cap: Positive = 2.0
) -> SupervisedTemplate:
    """Surprise neurogenesis: an error above a threshold adds one unit that stores the event at once.

    The paper grows a Q-network of one hidden layer from nothing, and its surprise is the temporal-difference error.
    Ours classifies, and begins with the board's network. Surprise is 1 - p, where p is the probability of the right
    class, for the worst sample of a batch. The unit goes to the last hidden layer. Its incoming weights encode what
    that layer reads of the sample. Its outgoing weights are the residual, one-hot target - softmax, enlarged until the
    sample is answered rightly. Existing weights stay as they are. This is exact behind a ReLU.
    (`lifelong.structure.ResidualFit` would fit a unit to a whole batch instead.)

    Args:
        threshold: the error above which a unit is added, in [0, 1); the paper has one for each game.
        width: how far the unit responds: it is silent for inputs whose projection on the event is below 1 - width.
        cooldown: number of updates between two new units.
        cap: the most units of the layer, as a multiple of what it had at first.
    """
    from lifelong.plasticity import Plasticity, Rule

    from .imprint import Imprint, Surprising

    return setup.naive(Plasticity(Rule(when=Surprising(threshold).cooldown(steps=cooldown), what=Imprint(width, cap))))


@strategy(
    source="Sowrirajan et al. 2024, Enhancing Neurofuzzy Plasticity: A Fusion of LSTM and Artificial Neurogenesis",
    needs={"task boundaries", "class labels"},
)
def fuzzy_neurogenesis(setup: Setup, most: Share = 0.2, cap: Positive = 2.0) -> SupervisedTemplate:
    """Fuzzy neurogenesis: when accuracy has not risen, a Mamdani fuzzy system says how many neurons to add.

    The paper grows an LSTM after each evaluation with acc_t <= acc_{t-1}, by a system of performance inputs that it
    does not spell out. Ours is the smallest faithful one: two inputs (the accuracy and its change), nine rules, minimum
    for "and", maximum for "or", and the centroid. Its sets and rules are our choice, and so is that the accuracy is
    that of an epoch's training batches. New neurons start at random in every hidden layer, and their fan-out does too.

    Args:
        most: share of a layer's first units that the largest output of the fuzzy system stands for.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
    """
    from lifelong.plasticity import Dropped, Grow, Plasticity, Rule
    from lifelong.structure import Fresh

    from .fuzzy import FuzzyShare

    return setup.naive(Plasticity(Rule(when=Dropped(), what=Grow(FuzzyShare(most), new=Fresh(), cap=cap))))
