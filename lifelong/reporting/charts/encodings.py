"""Encodings that charts share: colours and shapes of strategies, legends, intervals, headings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast

import altair as alt

SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
DASHES = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [10, 3], [4, 4], [1, 2]]
"""One fewer than there are colours, so that the ninth strategy, whose colour is the first again, has another dash."""

KEPT: Final = "show"
"""Where there is no interval, nothing is drawn, and the place among the others is kept."""

BROKEN: Final = "break-paths-show-domains"
"""The same for bands."""

SILENT: dict[str, Any] = {"aria": False, "tooltip": None}
"""Hides a mark from pointers and screen readers, where another mark beside it tells everything."""

NARROW = "containerSize()[0] < 480"
"""Whether the page is on a phone. It asks for the container's size, because the chart's own depends on its legend."""

METRIC = "upper(slice(datum.metric, 0, 1)) + replace(slice(datum.metric, 1), regexp('_', 'g'), ' ')"
"""An expression for a metric's name in words."""


INDEPENDENT: Literal["independent"] = "independent"


def layered(*layers: alt.Chart | alt.LayerChart, height: int | alt.Step, apart: Sequence[str] = ()) -> alt.LayerChart:
    """Lay layers upon each other, the first lowest; `apart` names channels in which each has a scale of its own."""
    drawn = alt.LayerChart(layer=list(layers)).resolve_scale(**dict.fromkeys(apart, INDEPENDENT))
    return cast("alt.LayerChart", drawn.properties(height=height))


def limit(narrow: int, wide: int) -> alt.ExprRef:
    """Return an expression: one number on a phone, another elsewhere."""
    return alt.ExprRef(f"{NARROW} ? {narrow} : {wide}")


def legend(columns: int = 3, **settings: Any) -> alt.Legend:
    """Return a legend below the chart, in two columns on a phone."""
    below = {"orient": "bottom", "title": None, "columns": limit(2, columns), "labelLimit": limit(115, 210)}
    return alt.Legend(**below | settings)


def strategy(channel: Callable[..., Any], shown: alt.Legend | None = None, **scale: Any) -> Any:
    """Encode strategies in a channel, in the order of the rows, which is the ranking."""
    return channel("strategy:N", sort=None, legend=shown, scale=alt.Scale(**scale) if scale else alt.Undefined)


def point_by_strategy() -> dict[str, Any]:
    """Encode strategies by colour and shape, with a legend; other layers have the same colours without one.

    Vega-Lite merges the legends of two scales only where they serve the same layers.
    """
    return {"color": strategy(alt.Color, legend()), "shape": strategy(alt.Shape, legend(), range=SHAPES)}


def interval(name: str, form: str) -> list[alt.Tooltip]:
    """Return the tooltip of a mean over seeds, with its interval."""
    return [
        alt.Tooltip("mean:Q", title=name, format=form),
        alt.Tooltip("low:Q", title="95 % from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
        alt.Tooltip("n:Q", title="seeds"),
    ]


def heading(expression: str, fields: Sequence[str], align: Literal["left", "right"] = "left") -> alt.Chart:
    """Write above the chart what its value axis shows, where that depends on the rows."""
    words = (
        alt.Chart().transform_aggregate(rows="count()", groupby=list(fields)).transform_calculate(heading=expression)
    )
    mark = words.mark_text(align=align, baseline="bottom", fontSize=12, fontWeight=600, **SILENT)
    at = alt.value(0 if align == "left" else "width")
    return cast("alt.Chart", mark.encode(text="heading:N", x=at, y=alt.value(-10)))
