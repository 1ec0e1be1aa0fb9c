"""Derives metrics from the accuracy matrix: pure functions of R.

`R` is an array of shape (T + 1, T), where T is the number of experiences. It holds accuracies, which are fractions in
[0, 1], and NaN where nothing was evaluated. Row 0 is the untrained network, and row i is the network after i
experiences. Column j is the test set of experience j + 1. So, as the array is indexed, `R[j, j]` was measured just
before the experience of that column was learned, and `R[j + 1, j]` just after.

The formulas count experiences from one, as the papers do. In a formula, R[i, j] is the accuracy on experience j after
experience i, R[j, j] is the accuracy just after learning j, and R[0, j] is that of the untrained network.

A value is NaN if it needs an entry that is NaN, or more experiences than there are. No mean leaves out missing entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""An accuracy matrix, of shape (T + 1, T)."""
Curve = npt.NDArray[np.float64]
"""A value for each experience, of shape (T,) unless said otherwise."""


def validate(R: npt.ArrayLike | Sequence[Sequence[float | None]]) -> Matrix:
    """Return R as an array of floats, of shape (T + 1, T). None becomes NaN.

    Args:
        R: the rows of the matrix, each with T accuracies in [0, 1], None or NaN.

    Raises:
        ValueError: if R has another shape, if T is zero, or if an entry is neither NaN nor in [0, 1].
    """
    matrix = np.array(R, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or matrix.shape[0] != matrix.shape[1] + 1:
        raise ValueError(f"R has the shape {matrix.shape}; it must be (T + 1, T), with T of at least one")
    wrong = np.argwhere((matrix < 0) | (matrix > 1))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(f"R[{row}, {column}] = {matrix[row, column]}; an accuracy is a fraction in [0, 1]")
    return matrix


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Return the mean; NaN if there are no values, or one of them is NaN."""
    return float(values.mean()) if values.size else float("nan")


def _just_after(R: Matrix) -> Curve:
    """Return R[j, j], of shape (T,): the accuracy on each experience just after learning it."""
    return R[1:].diagonal()


def average_accuracy(R: Matrix) -> float:
    """Return the mean accuracy after the last experience, in [0, 1]: mean_j R[T, j].

    >>> average_accuracy(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    0.75

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 2.
    """
    return _mean(R[-1])


def anytime_average(R: Matrix) -> float:
    """Return the mean over time of the accuracy on the experiences seen so far: mean_i mean_{j <= i} R[i, j].

    It is in [0, 1].

    >>> anytime_average(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    0.875

    Source: Rebuffi et al. 2017 (iCaRL), arXiv:1611.07725, section 4.1, "average incremental accuracy".
    """
    return _mean(average_so_far(R))


def forgetting(R: Matrix) -> float:
    """Return how far experiences fell below their best: mean_{j < T} (max_{1 <= i < T} R[i, j] - R[T, j]).

    It is in [-1, 1]; lower is better. A network with a head for each task cannot be evaluated on an experience that it
    has not met. So an entry before the experience was learned (0 < i < j) may be NaN, and is then left out of the
    maximum.

    >>> forgetting(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    0.25

    Source: Chaudhry et al. 2018 (RWalk), arXiv:1801.10112, equation 3.
    """
    return _mean(forgetting_by_experience(R))


def forgetting_by_experience(R: Matrix) -> Curve:
    """Return the terms whose mean is `forgetting`, of shape (T - 1,): one for each experience but the last."""
    past, last = R[1:-1, :-1], R[-1, :-1]
    # Row i of `past` is the network after experience i + 1, so above the diagonal a column was not yet learned. Missing
    # entries there count as 0, which no maximum feels; a missing entry elsewhere makes the term NaN.
    unmet = np.triu(np.isnan(past), k=1)
    return np.asarray(np.where(unmet, 0.0, past).max(axis=0, initial=0.0) - last)


def backward_transfer(R: Matrix) -> float:
    """Return what later learning did to earlier experiences, in [-1, 1]: mean_{j < T} (R[T, j] - R[j, j]).

    >>> backward_transfer(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    -0.25

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 3.
    """
    return _mean(R[-1, :-1] - _just_after(R)[:-1])


def forward_transfer(R: Matrix) -> float:
    """Return what earlier learning gave to experiences not yet met: mean_{j > 1} (R[j - 1, j] - R[0, j]).

    It is in [-1, 1]. The baseline R[0, j] is the untrained network of the same run.

    >>> forward_transfer(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    0.25

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 4.
    """
    return _mean((R.diagonal() - R[0])[1:])


def learning_accuracy(R: Matrix) -> float:
    """Return the mean accuracy on each experience just after learning it, in [0, 1]: mean_j R[j, j].

    >>> learning_accuracy(validate([[0.5, 0.25], [1.0, 0.5], [0.75, 0.75]]))
    0.875

    Source: Riemer et al. 2019 (MER), arXiv:1810.11910, section 5.
    """
    return _mean(_just_after(R))


def intransigence(R: Matrix, reference: Matrix) -> float:
    """Return the inability to learn what is new, in [-1, 1]: mean_j (reference[j, j] - R[j, j]). Lower is better.

    Source: Chaudhry et al. 2018 (RWalk), arXiv:1801.10112, equation 4, averaged over the experiences.

    Args:
        R: the accuracy matrix, of shape (T + 1, T).
        reference: the accuracy matrix, of the same shape, of a model with the same seed that is trained, after each
            experience j, on all the data of the experiences up to j.

    Raises:
        ValueError: if the shapes differ.
    """
    if R.shape != reference.shape:
        raise ValueError(f"the reference has the shape {reference.shape}, R {R.shape}")
    return _mean(_just_after(reference) - _just_after(R))


def _so_far(R: Matrix, metric: Callable[[Matrix], float]) -> Curve:
    """Return, of shape (T,), a metric of the stream's first experience, of its first two, and so on."""
    return np.array([metric(R[: k + 1, :k]) for k in range(1, R.shape[1] + 1)])


def average_so_far(R: Matrix) -> Curve:
    """Return, after each experience, the mean accuracy on the experiences seen so far; shape (T,), in [0, 1]."""
    return _so_far(R, average_accuracy)


def forgetting_so_far(R: Matrix) -> Curve:
    """Return, after each experience, `forgetting` as if the stream had ended there.

    The shape is (T,), the entries are in [-1, 1], and the first is NaN.
    """
    return _so_far(R, forgetting)


def backward_transfer_so_far(R: Matrix) -> Curve:
    """Return, after each experience, `backward_transfer` as if the stream had ended there.

    The shape is (T,), the entries are in [-1, 1], and the first is NaN.
    """
    return _so_far(R, backward_transfer)


@dataclass(frozen=True)
class Metric:
    """Describes a number that sums up R, with what a reader needs in order to understand it.

    Attributes:
        name: the name in records, boards and options.
        function: takes R, and the reference where one is needed; returns the value.
        title: the name at the head of a column.
        higher_is_better: whether a higher value is better.
        formula: one line of text. R[i, j] is the accuracy on experience j after experience i, both counted from one.
        needs_reference: whether the function takes a reference matrix, as `intransigence` does.
    """

    name: str
    function: Callable[..., float]
    title: str
    higher_is_better: bool
    formula: str
    needs_reference: bool = False

    def __call__(self, R: Matrix, reference: Matrix | None = None) -> float:
        """Return the value of the metric; NaN if it needs a reference and there is none."""
        if not self.needs_reference:
            return self.function(R)
        return float("nan") if reference is None else self.function(R, reference)


_LISTED = (
    Metric("average_accuracy", average_accuracy, "Average accuracy", True, "mean over j of R[T, j]"),
    Metric("anytime_average", anytime_average, "Anytime average", True, "mean over i of mean over j <= i of R[i, j]"),
    Metric("forgetting", forgetting, "Forgetting", False, "mean over j < T of max_{1 <= i < T} R[i, j] - R[T, j]"),
    Metric("backward_transfer", backward_transfer, "Backward transfer", True, "mean over j < T of R[T, j] - R[j, j]"),
    Metric("forward_transfer", forward_transfer, "Forward transfer", True, "mean over j > 1 of R[j-1, j] - R[0, j]"),
    Metric("learning_accuracy", learning_accuracy, "Learning accuracy", True, "mean over j of R[j, j]"),
    Metric(
        "intransigence",
        intransigence,
        "Intransigence",
        False,
        "mean over j of R*[j, j] - R[j, j], R* being trained on all data up to j",
        needs_reference=True,
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _LISTED}
"""Every metric by its name, in the order in which tables list them."""
