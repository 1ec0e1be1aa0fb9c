"""Strategies that grow when the stream surprises them, and the same alarms without growth.

Which test raises the alarm is the only difference within each kind: all see the loss of each batch before its update,
and may raise no other alarm for as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lifelong.contracts import Count, Positive, Share, Strategy, strategy

if TYPE_CHECKING:
    from avalanche.training.templates import SupervisedTemplate

    from lifelong import Setup
    from lifelong.plasticity import Trigger

Detector = Literal["z-score", "page-hinkley", "adwin"]

SOURCES: dict[Detector, str] = {
    "z-score": "our choice, after Eriksson & Westlund Gotby 2019, Dynamic Network Architectures for Deep Q-Learning",
    "page-hinkley": "Page 1954, Continuous inspection schemes, as in river",
    "adwin": "Bifet & Gavalda 2007, Learning from time-changing data with adaptive windowing, as in river",
}


@strategy(source=SOURCES["z-score"])
def surprise_growth(
    setup: Setup, trigger: Detector = "z-score", share: Share = 0.1, cap: Positive = 2.0, cooldown: Count = 200
) -> SupervisedTemplate:
    """Grow when the loss is surprisingly high: every hidden layer gets more units, which start with no fan-out.

    Needs neither boundaries nor labels of tasks. That surprise is answered by growth of a fixed share is our choice.

    Args:
        trigger: what notices: `z-score` of the loss against its running mean and deviation, the `page-hinkley` test, or
            `adwin`; each with its own defaults.
        share: units added to a layer at each alarm, as a share of what it had at first.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
        cooldown: updates after an alarm in which there is no other.
    """
    from lifelong.plasticity import Grow, Plasticity, Rule

    return setup.naive(Plasticity(Rule(when=_alarm(trigger, cooldown), what=Grow(share, cap=cap))))


@strategy(source=SOURCES["z-score"], role="control")
def surprise_alarm(setup: Setup, trigger: Detector = "z-score", cooldown: Count = 200) -> SupervisedTemplate:
    """Fine-tune, and raise the alarms of `surprise-growth` without an answer to them.

    It learns as `naive` does, bit for bit: how soon an alarm comes, and how often for nothing, is seen on its own.

    Args:
        trigger: what notices, as in `surprise-growth`.
        cooldown: updates after an alarm in which there is no other.
    """
    from lifelong.plasticity import Mark, Plasticity, Rule

    return setup.naive(Plasticity(Rule(when=_alarm(trigger, cooldown), what=Mark())))


def _alarm(detector: Detector, cooldown: int) -> Trigger:
    from lifelong.plasticity import Adwin, PageHinkley, Surprised

    triggers: dict[Detector, type[Trigger]] = {"z-score": Surprised, "page-hinkley": PageHinkley, "adwin": Adwin}
    return triggers[detector]().cooldown(steps=cooldown)


def _growth_by(detector: Detector) -> Strategy:
    def build(setup: Setup, share: Share = 0.1, cap: Positive = 2.0, cooldown: Count = 200) -> SupervisedTemplate:
        return surprise_growth(setup, trigger=detector, share=share, cap=cap, cooldown=cooldown)

    build.__doc__ = f"""`surprise-growth` by {detector}, under a name of its own, so that a board can compare the two.

    Args:
        share: as in `surprise-growth`.
        cap: as there.
        cooldown: as there."""
    return strategy(name=f"surprise-growth-{detector}", source=SOURCES[detector])(build)


def _alarm_by(detector: Detector) -> Strategy:
    def build(setup: Setup, cooldown: Count = 200) -> SupervisedTemplate:
        return surprise_alarm(setup, trigger=detector, cooldown=cooldown)

    build.__doc__ = f"""`surprise-alarm` by {detector}, under a name of its own, so that a board can compare the two.

    Args:
        cooldown: as in `surprise-growth`."""
    return strategy(name=f"surprise-alarm-{detector}", source=SOURCES[detector], role="control")(build)


OTHERS = (
    _growth_by("page-hinkley"),
    _growth_by("adwin"),
    _alarm_by("page-hinkley"),
    _alarm_by("adwin"),
)
