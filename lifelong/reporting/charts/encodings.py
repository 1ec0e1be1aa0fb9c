"""What charts encode alike: colours and shapes of strategies, legends, intervals, headings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast

import altair as alt

SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
DASHES = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [10, 3], [4, 4], [1, 2]]
"""One fewer than colours: where all begin anew, the ninth strategy does not look like the first."""

KEPT: Final = "show"
"""What to do with the interval of who has none: draw nothing, and yet keep the place among the others."""

BROKEN: Final = "break-paths-show-domains"
"""The same, for bands."""

SILENT: dict[str, Any] = {"aria": False, "tooltip": None}
"""For marks beside those that tell everything, to a pointer and to a screen reader."""

NARROW = "containerSize()[0] < 480"
"""On a phone. The size of what a chart stands in, for that of the chart itself depends on its legend."""

METRIC = "upper(slice(datum.metric, 0, 1)) + replace(slice(datum.metric, 1), regexp('_', 'g'), ' ')"
"""A metric's name in words."""


INDEPENDENT: Literal["independent"] = "independent"


def layered(*layers: alt.Chart | alt.LayerChart, height: int | alt.Step, apart: Sequence[str] = ()) -> alt.LayerChart:
    """Layers upon each other, the first below; `apart` names channels in which each has a scale of its own."""
    drawn = alt.LayerChart(layer=list(layers)).resolve_scale(**dict.fromkeys(apart, INDEPENDENT))
    return cast("alt.LayerChart", drawn.properties(height=height))


def limit(narrow: int, wide: int) -> alt.ExprRef:
    """A number for a phone, and one for all else."""
    return alt.ExprRef(f"{NARROW} ? {narrow} : {wide}")


def legend(columns: int = 3, **settings: Any) -> alt.Legend:
    """Below the chart, in two columns on a phone."""
    below = {"orient": "bottom", "title": None, "columns": limit(2, columns), "labelLimit": limit(115, 210)}
    return alt.Legend(**below | settings)


def strategy(channel: Callable[..., Any], shown: alt.Legend | None = None, **scale: Any) -> Any:
    """In the order of the rows, which is the ranking."""
    return channel("strategy:N", sort=None, legend=shown, scale=alt.Scale(**scale) if scale else alt.Undefined)


def point_by_strategy() -> dict[str, Any]:
    """Colour and shape with their legend; other layers have the same colours without one.

    Vega-Lite merges the legends of two scales only where they serve the same layers.
    """
    return {"color": strategy(alt.Color, legend()), "shape": strategy(alt.Shape, legend(), range=SHAPES)}


def interval(name: str, form: str) -> list[alt.Tooltip]:
    """For the tooltip of a mean over seeds."""
    return [
        alt.Tooltip("mean:Q", title=name, format=form),
        alt.Tooltip("low:Q", title="95 % from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
        alt.Tooltip("n:Q", title="seeds"),
    ]


def heading(expression: str, fields: Sequence[str], align: Literal["left", "right"] = "left") -> alt.Chart:
    """What a value axis shows, where that is a matter of the rows: text above the chart."""
    words = (
        alt.Chart().transform_aggregate(rows="count()", groupby=list(fields)).transform_calculate(heading=expression)
    )
    mark = words.mark_text(align=align, baseline="bottom", fontSize=12, fontWeight=600, **SILENT)
    at = alt.value(0 if align == "left" else "width")
    return cast("alt.Chart", mark.encode(text="heading:N", x=at, y=alt.value(-10)))
