"""Checks that a strategy does not look at what a learner is not shown.

That are test sets, later experiences, and which experience a test sample is from.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lifelong.checking.altered import misplaced_tests, other_test_labels
from lifelong.checking.answers import PASSED, Answer, check, failed, not_applicable, note
from lifelong.checking.subject import Subject
from lifelong.checking.trial import first_difference, same


@check("answers without test labels", "with wrong labels in the test sets its outputs stay as they are")
def answers_without_test_labels(subject: Subject) -> Answer:
    relabelled = subject.usual.answers(subject.benchmark(subject.spec, other_test_labels))
    told = _changed(subject.usual.last_outputs, relabelled.outputs)
    if not told:
        return PASSED
    return failed(
        f"with other labels in the test sets, {told}",
        "its forward pass or an evaluation hook reads `strategy.mb_y` or the labels of `strategy.experience`",
        "compute outputs from `strategy.mb_x` alone, and read labels in training only (`strategy.is_training`)",
    )


@check("answers without boundaries", "the same images give the same outputs, whichever test set they come in")
def answers_without_boundaries(subject: Subject) -> Answer:
    if subject.scenario.protocol == "task":
        return not_applicable("task labels are given here")
    moved = subject.usual.answers(subject.benchmark(subject.spec, misplaced_tests))
    first, *others = subject.usual.last_outputs
    told = _changed([*others, first], moved.outputs)
    if not told:
        return PASSED
    return failed(
        f"with the images of one test set in the place of another, {told}",
        "it uses `experience.current_experience`, `classes_in_this_experience` or an order of the evaluation to choose "
        "a head, a mask or a network, which a test sample does not tell",
        "choose by the sample itself; or, if the method cannot do without, declare `needs={'task labels'}` and "
        "choose by `strategy.mb_task_id`",
    )


@check("learns without test sets", "with other images and labels to test on, it trains to the same")
def learns_without_test_sets(subject: Subject) -> Answer:
    usual, other = subject.usual, subject.otherwise_tested
    own_tests = replace(other, outputs=[other.answers(usual.benchmark).outputs])
    told = first_difference(replace(usual, outputs=usual.outputs[-1:]), own_tests)
    if not told:
        return PASSED
    return failed(
        f"with other images and labels in the test sets, {told}",
        "it trains on, stops by, or normalizes with test data, which an evaluation hook may have kept",
        "use what `strategy.experience` holds in training; a validation set can be split off it",
    )


@check("learns without the future", "what comes later changes nothing in what it is after the first experience")
def learns_without_the_future(subject: Subject) -> Answer:
    if subject.strategy.offline:
        return not_applicable("it is trained on all experiences together")
    told = first_difference(subject.usual, subject.otherwise_continued)
    if not told:
        return PASSED
    if subject.strategy.role in ("control", "ceiling"):
        return note(f"as a {subject.strategy.role} may, it looks ahead")
    return failed(
        f"with other experiences to follow, {told}",
        "it looks into later experiences, for instance through `strategy.experience.origin_stream`",
        "use what `strategy.experience` holds, and what was kept of earlier ones",
    )


def _changed(before: list[Tensor], after: list[Tensor]) -> str:
    """Tell in half a sentence on how many samples answers differ; return an empty text where no output does."""
    if all(same(one, other) for one, other in zip(before, after, strict=True)):
        return ""
    one, other = torch.cat(before), torch.cat(after)
    if one.shape != other.shape:
        return f"its outputs have the shape {tuple(other.shape)} instead of {tuple(one.shape)}"
    samples = int((one.argmax(dim=1) != other.argmax(dim=1)).sum())
    return f"it answers otherwise on {samples} of {len(one)} samples" if samples else "its outputs are others"
