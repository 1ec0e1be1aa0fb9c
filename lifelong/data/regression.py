"""The slowly changing regression problem of Dohare et al.: a function of bits, some of which change now and then."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_task_labels

from lifelong.contracts import Context
from lifelong.data.resident import Images, resident_dataset
from lifelong.data.streams import generator

INPUTS, FLIPPING = 20, 15
TARGET_UNITS, BETA = 100, 0.7

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ThresholdNetwork:
    """The function to be learnt: linear threshold units, and a linear output. All weights and biases are +1 or -1.

    Unit i is on where w_i . (x, 1) > beta (m + 1) - s_i. Here m is the number of inputs and s_i the number of weights
    that are -1, including the bias. So a unit is on if more than a share beta of its inputs agree with their weights: 1
    where the weight is +1, and 0 where it is -1. The bias counts as the weight of an input that is always 1.

    Source: Sutton & Whitehead 1993, Online learning with random representations, as Dohare et al. 2024 use it. To s_i
    the authors' code adds half of the bias, where we count a negative bias as any other weight.

    >>> network = ThresholdNetwork(hidden=np.array([[1, -1, 1]]), output=np.array([1, -1]))
    >>> network(np.array([[1, 0], [0, 1]]))  # both inputs agree with their weights, and then neither
    array([ 0, -1])

    Attributes:
        hidden: the weights of the units, of shape (units, inputs + 1); the last column holds the biases.
        output: the weights of the output, of shape (units + 1,); the last one is the bias.
    """

    hidden: Numbers
    output: Numbers

    def __call__(self, x: Numbers) -> Numbers:
        """Return a whole number for each sample, of shape (n,), from bits of shape (n, inputs)."""
        threshold = BETA * self.hidden.shape[1] - (self.hidden < 0).sum(1)
        on = x @ self.hidden[:, :-1].T + self.hidden[:, -1] > threshold
        values: Numbers = on @ self.output[:-1] + self.output[-1]
        return values


def slowly_changing(context: Context, experiences: int, samples: int) -> CLScenario:
    """Make a stream of regression problems. From one to the next, one bit of the inputs flips.

    The first 15 of the 20 bits are the same throughout an experience; the others are drawn for each sample. So there
    are 32 different inputs in an experience. Its test set has each of them once, so that the error on it is exact.

    Args:
        context: the context, from whose seed the target network, the bits that flip, and the samples are drawn.
        experiences: the length of the stream, at least 1.
        samples: the training samples in each experience, at least 1.

    Returns:
        A benchmark with `train_stream`, `test_stream`, `data_sha256`, and `outputs`, which is 1.
    """
    target = _target(context)
    free = np.arange(2 ** (INPUTS - FLIPPING))[:, None] >> np.arange(INPUTS - FLIPPING) & 1
    datasets: dict[str, list[object]] = {"train": [], "test": []}
    digest = hashlib.sha256()
    for index, fixed in enumerate(_fixed_bits(context, experiences)):
        x = np.concatenate([np.tile(fixed, (len(free), 1)), free], axis=1)
        y = target(x)
        digest.update(x.tobytes() + y.tobytes())
        rows = generator(context, "samples", index).integers(len(free), size=samples)
        for stream, chosen in (("train", torch.from_numpy(rows)), ("test", None)):
            images = Images(
                torch.from_numpy(x).float().to(context.device),
                torch.from_numpy(y).float().to(context.device),
                name=f"{stream}/{index}",
            )
            datasets[stream].append(resident_dataset(images, chosen))
    benchmark = with_task_labels(benchmark_from_datasets(**datasets))
    benchmark.outputs = 1
    benchmark.data_sha256 = digest.hexdigest()
    return benchmark


def _target(context: Context) -> ThresholdNetwork:
    random = generator(context, "target network")
    return ThresholdNetwork(
        random.choice([-1, 1], size=(TARGET_UNITS, INPUTS + 1)), random.choice([-1, 1], size=TARGET_UNITS + 1)
    )


def _fixed_bits(context: Context, experiences: int) -> Numbers:
    """Return the bits that stay the same in each experience, of shape (experiences, 15); one flips between two."""
    first = generator(context, "bits").integers(2, size=FLIPPING)
    flipped = generator(context, "flips").integers(FLIPPING, size=experiences - 1)
    flips = np.zeros((experiences, FLIPPING), dtype=np.int64)
    flips[np.arange(1, experiences), flipped] = 1
    fixed: Numbers = (first + flips.cumsum(0)) % 2
    return fixed
