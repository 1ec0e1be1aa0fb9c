"""Checks that a strategy does not look at what is kept from a learner.

That is: the labels of test samples, the experience that a test sample comes from, test sets while training, and later
experiences.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lifelong.checking.altered import misplaced_tests, other_test_labels
from lifelong.checking.answers import PASSED, Answer, check, failed, not_applicable, note
from lifelong.checking.subject import Subject
from lifelong.checking.trial import first_difference, same


@check("answers without test labels", "with wrong labels in the test sets its outputs stay the same")
def answers_without_test_labels(subject: Subject) -> Answer:
    """Compare the outputs of the trained strategy on test sets with right and with wrong labels."""
    relabelled = subject.usual.answers(subject.benchmark(subject.spec, other_test_labels))
    apart = _changed(subject.usual.last_outputs, relabelled.outputs)
    if not apart:
        return PASSED
    return failed(
        f"with other labels in the test sets, {apart}",
        "its forward pass or an evaluation hook reads `strategy.mb_y` or the labels of `strategy.experience`",
        "compute outputs from `strategy.mb_x` alone, and read labels in training only (`strategy.is_training`)",
    )


@check("answers without boundaries", "the same images give the same outputs, whichever test set they come in")
def answers_without_boundaries(subject: Subject) -> Answer:
    """Compare the outputs for each image in its own test set and in the place of another."""
    if subject.scenario.protocol == "task":
        return not_applicable("task labels are given here")
    moved = subject.usual.answers(subject.benchmark(subject.spec, misplaced_tests))
    first, *others = subject.usual.last_outputs  # the images of the second test set now come first
    apart = _changed([*others, first], moved.outputs)
    if not apart:
        return PASSED
    return failed(
        f"with the images of one test set in the place of another, {apart}",
        "it chooses a head, a mask or a network by `experience.current_experience`, by `classes_in_this_experience` or "
        "by the order of the evaluation, none of which a test sample tells",
        "choose by the sample itself; or, if the method needs to know the task, declare `needs={'task labels'}` and "
        "choose by `strategy.mb_task_id`",
    )


@check(
    "learns without test sets",
    "with other images and labels in the test sets, it trains to the same weights and outputs",
)
def learns_without_test_sets(subject: Subject) -> Answer:
    """Compare a run with one whose test sets were others, both evaluated on the usual test sets at the end."""
    usual, other = subject.usual, subject.with_other_tests
    own_tests = replace(other, outputs=[other.answers(usual.benchmark).outputs])
    apart = first_difference(replace(usual, outputs=usual.outputs[-1:]), own_tests)
    if not apart:
        return PASSED
    return failed(
        f"with other images and labels in the test sets, {apart}",
        "it trains on test data, or uses them to stop or to normalize; an evaluation hook may have kept them",
        "use what `strategy.experience` holds in training; a validation set can be split off it",
    )


@check("learns without the future", "later experiences have no effect on what it is after the first one")
def learns_without_the_future(subject: Subject) -> Answer:
    """Compare the first experience of a run with that of a run whose later experiences are others."""
    if subject.strategy.offline:
        return not_applicable("it is trained on all experiences together")
    apart = first_difference(subject.usual, subject.with_other_future)
    if not apart:
        return PASSED
    if subject.strategy.role in ("control", "ceiling"):
        return note(f"it looks ahead, which a {subject.strategy.role} may do")
    return failed(
        f"with other experiences to follow, {apart}",
        "it looks into later experiences, for example through `strategy.experience.origin_stream`",
        "use what `strategy.experience` holds, and what was kept of earlier experiences",
    )


def _changed(before: list[Tensor], after: list[Tensor]) -> str:
    """Return on how many samples answers differ, in half a sentence; empty where all outputs are equal."""
    if all(same(one, other) for one, other in zip(before, after, strict=True)):
        return ""
    one, other = torch.cat(before), torch.cat(after)
    if one.shape != other.shape:
        return f"its outputs have the shape {tuple(other.shape)} instead of {tuple(one.shape)}"
    samples = int((one.argmax(dim=1) != other.argmax(dim=1)).sum())
    return f"its answers differ on {samples} of {len(one)} samples" if samples else "its outputs differ"
