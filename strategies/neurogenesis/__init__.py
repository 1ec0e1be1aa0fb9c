"""Strategies that add neurons when the network is surprised, or when it gets no better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Count, Positive, Share, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(source="Eriksson & Westlund Gotby 2019, Dynamic Network Architectures for Deep Q-Learning")
def surprise_neurogenesis(
    setup: Setup, threshold: Share = 0.9, width: Positive = 0.2, cooldown: Count = 10, cap: Positive = 2.0
) -> SupervisedTemplate:
    """Surprise neurogenesis: an error above a threshold adds one unit that stores the event at once.

    The paper grows a Q-network of one hidden layer from nothing, and takes the temporal-difference error for surprise.
    Ours classifies, and begins with the board's network: surprise is 1 - p of the right class, for the worst sample of
    a batch; the unit goes to the last hidden layer, its incoming weights encode what that layer reads of the sample,
    and its outgoing weights are the residual, one-hot target - softmax, enlarged until the sample is answered rightly.
    Existing weights stay as they are. This is exact behind a ReLU. (`lifelong.structure.ResidualFit` would fit a unit
    to a whole batch instead.)

    Args:
        threshold: of the error, in [0, 1); the paper's is its own for each game.
        width: the unit is silent for inputs whose projection on the event is below 1 - width of it.
        cooldown: updates between two new units.
        cap: the most units of the layer, as a multiple of what it had at first.
    """
    from lifelong.plasticity import Plasticity, Rule

    from .imprint import Imprint, Surprising

    return setup.naive(Plasticity(Rule(when=Surprising(threshold).cooldown(steps=cooldown), what=Imprint(width, cap))))


@strategy(
    source="Sowrirajan et al. 2024, Enhancing Neurofuzzy Plasticity: A Fusion of LSTM and Artificial Neurogenesis",
    needs={"task boundaries"},
)
def fuzzy_neurogenesis(setup: Setup, most: Share = 0.2, cap: Positive = 2.0) -> SupervisedTemplate:
    """Fuzzy neurogenesis: when accuracy has not risen, a Mamdani fuzzy system says how many neurons to add.

    The paper grows an LSTM after each evaluation with acc_t <= acc_{t-1}, by a system of performance inputs that it
    does not spell out. Ours has the least that is faithful: two inputs (the accuracy and its change), nine rules,
    minimum for and, maximum for or, the centroid. Its sets and rules, and that the accuracy is that of an epoch's
    training batches, are our choice. New neurons start at random, fan-out too, in every hidden layer.

    Args:
        most: what the largest output of the fuzzy system stands for, as a share of the layer's first units.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
    """
    from lifelong.plasticity import Dropped, Grow, Plasticity, Rule
    from lifelong.structure import Fresh

    from .fuzzy import FuzzyShare

    return setup.naive(Plasticity(Rule(when=Dropped(), what=Grow(FuzzyShare(most), new=Fresh(), cap=cap))))
