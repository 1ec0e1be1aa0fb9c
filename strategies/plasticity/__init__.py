"""Strategies that keep a network able to learn by acting on all of its weights.

Strategies that let single units or weights start again are in `resets`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lifelong.contracts import PROVIDES, Count, Share, Weight, strategy
from lifelong.errors import UsageError

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup


@strategy(
    source="Ash & Adams 2020, On Warm-Starting Neural Network Training, arXiv:1910.08475; "
    "after each step: Dohare et al. 2024, Loss of plasticity in deep continual learning, Nature 632"
)
def shrink_and_perturb(
    setup: Setup, when: Literal["step", "task arrival"] = "step", shrink: Share = 0.9999, noise: Weight = 1e-4
) -> SupervisedTemplate:
    """Shrink all weights a little towards zero, and add a little noise to them.

    Ash & Adams do so when new data arrive (0.6 and 0.01 are values of theirs), Dohare et al. after each step, where the
    shrinking is their L2 penalty. The defaults are our choice, and mean steps.

    Args:
        when: after each `step`, or at each `task arrival` but the first.
        shrink: factor by which each weight is multiplied.
        noise: standard deviation of the noise that is added to each weight.
    """
    from .perturbing import ShrinkAndPerturb

    if when == "task arrival" and setup.protocol and "task boundaries" not in PROVIDES[setup.protocol]:
        raise UsageError(f"shrink-and-perturb: a {setup.protocol} stream tells no task arrival; use when='step'")
    return setup.naive(ShrinkAndPerturb(when, shrink, noise))


@strategy(
    source="Kumar, Marklund & Van Roy 2023, Maintaining Plasticity in Continual Learning via Regenerative "
    "Regularization, arXiv:2308.11958"
)
def l2_init(setup: Setup, weight: Weight = 1e-3) -> SupervisedTemplate:
    """L2 Init: a quadratic penalty that pulls all weights to where they began.

    Weights that the loss no longer needs drift back, and can learn again from there. The paper chooses the weight from
    1e-5 to 1e-2 for each stream.

    Args:
        weight: weight of the squared distance to the initial weights.
    """
    from .pulling import L2Init

    return setup.naive(L2Init(weight))


@strategy(
    source="Nikishin et al. 2023, Deep Reinforcement Learning with Plasticity Injection, arXiv:2305.15555",
    needs={"task boundaries"},
)
def plasticity_injection(setup: Setup, at: Count | None = None, hidden: Count = 1) -> SupervisedTemplate:
    """Plasticity injection: freeze the last part of the network, and let a fresh copy of it learn the rest.

    The frozen part's output h_theta becomes h_theta + h_theta'1 - h_theta'2. Both new ones start with the same fresh
    weights, so that the outputs stay as they are; only theta'1 learns, and the encoder before it, which gets gradients
    from all three. With dropout the outputs stay as they are in evaluation only.

    As in the paper it is done once, and the number of trained weights stays the same. The paper does it for the dense
    layers of a value network, at a step that it fixes; the experience and the part are our choice. A part with no
    hidden layer would be linear, and the injection would only reset the optimizer, so the part always has one.

    Args:
        at: the experience at whose start it is done, counted from 0; by default the middle one of the stream.
        hidden: number of the last hidden layers that belong to the part, beside the classifier.
    """
    from .injection import PlasticityInjection

    if at is None:
        if setup.experiences is None:
            raise UsageError("plasticity-injection: how long the stream is cannot be known here; say `at`")
        at = setup.experiences // 2
    elif setup.experiences is not None and at >= setup.experiences:
        raise UsageError(f"plasticity-injection: at = {at}, but the last experience is {setup.experiences - 1}")
    return setup.naive(PlasticityInjection(setup.model, at, hidden))


@strategy(
    source="Elsayed & Mahmood 2024, Addressing Loss of Plasticity and Catastrophic Forgetting in Continual Learning, "
    "arXiv:2404.00781"
)
def upgd(setup: Setup, sigma: Weight = 0.001, beta_utility: Share = 0.999) -> SupervisedTemplate:
    """UPGD: noisy gradient descent in which useful weights move less, and useless ones more.

    A weight's utility is its first-order effect on the loss, -g w, averaged over steps. UPGD takes the place of the
    budget's optimizer, with its learning rate and weight decay. Where that is SGD, steps are those of the paper, and
    momentum is left out; where it is Adam or AdamW, the gradient is normalised as Adam does it (the authors' adaptive
    variant). Weight decay is decoupled, as in the authors' code. The defaults are those of their code.

    Args:
        sigma: standard deviation of the noise, relative to the gradient, or to Adam's normalised gradient.
        beta_utility: share of the average utility that is kept at each step, below 1.
    """
    from torch.optim import Adam

    from .utility_descent import UPGD

    settings = setup.optimizer.param_groups[0]
    adaptive = isinstance(setup.optimizer, Adam)
    moments = {key: settings[key] for key in ("betas", "eps")} if adaptive else {}
    optimizer = UPGD(
        setup.model.parameters(),
        settings["lr"],
        beta_utility=beta_utility,
        sigma=sigma,
        weight_decay=settings["weight_decay"],
        adaptive=adaptive,
        **moments,
    )
    return replace(setup, optimizer=optimizer).naive()
