"""Checks that a run depends on its seed alone: not on the time, on evaluations, or on being killed in between."""

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
    told = first_difference(subject.usual, subject.repeated)
    if not told:
        return PASSED
    return failed(
        f"run twice with seed {SEED}: {told}",
        "a generator that the run's seed does not reach (`np.random.default_rng()`, `torch.Generator()`, one of the "
        "module), the clock, or something that outlives the strategy, such as a list of its class or module",
        "draw from torch's, numpy's or Python's global generators, which are seeded for each run, and keep all state "
        "in the strategy and its plug-ins",
    )


@check("seeds differ", "another seed gives other weights, and other random numbers to the end")
def seeds_differ(subject: Subject) -> Answer:
    one, other = subject.unevaluated, subject.otherwise_seeded
    if not difference(one.weights[-1], other.weights[-1]):
        told = "the weights at the end are the same"
    elif alike := [name for name, state in one.random.items() if state == other.random[name]]:
        told = f"the generator of {' and '.join(alike)} ends in the same state"
    else:
        return PASSED
    return failed(
        f"with seeds {SEED} and {OTHER_SEED} {told}",
        "it sets a seed of its own, such as `torch.manual_seed(0)`, which makes the seeds of a board alike",
        "set no seed: it is set for each run, before the network is made and again before training",
    )


@check(
    "evaluation changes nothing", "evaluated often, twice or not at all, it trains on alike and gives the same outputs"
)
def evaluation_changes_nothing(subject: Subject) -> Answer:
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
    if told := first_difference(subject.unevaluated, usual):
        return failed(
            f"evaluated between experiences, it trains otherwise than without: {told}",
            "an evaluation hook, `forward` or `criterion` writes to what training reads: a memory, a counter, a class "
            "list, or a network that it keeps",
            "write in training hooks only; ask `strategy.is_training` where both come by",
        )
    return PASSED


@check("survives a resume", "killed after an experience and taken up by a new process, it goes on bit for bit")
def survives_a_resume(subject: Subject) -> Answer:
    usual = subject.usual
    if len(usual.trainings) == 1:
        return not_applicable("it trains once: there is nothing between experiences")
    if not subject.checkpoint.exists():
        return failed(
            f"it cannot be saved: {unpicklable(usual.strategy)}",
            "open files, running generators, threads and locks cannot be pickled",
            "make it anew where it is used, or leave it out in `__getstate__` and make it in `__setstate__`",
        )
    with redirect_stdout(StringIO()) as printed:
        resumed = subject.resumed()
    if resumed is None:
        return failed(
            f"it was saved, but could not be read again: {_reason(printed.getvalue())}",
            "a class's `__setstate__` or `__reduce__` does not give back what was saved, or asks for what is not there",
            "let `cloudpickle.loads(cloudpickle.dumps(plugin))` give an equal plug-in",
        )
    told = first_difference(usual, resumed)
    if not told:
        return PASSED
    return failed(
        f"taken up after the first experience, it comes to something else: {told}",
        "state that no pickle holds: of a class, a module or a closure, two references to one object that "
        "`__getstate__` parts, or a set, whose order a copy need not keep",
        "keep state in attributes of the strategy and its plug-ins, and walk sets as `sorted(...)`",
    )


def _reason(printed: str) -> str:
    """Take the reason why a checkpoint was not read from the sentence that says so."""
    reason = re.search(r"\((.*)\)", printed)
    return reason[1] if reason else printed.strip()
