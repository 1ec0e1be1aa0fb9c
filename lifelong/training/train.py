"""How the suite lets an Avalanche strategy train."""

from __future__ import annotations

from collections.abc import Sequence

from avalanche.benchmarks import CLExperience
from avalanche.training.templates import SupervisedTemplate


def train(strategy: SupervisedTemplate, experiences: Sequence[CLExperience], *, in_order: bool) -> None:
    """Train on some experiences.

    Args:
        strategy: the Avalanche strategy.
        experiences: the experiences, which are trained on together.
        in_order: whether the samples keep their own order; otherwise they are shuffled at each epoch.
    """
    # a single experience is passed without a list: some strategies treat a list as one more level of nesting
    stream = experiences[0] if len(experiences) == 1 else experiences
    strategy.train(stream, **({"shuffle": False} if in_order else {}))
