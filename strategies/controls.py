"""Controls of the strategies that change a network: what each would do without its idea.

Who resets units has to beat a reset of random ones; who grows when a task arrives, growth at random moments; who keeps
a network plastic, a fresh one. Controls of size are in `matched`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lifelong.contracts import Share, Weight, strategy
from lifelong.errors import UsageError

from .matched import DEFAULTS
from .resets import Age

if TYPE_CHECKING:
    from lifelong import Setup
    from lifelong.plasticity import Plasticity


@strategy(
    source="Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632, with random utilities",
    role="control",
)
def random_reset(setup: Setup, rate: Share = 1e-4, mature: Age = 100) -> Any:
    """Continual backpropagation that lets random mature units start again, as many and as often.

    Parameters:
        rate: units replaced at each step, as a share of the mature ones.
        mature: steps for which a unit is left alone after its (re)start.
    """
    from lifelong.plasticity import Every, Plasticity, Random, Rate, Reset, Rule

    return setup.naive(Plasticity(Rule(when=Every(steps=1), what=Reset(), which=Rate(Random(), rate, mature))))


@strategy(source="the control of growth that is timed; our choice", role="control")
def random_growth(setup: Setup, of: str = "dropin", parameters: dict[str, Any] = DEFAULTS) -> Any:
    """Growth by as many units as another strategy adds to each layer, each at a random step of the stream.

    How many these are is found by training that strategy once more beforehand, on the same stream with the same seed;
    the time for it does not count. New units start with no fan-out, so that the network's function is preserved.

    Parameters:
        of: the strategy that grows.
        parameters: of that strategy, where they differ from its defaults.
    """
    from lifelong.plasticity import Grow, Plasticity, Rule

    from ._drawn_moments import DrawnMoments

    if setup.dry_run is None:
        raise UsageError("random-growth has to know the stream: run it on a board, and make no control of it")
    setup.dry_run.check(of, parameters)
    _updates(setup, samples=1)
    moments = DrawnMoments()
    plugin = Plasticity(Rule(when=moments, what=Grow(moments.due)))
    setup.before_training.append(partial(_draw_moments, setup, plugin, of, parameters))
    return setup.naive(plugin)


def _draw_moments(setup: Setup, plugin: Plasticity, of: str, parameters: dict[str, Any]) -> None:
    from ._drawn_moments import DrawnMoments
    from ._noise import own_generator

    (rule,) = plugin.rules
    assert isinstance(rule.when, DrawnMoments)
    assert setup.dry_run is not None
    generator = own_generator("random growth")
    widths = setup.dry_run.widths(of, parameters)
    added = {layer: max(0, units - widths.initial[layer]) for layer, units in widths.final.items()}
    updates = [_updates(setup, len(experience.dataset)) for experience in setup.dry_run.stream]
    rule.when.draw(added, sum(updates), generator)


def _updates(setup: Setup, samples: int) -> int:
    """How often a network is updated on so many samples.

    Raises:
        UsageError: if that depends on the network's size.
    """
    updates = setup.budget.updates(batches=-(-samples // setup.budget.batch_size))
    if updates is None:
        raise UsageError("random-growth draws its moments beforehand, which a budget in training_macs does not allow")
    return updates


@strategy(
    source="Ash & Adams 2020, On Warm-Starting Neural Network Training, arXiv:1910.08475 (random initialisation)",
    role="control",
    needs={"task boundaries"},
)
def scratch(setup: Setup) -> Any:
    """A fresh network for each task: the initial weights, and the optimizer as it was made.

    It forgets everything, and can learn each task as well as the first: nothing is more plastic. The weights are the
    same ones each time, so that what differs between tasks is theirs.
    """
    from ._starting import FromScratch

    return setup.naive(FromScratch())


@strategy(
    source="Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632 (Continual ImageNet: the "
    "heads are reset at each task)",
    role="control",
    needs={"single head", "task boundaries"},
)
def head_reset(setup: Setup) -> Any:
    """Draw only the classifier anew when a task arrives.

    Dohare et al. set it to zero; here it is drawn as at first, with the optimizer's state of it. Where each task has a
    head of its own, that is fresh anyway, and this would be plain fine-tuning.
    """
    from ._starting import FreshHead

    return setup.naive(FreshHead(setup.model))


@strategy(source="Kumar, Marklund & Van Roy 2023, arXiv:2308.11958 (the baseline L2)", role="control")
def l2(setup: Setup, weight: Weight = 1e-3) -> Any:
    """A quadratic penalty that pulls all weights to zero: the control of `l2-init`.

    Other than the budget's weight decay, which all strategies share, it is this strategy's own, and never decoupled.

    Parameters:
        weight: of the squared norm.
    """
    from ._pulling import L2

    return setup.naive(L2(weight))
