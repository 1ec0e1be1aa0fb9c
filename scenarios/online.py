"""Long streams in which a network may lose its ability to learn: what counts is how well it learns what comes next.

Each experience is passed over once, and scored when it has been learnt. Earlier experiences may be forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifelong.contracts import Context, Count, Scenario, scenario

from . import digits, mnist

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario

    from .base import DataSet

DOHARE = "Dohare et al. 2024, Loss of plasticity in deep continual learning, doi:10.1038/s41586-024-07711-7"

DETAIL = """Every experience has a permutation of its own, and is as hard as any other. If a network learns later ones
less well than early ones, it has lost plasticity."""

PARAMETERS = """Args:
    experiences: number of experiences in the stream.
    samples: number of training images, which are the same in each experience; by default all."""


def _online_permuted(
    data: DataSet, experiences: int, model: dict[str, Any], budget: dict[str, Any], form: str
) -> Scenario:
    length = experiences

    def build(context: Context, experiences: Count = length, samples: Count | None = None) -> CLScenario:
        from lifelong.data.streams import online_permuted_pixels

        return online_permuted_pixels(data.load(context), context, experiences, samples)

    summary = f"{data.title}, seen once in each experience, with the pixels in another order each time."
    build.__doc__ = "\n\n".join(filter(None, (summary, DETAIL, form, data.notes, PARAMETERS)))
    decorate = scenario(
        name=f"online-permuted-{data.name}",
        protocol="domain",
        source=f"{DOHARE}; data: {data.source}",
        licence=data.licence,
        download_mb=data.download_mb,
        input_shape=data.input_shape,
        model=model,
        budget=budget,
        scored="current",
        check=data.check,
    )
    return decorate(build)


PERMUTED = (
    _online_permuted(
        mnist.DATA,
        experiences=200,
        model={"name": "mlp", "widths": [500, 500, 500]},
        budget={"epochs": 1, "batch_size": 128, "optimizer": "sgd", "lr": 0.05},
        form="""The source has 800 experiences, batches of one sample, three layers of 2,000 units and a step size of
0.003 among others. The smaller form is our choice: 200 experiences, batches of 128, three layers of 500. So is the
step size of 0.05: the source's, times 128 for the batches, divided by 9 because pixels of mean 0 and deviation 1 have
nine times the mean square of the source's, and rounded.""",
    ),
    _online_permuted(
        digits.DATA,
        experiences=50,
        model={"name": "mlp", "widths": [50, 50, 50]},
        budget={"epochs": 1, "batch_size": 8, "optimizer": "sgd", "lr": 0.05},
        form="It is `online-permuted-mnist`, so small that it is learnt in seconds: to try things out.",
    ),
)


@scenario(
    protocol="domain",
    source=DOHARE,
    licence="CC0",
    input_shape=(20,),
    model={"name": "mlp", "widths": [5]},
    budget={"epochs": 1, "batch_size": 10, "optimizer": "sgd", "lr": 0.01},
    criterion="squared error",
    scored="current",
)
def slowly_changing_regression(context: Context, experiences: Count = 200, samples: Count = 10_000) -> CLScenario:
    """A function of twenty bits, learnt by five units while one of the slow bits flips in each experience.

    Fifteen of the bits hold still through an experience, and one of them, drawn at random, flips before the next; the
    other five are drawn for each sample. The function is a random network of 100 linear threshold units, far more than
    the learner has, so that it can only ever fit what the slow bits are now. There is no accuracy, but a squared error,
    and the test set of an experience is the 32 inputs that it can show.

    The source takes up to ten million samples one by one, which is 1,000 flips. Two million samples in batches of ten
    are our choice, with the largest step size that its code tries, 0.01.

    Args:
        experiences: number of experiences in the stream, one more than there are flips.
        samples: number of samples between one flip and the next.
    """
    from lifelong.data.regression import slowly_changing

    return slowly_changing(context, experiences, samples)
