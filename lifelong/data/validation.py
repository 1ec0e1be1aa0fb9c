"""The part of a stream that parameters may be chosen on."""

from __future__ import annotations

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels

from lifelong.errors import UsageError


def validating(benchmark: CLScenario, experiences: int | None = None) -> CLScenario:
    """A stream's first experiences, with the samples that are held out from them in the place of its test sets.

    No test data can be reached from it. The network that is made for it has as many outputs as on the whole stream.

    Args:
        benchmark: with a stream `valid` beside `train`; it stays as it is.
        experiences: how many of the first; None for all.

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
    made = with_task_labels(with_classes_timeline(benchmark_from_datasets(**parts)))
    classes = (max(experience.classes_in_this_experience) for experience in benchmark.train_stream)
    made.outputs = 1 + max(classes)
    made.data_sha256 = getattr(benchmark, "data_sha256", None)
    return made
