"""What charts look like, in light and in dark, for eyes that tell colours apart and for eyes that do not."""

from __future__ import annotations

from typing import Any, Literal

Theme = Literal["light", "dark"]

BACKGROUND = {"light": "#ffffff", "dark": "#14171c"}
"""The background that each theme is made for; charts themselves are transparent."""

INK = {"light": "#1f2328", "dark": "#e8eaed"}
FAINT = {"light": "#d8dce1", "dark": "#3a4049"}
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"

CATEGORIES = {
    "light": ("#004b8b", "#d56603", "#1c8447", "#953264", "#654400", "#1499f3", "#170019", "#928faa"),
    "dark": ("#3a85dd", "#e36833", "#4bd88f", "#bf72a9", "#facb1b", "#b1d2ff", "#ffffed", "#837867"),
}
"""Near the hues of Okabe & Ito 2008 (Color Universal Design), moved until each has a contrast of 3:1 to its background,
and any two are 20 apart in CIELAB, also for eyes that lack one kind of cone (Machado et al. 2009)."""


def config(theme: Theme) -> dict[str, Any]:
    """Return the `config` of a Vega-Lite specification that gives it this theme."""
    ink, faint = INK[theme], FAINT[theme]
    words = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": 600}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": words
        | {"domainColor": ink, "tickColor": ink, "gridColor": faint, "gridOpacity": 0.7, "labelLimit": 160},
        "legend": words | {"symbolSize": 90, "symbolStrokeWidth": 2},
        "text": {"color": ink, "fontSize": 11},
        "rule": {"color": ink},
        "line": {"color": ink, "strokeWidth": 2},
        "area": {"color": ink},
        "point": {"color": ink},
        "range": {"category": list(CATEGORIES[theme])},
    }
