"""Checks that a run depends on its seed alone: not on the time, on being evaluated, or on being killed and resumed."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO

from lifelong.checking.answers import PASSED, Answer, check, failed, not_applicable
from lifelong.checking.pickling import unpicklable
from lifelong.checking.subject import OTHER_SEED, SEED, Subject
from lifelong.checking.trial import difference, first_difference


@check("seeds repeat", "the same seed gives the same weights, outputs and R, bit for bit")
def seeds_repeat(subject: Subject) -> Answer:
    """Compare two runs with the same seed."""
    apart = first_difference(subject.usual, subject.repeated)
    if not apart:
        return PASSED
    return failed(
        f"run twice with seed {SEED}: {apart}",
        "it uses a generator that the run's seed does not reach (`np.random.default_rng()`, `torch.Generator()`, or "
        "one that its module made), the clock, or something that outlives the strategy, such as a list of its class or "
        "module",
        "draw from torch's, numpy's or Python's global generators, which are seeded for each run, and keep all state "
        "in the strategy and its plug-ins",
    )


@check("seeds differ", "another seed gives other weights, and other random numbers until the end")
def seeds_differ(subject: Subject) -> Answer:
    """Compare two runs with different seeds: their weights, and their generators, which may have been set alike."""
    one, other = subject.unevaluated, subject.with_other_seed
    if not difference(one.weights[-1], other.weights[-1]):
        same = "the weights at the end are the same"
    elif alike := [name for name, state in one.random.items() if state == other.random[name]]:
        same = f"the generator of {' and '.join(alike)} ends in the same state"
    else:
        return PASSED
    return failed(
        f"with seeds {SEED} and {OTHER_SEED} {same}",
        "it sets a seed of its own, for example by `torch.manual_seed(0)`, so that all seeds of a board give the same",
        "set no seed: it is set for each run, before the network is made and again before training",
    )


@check(
    "evaluation changes nothing", "evaluated often, twice or not at all, it trains the same and gives the same outputs"
)
def evaluation_changes_nothing(subject: Subject) -> Answer:
    """Look for traces of an evaluation: in the network, in the next evaluation, and in the training after it."""
    usual = subject.usual
    if usual.touched:
        return failed(
            f"an evaluation changed the network: {usual.touched}",
            "a hook such as `before_eval_exp`, or a `forward` or `model_adaptation` of its own, writes to "
            "the network, perhaps to one that a plug-in holds besides `strategy.model`",
            "change networks in training hooks only; ask `strategy.is_training` where both come by",
        )
    if usual.wavering:
        return failed(
            f"evaluated twice, the second time in reversed order, {usual.wavering}",
            "what it answers depends on what it was evaluated on before: a counter or a cache that evaluation fills",
            "let evaluation write nothing that evaluation reads",
        )
    if apart := first_difference(subject.unevaluated, usual):
        return failed(
            f"evaluated between experiences, it trains differently: {apart}",
            "an evaluation hook, `forward` or `criterion` writes to what training reads: a memory, a counter, a class "
            "list, or a network that it keeps",
            "write in training hooks only; ask `strategy.is_training` where both come by",
        )
    return PASSED


@check("survives a resume", "killed after an experience and resumed by a new process, it gives the same bit for bit")
def survives_a_resume(subject: Subject) -> Answer:
    """Compare a run with one that went on from a checkpoint after the first experience."""
    usual = subject.usual
    if len(usual.trainings) == 1:
        return not_applicable("it trains once, so there is nothing to resume")
    if not subject.checkpoint.exists():
        return failed(
            f"it cannot be saved: {unpicklable(usual.strategy)}",
            "open files, running generators, threads and locks cannot be pickled",
            "make it where it is used, or leave it out in `__getstate__` and make it again in `__setstate__`",
        )
    with redirect_stdout(StringIO()) as said:
        resumed = subject.resumed()
    if resumed is None:
        return failed(
            f"it was saved, but could not be read again: {_reason(said.getvalue())}",
            "`__setstate__` or `__reduce__` of a class does not give back what was saved, or fails",
            "let `cloudpickle.loads(cloudpickle.dumps(plugin))` give an equal plug-in",
        )
    apart = first_difference(usual, resumed)
    if not apart:
        return PASSED
    return failed(
        f"resumed after the first experience, its result differs: {apart}",
        "it depends on something that a pickle does not keep: state of a class, a module or a closure; that two "
        "attributes are one object, where `__getstate__` copies it; or the order of a set",
        "keep state in attributes of the strategy and its plug-ins, and go through sets in the order of `sorted(...)`",
    )


def _reason(said: str) -> str:
    """Return the reason that a sentence about an unreadable checkpoint gives in brackets."""
    brackets = re.search(r"\((.*)\)", said)
    return brackets[1] if brackets else said.strip()
