"""Every number that a run can be ranked by: metrics of its accuracy matrix, and other numbers of its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lifelong.errors import unknown
from lifelong.measures.continual import METRICS, Matrix, Metric
from lifelong.records import readings

if TYPE_CHECKING:
    from lifelong.records.record import Record

Quantity = Literal["fraction", "number", "count", "seconds"]
"""How a number is written: 0.912, 12.3, 85.4 k, 3.1 s."""

NAN = float("nan")


@dataclass(frozen=True)
class RunMetric:
    """A number that sums up a run, with what a reader needs to understand it."""

    name: str
    title: str
    """The heading of its column."""
    higher_is_better: bool
    formula: str
    """One line of text."""
    function: Callable[[Record, Matrix, Matrix | None], float]
    """Computes it from a record, its R, and the R of the reference."""
    quantity: Quantity = "number"

    @property
    def is_cost(self) -> bool:
        """Whether it differs so little between seeds that its mean says enough."""
        return self.quantity in ("count", "seconds")

    def __call__(self, record: Record, R: Matrix, reference: Matrix | None = None) -> float:
        """Return the run's value; NaN where it has none.

        Args:
            record: the record of a run that is ok.
            R: its accuracy matrix, of shape (T + 1, T).
            reference: the matrix that intransigence is measured against, of the same shape.
        """
        return self.function(record, R, reference)


def _of_matrix(metric: Metric) -> RunMetric:
    return RunMetric(
        metric.name,
        metric.title,
        metric.higher_is_better,
        metric.formula,
        lambda _, R, reference: metric(R, reference),
        "fraction",
    )


def _of_record(
    name: str,
    title: str,
    higher_is_better: bool,
    formula: str,
    function: Callable[[Record], float | None],
    quantity: Quantity = "number",
) -> RunMetric:
    def value(record: Record, R: Matrix, reference: Matrix | None) -> float:
        del R, reference
        number = function(record)
        return NAN if number is None else float(number)

    return RunMetric(name, title, higher_is_better, formula, value, quantity)


_SHARE = "share of hidden units"
_LISTED = (
    *map(_of_matrix, METRICS.values()),
    _of_record(
        "online_accuracy",
        "Online accuracy",
        True,
        "mean over experiences of the accuracy on each batch of the first epoch before learning from it",
        readings.mean("online_accuracy"),
        "fraction",
    ),
    _of_record(
        "last_online_accuracy",
        "Last online accuracy",
        True,
        "online accuracy over the last tenth of the experiences",
        readings.mean("online_accuracy", 0.1),
        "fraction",
    ),
    _of_record(
        "online_loss",
        "Online loss",
        False,
        "mean over experiences of the loss on each batch of the first epoch before learning from it",
        readings.mean("online_loss"),
    ),
    _of_record(
        "last_online_loss",
        "Last online loss",
        False,
        "online loss over the last tenth of the experiences",
        readings.mean("online_loss", 0.1),
    ),
    _of_record(
        "final_parameters",
        "Final parameters",
        False,
        "parameters of the network in the end, including pruned ones",
        readings.in_the_end("parameters"),
        "count",
    ),
    _of_record(
        "live_parameters",
        "Live parameters",
        False,
        "parameters of the network in the end, without pruned ones",
        readings.in_the_end("live_parameters"),
        "count",
    ),
    _of_record(
        "average_parameters",
        "Average parameters",
        False,
        "parameters of the network, including pruned ones, mean over all training iterations",
        readings.in_the_end("average_parameters"),
        "count",
    ),
    _of_record(
        "training_macs",
        "Training MACs",
        False,
        "3 x multiply-accumulates of a forward pass x samples trained on, as without masks",
        readings.in_the_end("training_macs"),
        "count",
    ),
    _of_record("train_s", "Training time", False, "wall clock", lambda record: sum(record.times.train_s), "seconds"),
    _of_record(
        "dormant_units",
        "Dormant units",
        False,
        f"{_SHARE} that are nonzero on less than 1 % of the samples, in the end",
        readings.last("dormant_units"),
        "fraction",
    ),
    _of_record(
        "dormant_units_redo",
        "Dormant units (ReDo)",
        False,
        f"{_SHARE} whose mean activation is at most 0.025 of their layer's, in the end",
        readings.last("dormant_units_redo"),
        "fraction",
    ),
    _of_record(
        "frozen_units",
        "Frozen units",
        False,
        f"{_SHARE} whose weights on both sides are at most 0.1 of their layer's median, in the end",
        readings.last("frozen_units"),
        "fraction",
    ),
    _of_record(
        "protected_units",
        "Protected units",
        False,
        f"{_SHARE} that are frozen on purpose, in the end",
        readings.last("protected_units"),
        "fraction",
    ),
    _of_record(
        "effective_rank",
        "Effective rank",
        True,
        "exp of the entropy of the singular values of what the head reads, in the end",
        readings.last("effective_rank"),
    ),
    _of_record(
        "stable_rank",
        "Stable rank",
        True,
        "squared Frobenius over squared spectral norm of what the head reads, in the end",
        readings.last("stable_rank"),
    ),
    _of_record("weight_norm", "Weight magnitude", False, "mean |w| in the end", readings.last("weight_norm")),
    _of_record(
        "gradient_norm", "Gradient norm", True, "over all parameters, in the end", readings.last("gradient_norm")
    ),
    _of_record(
        "gradient_norm_newborn",
        "Gradient norm, newborn",
        True,
        "norm of the fan-in's gradient, mean over the units born in the last experience",
        readings.last("gradient_norm_newborn"),
    ),
    _of_record(
        "gradient_norm_incumbent",
        "Gradient norm, incumbent",
        True,
        "norm of the fan-in's gradient, mean over the other units, in the end",
        readings.last("gradient_norm_incumbent"),
    ),
    _of_record(
        "grown_units", "Grown", False, "units created, also by splitting", readings.units("grow", "split"), "count"
    ),
    _of_record(
        "removed_units", "Removed", False, "units removed, also by merging", readings.units("remove", "merge"), "count"
    ),
    _of_record("reset_units", "Reset", False, "units initialised anew", readings.units("reset"), "count"),
    _of_record(
        "detection_delay",
        "Detection delay",
        False,
        "updates from a drift's start to the first event, mean over the drifts that were detected",
        readings.detecting("mean_delay"),
        "count",
    ),
    _of_record(
        "missed_drifts",
        "Missed drifts",
        False,
        "drifts without an event up to 200 updates after their end",
        readings.detecting("misses"),
        "count",
    ),
    _of_record(
        "false_alarms",
        "False alarms",
        False,
        "events that belong to no drift, per 10,000 updates of the stationary stretches",
        readings.detecting("false_alarms_per_10k"),
    ),
)

RUN_METRICS: Mapping[str, RunMetric] = {metric.name: metric for metric in _LISTED}
"""Every metric by its name, in the order in which they are listed."""

ALIASES: Mapping[str, str] = {
    "accuracy": "average_accuracy",
    "parameters": "final_parameters",
    "macs": "training_macs",
    "time": "train_s",
}
"""Short names for some metrics."""

RANKING = 2
"""How many of a table's metrics rank its rows: the first ones."""


def metric_name(name: str) -> str:
    """Return the name in `RUN_METRICS` of a metric that a user asks for.

    Raises:
        UsageError: if there is no such metric.

    >>> metric_name("accuracy")
    'average_accuracy'
    """
    full = ALIASES.get(name, name)
    if full not in RUN_METRICS:
        raise unknown("metric", name, [*RUN_METRICS, *ALIASES])
    return full
