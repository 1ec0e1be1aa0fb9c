"""The part of a stream on which parameters may be chosen."""

from __future__ import annotations

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels

from lifelong.errors import UsageError


def validating(benchmark: CLScenario, experiences: int | None = None) -> CLScenario:
    """Return a stream's first experiences, where the samples held out from training take the place of the test sets.

    The result holds no test data. A network for it has as many outputs as one for the whole stream.

    Args:
        benchmark: a benchmark with a stream `valid` beside `train`; it is not changed.
        experiences: how many of the first experiences to take; None for all.

    Raises:
        UsageError: if no samples are held out.
    """
    streams = benchmark.streams
    if "valid" not in streams:
        raise UsageError("no samples are held out: the scenario has no stream `valid`, or its `validation` is 0")
    parts = {
        name: [experience.dataset for experience in streams[source]][:experiences]
        for name, source in (("train", "train"), ("test", "valid"))
    }
    validation = with_task_labels(with_classes_timeline(benchmark_from_datasets(**parts)))
    classes = (max(experience.classes_in_this_experience) for experience in benchmark.train_stream)
    validation.outputs = 1 + max(classes)
    validation.data_sha256 = getattr(benchmark, "data_sha256", None)
    return validation
