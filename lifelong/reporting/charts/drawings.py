"""Draws each chart: Vega-Lite over rows of `lifelong.reporting.charts.rows`, without data, size and theme."""

from __future__ import annotations

from typing import cast

import altair as alt

from lifelong.records.metrics import RunMetric
from lifelong.reporting.charts.encodings import (
    BROKEN,
    DASHES,
    KEPT,
    METRIC,
    SHAPES,
    SILENT,
    heading,
    interval,
    layered,
    legend,
    limit,
    point_by_strategy,
    strategy,
)

CELLS_WITH_NUMBERS = 12
"""Experiences up to which the numbers in the matrix can be read on a phone."""

WHOLE = "max(1, min(ceil(width / 40), floor(span(domain('x')))))"
"""As many ticks as leave no two less than one apart. Vega's own `tickMinStep` allows one too many."""

POINTS = 25
"""Experiences up to which each has a point on a curve."""

VERDICTS = {
    # legible on white and on black
    "better": ("triangle-up", "#0f82c9"),
    "worse": ("triangle-down", "#d9622b"),
    "same": ("square", "#0b8f6e"),
    "cannot tell": ("circle", "#7f7f7f"),
    "too few seeds": ("cross", "#7f7f7f"),
}
APART = ("color", "shape")
"""Channels in which layers have scales of their own: see `point_by_strategy`."""

HEIGHT, LETTER = 340, 6.5
"""The height of the chart of costs, and the width of a letter in it, in pixels."""

ROLES = ["contestant", "control", "floor", "ceiling", "reference"]


def curves(title: str) -> alt.LayerChart:
    """Draw a metric so far over experiences, with bands for intervals."""
    highlight = alt.selection_point(name="highlight", fields=["strategy"], bind="legend")
    base = (
        alt.Chart()
        .transform_joinaggregate(experiences="max(experience)")
        .encode(
            x=alt.X(
                "experience:Q",
                title="After experience",
                scale=alt.Scale(zero=False, nice=False, padding=12),
                axis=alt.Axis(format="d", tickCount=alt.ExprRef(WHOLE), grid=False),
            ),
            color=strategy(alt.Color),
        )
    )
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    shown = alt.when(highlight)
    band = base.mark_area(invalid=BROKEN, **SILENT).encode(
        y=alt.Y("low:Q", title=title), y2="high:Q", opacity=shown.then(alt.value(0.16)).otherwise(alt.value(0.02))
    )
    line = base.mark_line(**SILENT).encode(
        y=y,
        strokeDash=strategy(alt.StrokeDash, range=DASHES),
        opacity=shown.then(alt.value(1)).otherwise(alt.value(0.15)),
    )
    points = base.mark_point(filled=True, opacity=1).encode(
        y=y,
        **point_by_strategy(),
        size=alt.when(alt.datum.experiences > POINTS).then(alt.value(0)).otherwise(alt.value(60)),
        opacity=shown.then(alt.value(1)).otherwise(alt.value(0.15)),
        tooltip=["strategy:N", alt.Tooltip("experience:Q", title="after experience"), *interval(title, ".3f")],
    )
    return layered(band, line, points.add_params(highlight), height=300, apart=APART)


def matrix() -> alt.LayerChart:
    """Draw R of one run as a heat map."""
    base = (
        alt.Chart()
        .transform_joinaggregate(experiences="max(experience)")
        .transform_calculate(
            number="!isValid(datum.accuracy) ? '-' : datum.accuracy >= 0.995 ? '1.0' "
            ": replace(format(datum.accuracy, '.2f'), '0.', '.')",
        )
        .encode(
            x=alt.X(
                "experience:O",
                title="Accuracy on experience",
                axis=alt.Axis(labelAngle=0, labelOverlap=True, labelSeparation=4),
            ),
            y=alt.Y("after:O", title="After experience (0: untrained)", axis=alt.Axis(labelOverlap=True)),
            tooltip=[
                alt.Tooltip("after:O", title="after experience"),
                alt.Tooltip("experience:O", title="on experience"),
                alt.Tooltip("accuracy:Q", format=".4f"),
            ],
        )
    )
    key = alt.Legend(title="Accuracy", orient="top", gradientLength=160, titleOrient="left", offset=8)
    cells = base.mark_rect().encode(
        color=alt.Color("accuracy:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]), legend=key)
    )
    learned = base.transform_filter("datum.after === datum.experience").mark_rect(
        filled=False, stroke="#e0301e", strokeWidth=2, **SILENT
    )
    numbers = (
        base.transform_filter(alt.datum.experiences <= CELLS_WITH_NUMBERS)
        .mark_text(fontSize=12)
        .encode(
            text="number:N",
            color=alt.when("!isValid(datum.accuracy)")
            .then(alt.value("#7f7f7f"))
            .when(alt.datum.accuracy < 0.45)
            .then(alt.value("white"))
            .otherwise(alt.value("black")),
        )
    )
    return layered(cells, learned, numbers, height=320)


def forgotten() -> alt.LayerChart:
    """Draw forgetting by experience: dots with intervals, strategies side by side."""
    base = alt.Chart().encode(
        x=alt.X(
            "experience:O",
            title="Experience",
            scale=alt.Scale(paddingInner=0.15, paddingOuter=0.05),
            axis=alt.Axis(labelAngle=0),
        ),
        xOffset=alt.XOffset("strategy:N", sort=None),
        color=strategy(alt.Color),
    )
    title = "Forgotten (best accuracy minus last)"
    bars = base.mark_rule(strokeWidth=1.5, invalid=KEPT, **SILENT).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        y=alt.Y("mean:Q", title=title),
        **point_by_strategy(),
        tooltip=["strategy:N", "experience:O", *interval("forgotten", ".3f")],
    )
    zero = alt.Chart().mark_rule(strokeDash=[4, 3], **SILENT).encode(y=alt.datum(0))
    return layered(zero, bars, dots, height=300, apart=APART)


def stream() -> alt.LayerChart:
    """Draw one run: accuracy with events above, capacity below, on one axis of training steps."""
    axis = alt.Axis(grid=False, format="~s", labelOverlap=True, labelSeparation=6)
    base = alt.Chart().encode(x=alt.X("step:Q", title="Training step", axis=axis))
    y = alt.Y(
        "accuracy:Q",
        title="Average accuracy",
        scale=alt.Scale(range=[200, 0], zero=False),
        axis=alt.Axis(tickCount=6, format="~g"),
    )
    accuracy = base.transform_filter(alt.datum.kind == "accuracy")
    ends = accuracy.mark_rule(strokeDash=[2, 3], opacity=0.4, **SILENT)
    curve = accuracy.mark_line(point=alt.OverlayMarkDef(shape="circle", size=30)).encode(
        y=y,
        tooltip=[
            alt.Tooltip("experience:Q", title="after experience"),
            alt.Tooltip("accuracy:Q", title="average accuracy", format=".3f"),
            alt.Tooltip("step:Q", format=","),
        ],
    )
    capacity = (
        base.transform_filter(alt.datum.kind == "capacity")
        .mark_line(interpolate="step-after")
        .encode(
            y=alt.Y(
                "parameters:Q",
                title="Parameters",
                scale=alt.Scale(range=[370, 240], zero=False),
                axis=alt.Axis(format="~s", tickCount=4, orient="left"),
            ),
            tooltip=[alt.Tooltip("step:Q", format=","), alt.Tooltip("parameters:Q", format=",")],
        )
    )
    above = alt.LayerChart(layer=[ends, curve, _events(base, y)])
    return layered(above, capacity, height=370, apart=["y"])


def _events(base: alt.Chart, y: alt.Y) -> alt.Chart:
    """Marks on the curve; those of one step stand above each other."""
    key = legend(title="Structural events")  # without a title, a legend without entries is infinitely large
    drawn = (
        base.transform_filter(alt.datum.kind == "event")
        .transform_window(lane="row_number()", groupby=["step"])
        .mark_point(filled=True, size=70, opacity=0.8, yOffset=alt.ExprRef("-11 * (datum.lane - 1)"))
        .encode(
            y=y,
            color=alt.Color("operator:N", legend=key),
            shape=alt.Shape("operator:N", scale=alt.Scale(range=SHAPES[1:] + SHAPES[:1]), legend=key),
            tooltip=[
                "operator:N",
                "trigger:N",
                "layer:N",
                alt.Tooltip("count:Q", format=","),
                alt.Tooltip("value:Q", title="trigger saw", format=".3~g"),
                alt.Tooltip("step:Q", format=","),
                alt.Tooltip("parameters_before:Q", title="parameters before", format=","),
                alt.Tooltip("parameters_after:Q", title="after", format=","),
                alt.Tooltip("events:Q", title="events summed"),
            ],
        )
    )
    return cast("alt.Chart", drawn)


def against(metric: RunMetric) -> alt.LayerChart:
    """Draw accuracy against a cost, with the Pareto front."""
    unit = " (s)" if metric.quantity == "seconds" else ""
    axis = alt.Axis(format="~g" if unit else "~s", labelOverlap=True, labelBound=True, grid=False)
    x = alt.X("x:Q", title=metric.title + unit, scale=alt.Scale(type="log", nice=False, padding=20), axis=axis)
    base = alt.Chart().transform_filter(alt.datum.x > 0).encode(x=x)
    y = alt.Y("accuracy:Q", title=None, scale=alt.Scale(zero=False, nice=False, padding=20))
    front = base.transform_filter("datum.front").mark_line(
        interpolate="step-after", strokeWidth=1.5, strokeDash=[5, 3], **SILENT
    )
    bars = base.mark_rule(opacity=0.35, **SILENT).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
    roles, key = alt.Scale(domain=ROLES), legend(5)
    points = base.mark_point(size=60, opacity=1, strokeWidth=1.5).encode(
        y=y,
        color=alt.Color("role:N", scale=roles, legend=key),
        shape=alt.Shape("role:N", scale=alt.Scale(domain=ROLES, range=SHAPES), legend=key),
        fill=alt.when("datum.front")
        .then(alt.Color("role:N", scale=roles, legend=key))
        .otherwise(alt.value("transparent")),
        tooltip=[
            "strategy:N",
            "role:N",
            alt.Tooltip("accuracy:Q", title="value", format=".3~r"),
            alt.Tooltip("low:Q", title="95 % from", format=".3~r"),
            alt.Tooltip("high:Q", title="to", format=".3~r"),
            alt.Tooltip("x:Q", title=metric.title.lower(), format=".3~r" if unit else ".3~s"),
            alt.Tooltip("dominated_by:N", title="dominated by"),
        ],
    )
    names = _names(base).encode(y=y, text="strategy:N")
    return layered(front.encode(y=y), bars, points, names, heading(METRIC, ["metric"]), height=HEIGHT)


def _names(points: alt.Chart) -> alt.Chart:
    """Names above and to the left of points on a front, where no rival can be; stacked where they would meet."""
    # from the right to the left: `free` is 1 where a name has room beside its right neighbour's, or is high above it;
    # names that are not free join the stack of their neighbour, from whose highest point they are lifted
    across = (
        f"(width - 40) * log(datum.next / datum.x) / log(datum.last / datum.first) - {LETTER} * length(datum.after)"
    )
    above = f"{HEIGHT} * abs(datum.above - datum.accuracy) / (datum.highest - datum.lowest)"
    from_the_right: list[alt.SortField | dict[str, str]] = [alt.SortField("x", "descending")]
    placed = (
        points.transform_joinaggregate(first="min(x)", last="max(x)", lowest="min(accuracy)", highest="max(accuracy)")
        .transform_filter("datum.front")
        .transform_calculate(left="log(datum.x / datum.first) < 0.25 * log(datum.last / datum.first)")
        .transform_window(next="lag(x)", above="lag(accuracy)", after="lag(strategy)", sort=from_the_right)
        .transform_calculate(own=f"datum.left ? {LETTER} * length(datum.strategy) : 0")
        .transform_calculate(free=f"!isValid(datum.next) || {across} > datum.own || {above} > 16 ? 1 : 0")
        .transform_window(stack="sum(free)", sort=from_the_right)
        .transform_window(place="row_number()", top="first_value(accuracy)", groupby=["stack"], sort=from_the_right)
        .transform_calculate(lift=f"{HEIGHT} * (datum.top - datum.accuracy) / max(datum.highest - datum.lowest, 1e-9)")
    )
    drawn = placed.mark_text(
        align=alt.ExprRef("datum.left ? 'left' : 'right'"),
        dx=alt.ExprRef("datum.left ? 6 : -7"),
        dy=alt.ExprRef("-7 - 13 * ((datum.place - 1) % 4) - datum.lift"),
        **SILENT,
    )
    return cast("alt.Chart", drawn)


def differences() -> alt.LayerChart:
    """Draw paired differences as a forest plot, as high as it has rows."""
    base = alt.Chart().encode(
        y=alt.Y("strategy:N", sort=None, title=None, axis=alt.Axis(grid=True, labelLimit=limit(110, 220)))
    )
    zero = alt.Chart().mark_rule(strokeDash=[4, 3], **SILENT).encode(x=alt.datum(0))
    axis = alt.Axis(tickCount=alt.ExprRef("ceil(width / 70)"), labelOverlap=True, labelSeparation=6)
    low = alt.X("low:Q", title=None, axis=axis)
    bars = base.mark_rule(strokeWidth=1.5, invalid=KEPT, **SILENT).encode(x=low, x2="high:Q")
    names, key = list(VERDICTS), legend(5, orient="top", offset=28)
    shapes, colours = ([VERDICTS[name][part] for name in names] for part in (0, 1))
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("mean:Q", title=None),
        shape=alt.Shape("verdict:N", scale=alt.Scale(domain=names, range=shapes), legend=key),
        color=alt.Color("verdict:N", scale=alt.Scale(domain=names, range=colours), legend=key),
        tooltip=[
            "strategy:N",
            "baseline:N",
            *interval("difference", "+.3~r"),
            alt.Tooltip("improvement:Q", title="probability of improvement", format=".2f"),
            alt.Tooltip("effect:Q", title="effect size", format=".2f"),
            alt.Tooltip("p:Q", format=".2~g"),
            "verdict:N",
        ],
    )
    words = heading(f"{METRIC} + ' minus that of ' + datum.baseline", ["metric", "baseline"], "right")
    return layered(zero, bars, dots, words, height=alt.Step(18))
