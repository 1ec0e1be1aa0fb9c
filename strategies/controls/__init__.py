"""Controls of the strategies that change a network: what each would do without its idea.

A strategy that resets units has to beat a reset of random units. One that grows when a task arrives has to beat growth
at random moments. One that keeps a network plastic has to beat a fresh network.

A strategy that grows may do better because it grew at the right time, or only because it is larger. The three
`matched_...` controls tell which: they are the same strategy without its rules, on a network that has one size for the
whole stream. How large the strategy's network becomes is found by training it once more beforehand, on the same stream
with the same seed. The control's own training time does not count that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifelong.contracts import Share, Weight, strategy

from ..resets import Age

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup

DEFAULTS: dict[str, Any] = {}
"""Lets the other strategy have its own defaults; never written to."""

SIZES = "Dohare et al. 2024, Nature 632 (fixed networks as baselines); the time-averaged size is our choice"


@strategy(
    source="Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632, with random utilities",
    role="control",
)
def random_reset(setup: Setup, rate: Share = 1e-4, mature: Age = 100) -> SupervisedTemplate:
    """Continual backpropagation that lets random mature units start again, as many and as often.

    Args:
        rate: units replaced at each step, as a share of the mature ones.
        mature: number of steps for which a unit is left alone after its (re)start.
    """
    from lifelong.plasticity import Every, Plasticity, Random, Rate, Reset, Rule

    return setup.naive(Plasticity(Rule(when=Every(steps=1), what=Reset(), which=Rate(Random(), rate, mature))))


@strategy(source="the control of growth that is timed; our choice", role="control")
def random_growth(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> SupervisedTemplate:
    """Growth by as many units as another strategy adds to each layer, each at a random step of the stream.

    How many these are is found by training that strategy once more beforehand, on the same stream with the same seed;
    the time for it does not count. New units start with no fan-out, so that the network's function is preserved.

    Args:
        of: name of the strategy that grows.
        parameters: parameters of that strategy, where they differ from its defaults.
    """
    from .drawn_moments import grow_at_random

    return grow_at_random(setup, of, parameters)


@strategy(source=SIZES, role="control")
def matched_initial(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> SupervisedTemplate:
    """The strategy without its rules, on a network of the size that it begins with.

    Args:
        of: name of the strategy that grows.
        parameters: parameters of that strategy, where they differ from its defaults.
    """
    from .matched_size import without_rules

    return without_rules(setup, of, parameters, "initial")


@strategy(source=SIZES, role="control")
def matched_final(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> SupervisedTemplate:
    """The strategy without its rules, on a network that has from the start the size that the strategy's ends with.

    Args:
        of: name of the strategy that grows.
        parameters: parameters of that strategy, where they differ from its defaults.
    """
    from .matched_size import without_rules

    return without_rules(setup, of, parameters, "final")


@strategy(source=SIZES, role="control")
def matched_average(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> SupervisedTemplate:
    """The strategy without its rules, on a network of the size that it has on average over all updates.

    Each layer has its own average, rounded to whole units.

    Args:
        of: name of the strategy that grows.
        parameters: parameters of that strategy, where they differ from its defaults.
    """
    from .matched_size import without_rules

    return without_rules(setup, of, parameters, "average")


@strategy(
    source="Ash & Adams 2020, On Warm-Starting Neural Network Training, arXiv:1910.08475 (random initialisation)",
    role="control",
    needs={"task boundaries"},
)
def scratch(setup: Setup) -> SupervisedTemplate:
    """A fresh network for each task: the initial weights, and the optimizer as it was made.

    It forgets everything, and can learn each task as well as the first: nothing is more plastic. The weights are the
    same each time, so that differences between tasks come from the tasks.
    """
    from .fresh import FromScratch

    return setup.naive(FromScratch())


@strategy(
    source="Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632 (Continual ImageNet: the "
    "heads are reset at each task)",
    role="control",
    needs={"single head", "task boundaries"},
)
def head_reset(setup: Setup) -> SupervisedTemplate:
    """Draw only the classifier anew when a task arrives.

    Dohare et al. set it to zero. Here it is drawn as at first, and its optimizer state starts again. Where each task
    has a head of its own, that head is fresh anyway, and this would be plain fine-tuning.
    """
    from .fresh import FreshHead

    return setup.naive(FreshHead(setup.model))


@strategy(source="Kumar, Marklund & Van Roy 2023, arXiv:2308.11958 (the baseline L2)", role="control")
def l2(setup: Setup, weight: Weight = 1e-3) -> SupervisedTemplate:
    """A quadratic penalty that pulls all weights to zero: the control of `l2-init`.

    The budget's weight decay is shared by all strategies. This penalty is the strategy's own, and never decoupled from
    the gradient.

    Args:
        weight: weight of the squared norm of all parameters.
    """
    from ..plasticity.pulling import L2

    return setup.naive(L2(weight))
