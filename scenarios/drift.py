"""Streams without tasks, whose concept drifts at times that no learner is told: does it notice, and does that help?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.contracts import Context, Count, Scenario, scenario

from . import digits, mnist

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario

    from .base import DataSet

GAMA = "Gama et al. 2014, A survey on concept drift adaptation, doi:10.1145/2523813 (the kinds of drift)"

DETAIL = """Pixels are permuted (abrupt), then turned by 90 degrees (gradual), then as they were (recurring); then each
class takes another's label (abrupt), then pixels are permuted otherwise (gradual), then as the first time (recurring).
In a gradual drift, half as long as a stationary stretch, more and more samples are of the new concept. The seed draws
when each drift comes, within a quarter of a stretch, and the permutations and labels. The stream is cut into
experiences of equal length, only for scoring. A drift may begin anywhere in one, so samples are trained on in their
order. Each test set shows what its experience shows. All of this is our choice."""

PARAMETERS = """Args:
    experiences: number of experiences into which the stream is cut.
    steps: number of batches in the stream, a multiple of `experiences`.
    batch_size: number of samples in a batch, the same as in the budget, because drifts are placed by batches.
    test_samples: number of images in each experience's test set; all of them where there are fewer."""


def _drifting(data: DataSet, steps: int) -> Scenario:
    length = steps

    def build(
        context: Context,
        experiences: Count = 25,
        steps: Count = length,
        batch_size: Count = 32,
        test_samples: Count = 1000,
    ) -> CLScenario:
        from lifelong.data.drift import drifting

        return drifting(
            data.load(context),
            context,
            experiences=experiences,
            steps=steps,
            batch_size=batch_size,
            test_samples=test_samples,
        )

    summary = f"{data.title} in one stream without tasks, which drifts six times between stationary stretches."
    build.__doc__ = "\n\n".join(filter(None, (summary, DETAIL, data.notes, PARAMETERS)))
    decorate = scenario(
        name=f"drift-{data.name}",
        protocol="task-free",
        source=f"{GAMA}; data: {data.source}",
        licence=data.licence,
        download_mb=data.download_mb,
        input_shape=data.input_shape,
        model={"name": "mlp", "widths": [100, 100]},
        budget={"epochs": 1, "batch_size": 32, "optimizer": "adam", "lr": 0.001},
        scored="current",
        ordered=True,
        check=data.check,
    )
    return decorate(build)


DRIFTING = (_drifting(mnist.DATA, steps=10_000), _drifting(digits.DATA, steps=5_000))
