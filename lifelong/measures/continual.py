"""What can be read off the accuracy matrix: pure functions of R.

`R` has the shape (T + 1, T) and holds fractions in [0, 1], NaN where nothing was evaluated. Row 0 is the untrained
network, row i the network after the i-th experience, counted from one; column j is the test set of experience j + 1.
So, as the array is indexed, `R[j, j]` was measured just before that column's experience was learned, and `R[j + 1, j]`
just after.

The formulas count experiences from one, as the papers do: there R[i, j] is the accuracy on experience j after
experience i, R[j, j] the one just after learning j, and R[0, j] that of the untrained network. A value that needs an
entry that is NaN, or more experiences than there are, is NaN; nothing is averaged over what happens to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Curve = npt.NDArray[np.float64]


def validate(R: npt.ArrayLike | Sequence[Sequence[float | None]]) -> Matrix:
    """Return R as an array of shape (T + 1, T), with NaN in place of None.

    >>> validate([[0.5, None], [1.0, 0.25], [0.75, 1.0]]).tolist()
    [[0.5, nan], [1.0, 0.25], [0.75, 1.0]]

    Raises:
        ValueError: if it has another shape, T is zero, or an entry is neither NaN nor in [0, 1].
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
    return float(values.mean()) if values.size else float("nan")


def _just_after(R: Matrix) -> Curve:
    """Return R[j, j], of shape (T,): the accuracy on each experience just after learning it."""
    return R[1:].diagonal()


def average_accuracy(R: Matrix) -> float:
    """Return the mean of the last row, in [0, 1]: mean_j R[T, j].

    >>> average_accuracy(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]))
    0.75

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 2.
    """
    return _mean(R[-1])


def anytime_average(R: Matrix) -> float:
    """Return the average over time of the accuracy on what was seen so far, in [0, 1]: mean_i mean_{j <= i} R[i, j].

    Source: Rebuffi et al. 2017 (iCaRL), arXiv:1611.07725, section 4.1, "average incremental accuracy".
    """
    return _mean(average_so_far(R))


def forgetting(R: Matrix) -> float:
    """Tell how far experiences fell below their best, in [-1, 1]: mean_{j < T} (max_{1 <= i < T} R[i, j] - R[T, j]).

    >>> forgetting(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]))
    0.5

    A multi-headed network cannot be evaluated on an experience that it has not met. So an entry before the experience
    was learned (0 < i < j) takes part in the maximum where it exists, and may be NaN.

    Source: Chaudhry et al. 2018 (RWalk), arXiv:1801.10112, equation 3.
    """
    return _mean(forgetting_by_experience(R))


def forgetting_by_experience(R: Matrix) -> Curve:
    """Return the terms that `forgetting` is the mean of, shape (T - 1,): the last experience is not among them."""
    past, last = R[1:-1, :-1], R[-1, :-1]
    unmet = np.triu(np.isnan(past), k=1)
    return np.asarray(np.where(unmet, 0.0, past).max(axis=0, initial=0.0) - last)


def backward_transfer(R: Matrix) -> float:
    """Tell what later learning did to earlier experiences, in [-1, 1]: mean_{j < T} (R[T, j] - R[j, j]).

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 3.
    """
    return _mean(R[-1, :-1] - _just_after(R)[:-1])


def forward_transfer(R: Matrix) -> float:
    """Tell what earlier learning gave to experiences not yet met, in [-1, 1]: mean_{j > 1} (R[j - 1, j] - R[0, j]).

    The untrained network of the same run is the baseline.

    Source: Lopez-Paz & Ranzato 2017 (GEM), arXiv:1706.08840, equation 4.
    """
    return _mean((R.diagonal() - R[0])[1:])


def learning_accuracy(R: Matrix) -> float:
    """Return the mean accuracy on each experience just after learning it, in [0, 1]: mean_j R[j, j].

    Source: Riemer et al. 2019 (MER), arXiv:1810.11910, section 5.
    """
    return _mean(_just_after(R))


def intransigence(R: Matrix, reference: Matrix) -> float:
    """Tell how far the learning of what is new falls behind, in [-1, 1]: mean_j (reference[j, j] - R[j, j]).

    Args:
        R: shape (T + 1, T).
        reference: the matrix, of the same shape, of a model that after experience j has been trained on all the data
            of the experiences up to j, from the same seed.

    Raises:
        ValueError: if the shapes differ.

    Source: Chaudhry et al. 2018 (RWalk), arXiv:1801.10112, equation 4, averaged over the experiences.
    """
    if R.shape != reference.shape:
        raise ValueError(f"the reference has the shape {reference.shape}, R {R.shape}")
    return _mean(_just_after(reference) - _just_after(R))


def _so_far(R: Matrix, metric: Callable[[Matrix], float]) -> Curve:
    return np.array([metric(R[: k + 1, :k]) for k in range(1, R.shape[1] + 1)])


def average_so_far(R: Matrix) -> Curve:
    """Return, after each experience, the mean accuracy on the experiences seen until then; shape (T,), in [0, 1]."""
    return _so_far(R, average_accuracy)


def forgetting_so_far(R: Matrix) -> Curve:
    """Return `forgetting` as if the stream had ended after each experience; shape (T,), in [-1, 1], first entry NaN."""
    return _so_far(R, forgetting)


def backward_transfer_so_far(R: Matrix) -> Curve:
    """Return `backward_transfer` as if the stream had ended after each experience; shape (T,), first entry NaN."""
    return _so_far(R, backward_transfer)


@dataclass(frozen=True)
class Metric:
    """Sums up R in one number, and tells a reader how to read it."""

    name: str
    function: Callable[..., float]
    title: str
    """What stands at the head of a column."""
    higher_is_better: bool
    formula: str
    """One line of text; R[i, j] is the accuracy on experience j after experience i, both counted from one."""
    needs_reference: bool = False

    def __call__(self, R: Matrix, reference: Matrix | None = None) -> float:
        """Return the metric's value; NaN where it needs a reference and there is none."""
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
"""Every metric by its name, in the order in which they are listed."""
