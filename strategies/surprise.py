"""Strategies that grow when the stream surprises them, and the same alarms without growth.

Within each kind the strategies differ only in the test that raises the alarm. Every test sees the loss of each batch
before its update, and all have to wait equally long after an alarm.
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

    It needs neither boundaries nor labels of tasks. That surprise is answered by growth of a fixed share is our choice.

    Args:
        trigger: the test that raises the alarm, with its own defaults: `z-score` of the loss against its running mean
            and deviation, the `page-hinkley` test, or `adwin`.
        share: units added to a layer at each alarm, as a share of what it had at first.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
        cooldown: number of updates after an alarm in which there is no other.
    """
    from lifelong.plasticity import Grow, Plasticity, Rule

    return setup.naive(Plasticity(Rule(when=_alarm(trigger, cooldown), what=Grow(share, cap=cap))))


@strategy(source=SOURCES["z-score"], role="control")
def surprise_alarm(setup: Setup, trigger: Detector = "z-score", cooldown: Count = 200) -> SupervisedTemplate:
    """Fine-tune, and raise the alarms of `surprise-growth` without an answer to them.

    It learns as `naive` does, bit for bit. It shows by themselves how soon an alarm comes, and how often it is false.

    Args:
        trigger: the test that raises the alarm, as in `surprise-growth`.
        cooldown: number of updates after an alarm in which there is no other.
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
        share: units added to a layer at each alarm, as a share of what it had at first.
        cap: the most units of a layer, as a multiple of what it had at first; above 1.
        cooldown: number of updates after an alarm in which there is no other."""
    return strategy(name=f"surprise-growth-{detector}", source=SOURCES[detector])(build)


def _alarm_by(detector: Detector) -> Strategy:
    def build(setup: Setup, cooldown: Count = 200) -> SupervisedTemplate:
        return surprise_alarm(setup, trigger=detector, cooldown=cooldown)

    build.__doc__ = f"""`surprise-alarm` by {detector}, under a name of its own, so that a board can compare the two.

    Args:
        cooldown: number of updates after an alarm in which there is no other."""
    return strategy(name=f"surprise-alarm-{detector}", source=SOURCES[detector], role="control")(build)


OTHERS = (
    _growth_by("page-hinkley"),
    _growth_by("adwin"),
    _alarm_by("page-hinkley"),
    _alarm_by("adwin"),
)
