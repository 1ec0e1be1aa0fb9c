"""Checks that a strategy can be built, trains and learns, and tells what it spends on that."""

from __future__ import annotations

import torch

from lifelong.checking.answers import PASSED, Answer, check, failed, not_applicable, note
from lifelong.checking.subject import Subject
from lifelong.checking.trial import after
from lifelong.errors import UsageError
from lifelong.seeds import untouched_generators
from lifelong.training.evaluation import inspect_strategy, sample

READ = 64
"""How many samples a network is read on."""
MUCH = 1.5
"""A strategy that takes more than this many times what the floor takes is noted."""


@check("is built", "it can be built for this scenario, or refuses with a reason", vital=True)
def is_built(subject: Subject) -> Answer:
    """Build the strategy; a refusal is no failure."""
    if reason := subject.strategy.refusal(subject.scenario):
        return not_applicable(reason)
    try:
        subject.new_trial(subject.strategy, subject.spec)
    except UsageError as refusal:
        return not_applicable(f"refused: {refusal}")
    return PASSED


@check("trains", "it trains on two experiences, is evaluated on each test set, and its weights stay finite", vital=True)
def trains(subject: Subject) -> Answer:
    """Look for weights that are not finite; an error on the way is a failure, too."""
    for done, weights in enumerate(subject.usual.weights):
        for name, value in weights.items():
            if not torch.isfinite(value).all():
                return failed(
                    f"`{name}` is no longer finite {after(done)}",
                    "the loss, a penalty or a step is too large",
                    "scale it down, or guard its divisions; a lower learning rate tells whether the step is the cause",
                )
    return PASSED


@check("learns", "on an experience that it was just trained on, it does better than the untrained network")
def learns(subject: Subject) -> Answer:
    """Compare the accuracy just after each training with that of the untrained network."""
    if subject.scenario.criterion != "cross-entropy":
        return not_applicable(f"{subject.scenario.name} has no accuracy")
    usual = subject.usual
    rows = list(zip(usual.trainings, usual.accuracy[1:], strict=True))
    learnt = [row[column] for training, row in rows for column in training]
    unlearnt = [usual.accuracy[0][column] for training, _ in rows for column in training]
    if any(now > before or now == 1 for before, now in zip(unlearnt, learnt, strict=True)):
        return PASSED
    accuracies = ", then ".join(
        f"{now:.3f} (untrained {before:.3f})" for before, now in zip(unlearnt, learnt, strict=True)
    )
    return failed(
        f"its accuracy on the test sets of what it was just trained on is {accuracies}",
        "the network that is trained is not the one that is evaluated (`strategy.model`), the optimizer holds other "
        "parameters, or what protects old knowledge leaves no room",
        "after a change of the network call `strategy.make_optimizer()`; try weaker defaults",
    )


@check("is read", "what boards read of a network after each experience can be read of this one")
def is_read(subject: Subject) -> Answer:
    """Read the network's ability to go on learning, as a run does after each experience."""
    usual = subject.usual
    tests = [usual.benchmark.test_stream[index] for index in usual.trainings[-1]]
    with untouched_generators():
        unread = inspect_strategy(usual.strategy, sample(tests, READ)).unread
    reasons = {reason: [name for name, other in unread.items() if other == reason] for reason in unread.values()}
    if not reasons:
        return PASSED
    told = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return note(f"its records lack {told}")


@check("keeps the budget", "it takes about as many iterations and samples as the floor")
def keeps_the_budget(subject: Subject) -> Answer:
    """Compare the iterations and samples of the training with the floor's."""
    meter = subject.usual.progress.meter
    iterations, samples = subject.floor_spent
    if meter.steps == 0:
        return note("no training iteration was counted: it does not train by gradients, or not in Avalanche's loop")
    more = [
        f"{ours / theirs:.1f} times the {what} of {subject.floor[0].name}"
        for what, ours, theirs in (("iterations", meter.steps, iterations), ("samples", meter.samples, samples))
        if ours > MUCH * theirs
    ]
    return note(f"it takes {' and '.join(more)}; boards show what training costs") if more else PASSED
