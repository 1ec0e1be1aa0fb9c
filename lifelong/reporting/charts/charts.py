"""The charts of a board in Vega-Lite, drawn of the rows that `lifelong.reporting.charts.rows` makes.

A specification names its data and holds none, so that figures and the page draw the same rows in the same way. Nothing
is told by colour alone: shapes, dashes or labels say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import altair as alt

from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.charts import drawings
from lifelong.reporting.charts.rows import Row

COSTS = ("final_parameters", "average_parameters", "training_macs", "train_s")
"""The metrics that accuracy is drawn against."""


@dataclass(frozen=True)
class Chart:
    """One way to look at a board.

    Attributes:
        name: stands in the names of files and of parts of the page.
        title: a heading.
        reading: tells in a sentence how to read it.
        dataset: the name of the data set whose rows it draws.
        draw: makes the chart of all rows that it is given.
        where: chooses its rows from the data set, by the values of their fields.
    """

    name: str
    title: str
    reading: str
    dataset: str
    draw: Callable[[], alt.LayerChart]
    where: Mapping[str, str] = field(default_factory=dict)

    def own(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of its data set that it draws."""
        return [row for row in rows if all(row[name] == value for name, value in self.where.items())]

    def spec(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data and without a theme; as wide as its container."""
        drawn = self.draw().properties(
            data=alt.NamedData(self.dataset),
            width="container",
            description=f"{self.title}. {self.reading}",
        )
        for name, value in self.where.items():
            drawn = drawn.transform_filter(alt.datum[name] == value)
        spec: dict[str, Any] = drawn.to_dict()
        del spec["config"]  # Altair's own theme
        return spec


_ALL = (
    Chart(
        "curves",
        "Accuracy after each experience",
        "Each line is the mean accuracy on the experiences seen so far, over seeds, with its 95 % interval; "
        "a line that falls forgets, and a strategy that trains once on all the data is a point at the end; axes do not "
        "begin at zero, and differ by scenario.",
        "curves",
        partial(drawings.curves, "Average accuracy so far"),
        {"metric": "average_accuracy"},
    ),
    Chart(
        "forgetting",
        "Forgetting after each experience",
        "Each line is the mean drop of earlier experiences below their best, over seeds, with its 95 % interval; "
        "lower is better.",
        "curves",
        partial(drawings.curves, "Forgetting so far"),
        {"metric": "forgetting"},
    ),
    Chart(
        "matrix",
        "The accuracy matrix R of one run",
        "A row is the network after an experience, a column the test set of one; a framed cell was just learned, and "
        "what lies below it shows how well it was kept.",
        "matrix",
        drawings.matrix,
    ),
    Chart(
        "forgotten",
        "Forgetting by experience",
        "Each dot is how far an experience fell from its best accuracy until the end of the stream, mean over seeds "
        "with its 95 % interval; zero is nothing forgotten.",
        "forgotten",
        drawings.forgotten,
    ),
    Chart(
        "stream",
        "Accuracy, structural events and capacity over the stream",
        "Above, the average accuracy at the end of each experience with the structural events marked on it; below, the "
        "parameters at the same training steps.",
        "stream",
        drawings.stream,
    ),
    *(
        Chart(
            f"costs-{cost}",
            f"What it cost: {RUN_METRICS[cost].title.lower()}",
            "The dashed line joins the filled points, which no rival betters at no more cost; hollow ones are "
            "dominated, and the tooltip says by whom; ceilings and references, which keep the data, stand aside.",
            "costs",
            partial(drawings.against, RUN_METRICS[cost]),
            {"cost": cost},
        )
        for cost in COSTS
    ),
    Chart(
        "differences",
        "Paired differences from a baseline",
        "Each mark is the mean difference over the seeds that both have, with its 95 % interval, the best at the top; "
        "a verdict needs an interval that excludes zero, and a p below 5 % after Holm's correction.",
        "differences",
        drawings.differences,
    ),
)

CHARTS: Mapping[str, Chart] = {chart.name: chart for chart in _ALL}
"""Every chart by its name, in the order of the page."""
