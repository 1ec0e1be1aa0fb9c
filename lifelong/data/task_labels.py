"""Gives samples (x, y) a task label, so that a benchmark that Avalanche made without any can be trained on."""

from __future__ import annotations

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils.classification_dataset import _make_taskaware_classification_dataset

from lifelong.data.streams import tell_as


def with_some_task_label(benchmark: CLScenario) -> CLScenario:
    """Return a benchmark whose samples are (x, y, task label): the same one, or one in which every label is 0.

    Avalanche's own functions make samples (x, y) where no task label is given, and its strategies train on them. What
    scores and changes networks here asks for a task label.
    """
    experiences = [experience for stream in benchmark.streams.values() for experience in stream]
    if all(hasattr(experience.dataset, "targets_task_labels") for experience in experiences):
        return benchmark
    parts = {
        name: [_make_taskaware_classification_dataset(experience.dataset, task_labels=0) for experience in stream]
        for name, stream in benchmark.streams.items()
    }
    return tell_as(benchmark, with_task_labels(with_classes_timeline(benchmark_from_datasets(**parts))))
