"""The charts as pictures: what they are given is in them, legible for every eye, and nothing else is needed."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import vl_convert

from lifelong.reporting.charts.charts import CHARTS
from lifelong.reporting.charts.drawings import VERDICTS
from lifelong.reporting.charts.themes import BACKGROUND, CATEGORIES, INK, config

EYES = {
    # Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB
    "all cones": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]])


def interval(mean: float, more: dict[str, Any]) -> dict[str, Any]:
    return more | {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "n": 3}


def at(strategy: str, experience: int, **more: Any) -> dict[str, Any]:
    return {"scenario": "s", "strategy": strategy, "experience": experience, **more}


def cost(strategy: str, accuracy: float, x: float, front: bool) -> dict[str, Any]:
    told = {
        "scenario": "s",
        "strategy": strategy,
        "role": "contestant",
        "metric": "average_accuracy",
        "cost": "train_s",
    }
    told |= {"accuracy": accuracy, "low": accuracy, "high": accuracy, "x": x, "front": front}
    return told | {"dominated_by": "" if front else "small"}


EVENT = {
    "kind": "event",
    "step": 7,
    "accuracy": 0.85,
    "trigger": "task-arrives",
    "layer": "fc1 (3)",
    "operator": "grow",
    "count": 3,
    "value": None,
    "events": 1,
    "parameters_before": 100,
    "parameters_after": 130,
}
STREAM = [
    {"kind": "accuracy", "step": 5, "experience": 1, "accuracy": 0.9},
    {"kind": "accuracy", "step": 10, "experience": 2, "accuracy": 0.8},
    {"kind": "capacity", "step": 0, "parameters": 100},
    {"kind": "capacity", "step": 10, "parameters": 130},
]
DIFFERENCE = {
    "scenario": "s",
    "metric": "forgetting",
    "baseline": "naive",
    "p": 0.01,
    "improvement": 1.0,
    "effect": 2.0,
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "curves": [
        interval(mean, at(strategy, i, metric=metric))
        for metric in ("average_accuracy", "forgetting")
        for strategy, mean in (("ewc", 0.5), ("replay", 0.75))
        for i in (1, 2, 3)
    ],
    "matrix": [
        {"after": i, "experience": j, "accuracy": None if i < j else 0.875} for i in range(3) for j in range(1, 3)
    ],
    "forgotten": [interval(mean, at(name, i)) for name, mean in (("ewc", 0.5), ("replay", 0.1)) for i in (1, 2)],
    "stream": [*STREAM, EVENT],
    "costs": [cost("small", 0.5, 10.0, True), cost("large", 0.9, 100.0, True), cost("worse", 0.4, 50.0, False)],
    "differences": [
        interval(0.1 * k, DIFFERENCE | {"strategy": f"like-{name}", "verdict": name}) for k, name in enumerate(VERDICTS)
    ],
}


def drawn(name: str, rows: list[dict[str, Any]] | None = None, width: int = 320) -> ElementTree.Element:
    """The chart as SVG, at the width of a phone."""
    chart = CHARTS[name]
    own = chart.own([row | {"cost": name.removeprefix("costs-")} for row in rows or ROWS[chart.dataset]])
    spec = chart.spec() | {"datasets": {chart.dataset: own}, "config": config("light")}
    spec |= {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))


def texts(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter() if element.tag.endswith("text")]


def marks(picture: ElementTree.Element, said: str) -> list[ElementTree.Element]:
    """What has a description for a screen reader that holds these words."""
    return [element for element in picture.iter() if said in element.get("aria-label", "")]


def parts(spec: Any) -> list[dict[str, Any]]:
    """Every mapping inside."""
    inner = list(spec.values()) if isinstance(spec, dict) else spec if isinstance(spec, list) else []
    return ([spec] if isinstance(spec, dict) else []) + [part for one in inner for part in parts(one)]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_fits_a_phone_and_can_be_read_aloud(name):
    picture = drawn(name)
    assert float(picture.get("width", "0")) == 320
    assert 150 < float(picture.get("height", "0")) < 700
    assert marks(picture, "role") or len(marks(picture, ": ")) > 2
    sizes = [
        float(size) for element in picture.iter() for size in re.findall(r"^([\d.]+)px", element.get("font-size", ""))
    ]
    assert sizes
    assert min(sizes) >= 11


@pytest.mark.parametrize("name", CHARTS)
def test_a_specification_names_its_data_and_needs_nothing_else(name):
    spec = CHARTS[name].spec()
    text = json.dumps(spec, allow_nan=False)
    assert spec == CHARTS[name].spec()
    assert spec["data"] == {"name": CHARTS[name].dataset}
    assert sum("data" in part for part in parts(spec)) == 1
    assert '"url"' not in text
    assert '"values"' not in text
    assert spec["width"] == "container"
    assert "config" not in spec
    assert CHARTS[name].reading in spec["description"]


@pytest.mark.parametrize("name", CHARTS)
def test_what_colour_tells_a_shape_or_a_text_tells_too(name):
    encodings = [part["encoding"] for part in parts(CHARTS[name].spec()) if "encoding" in part]
    by_colour = {e["color"]["field"] for e in encodings if e.get("color", {}).get("field")}
    otherwise = {e[c]["field"] for e in encodings for c in ("shape", "strokeDash") if e.get(c, {}).get("field")}
    otherwise |= {"accuracy"} if name == "matrix" else set()  # by the cell's number
    assert by_colour <= otherwise


def test_the_matrix_shows_its_numbers_and_what_was_not_evaluated():
    assert texts(drawn("matrix")).count(".88") == 3
    assert texts(drawn("matrix")).count("-") == 3
    assert ".99" in texts(drawn("matrix", [{"after": 1, "experience": 1, "accuracy": 0.994}]))
    assert "1.0" in texts(drawn("matrix", [{"after": 1, "experience": 1, "accuracy": 0.996}]))
    many = [{"after": i, "experience": j, "accuracy": 0.875} for i in range(14) for j in range(1, 14)]
    assert ".88" not in texts(drawn("matrix", many))


def test_whoever_has_no_interval_keeps_a_colour_and_leaves_those_of_others():
    alone = [row | {"low": None, "high": None} if row["strategy"] == "ewc" else row for row in ROWS["forgotten"]]
    first, second = CATEGORIES["light"][:2]
    for rows in (ROWS["forgotten"], alone):
        picture = drawn("forgotten", rows)
        assert {mark.get("fill") for mark in marks(picture, "strategy: ewc")} == {first}
        assert {mark.get("fill") for mark in marks(picture, "strategy: replay")} == {second}
        bars = [element.get("stroke") for element in picture.iter() if element.tag.endswith("}line")]
        assert bars.count(second) == 2


def test_the_order_of_rows_is_that_of_colours_and_of_the_forest():
    backwards = ROWS["differences"][::-1]
    names = [f"like-{name}" for name in VERDICTS]
    assert [text for text in texts(drawn("differences")) if text in names] == names
    assert [text for text in texts(drawn("differences", backwards)) if text in names] == names[::-1]


def test_what_the_values_are_stands_above_them():
    assert "Forgetting minus that of naive" in texts(drawn("differences"))
    assert "Average accuracy" in texts(drawn("costs-train_s"))


def test_only_the_front_is_named():
    assert {"small", "large"} <= set(texts(drawn("costs-train_s")))
    assert "worse" not in texts(drawn("costs-train_s"))
    (hollow,) = marks(drawn("costs-train_s"), "strategy: worse")
    assert hollow.get("fill") is None
    assert "dominated by: small" in hollow.get("aria-label", "")
    (filled,) = marks(drawn("costs-train_s"), "strategy: large")
    assert filled.get("fill") == filled.get("stroke")


def test_a_stream_without_events_is_drawn_all_the_same():
    assert float(drawn("stream", STREAM).get("height", "0")) < 700
    assert not marks(drawn("stream", STREAM), "operator: ")
    (event,) = marks(drawn("stream"), "operator: grow")
    assert "trigger: task-arrives; layer: fc1 (3); count: 3" in event.get("aria-label", "")


def test_events_of_one_step_stand_above_each_other():
    both = [*STREAM, EVENT, EVENT | {"operator": "remove"}]
    places = [mark.get("transform") for mark in marks(drawn("stream", both), "operator: ")]
    assert len(set(places)) == 2


def linear(colour: str) -> Any:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Of WCAG 2.2."""
    low, high = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Any) -> Any:
    x, y, z = np.cbrt(np.clip(XYZ @ rgb / [0.95047, 1, 1.08883], 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_from_the_background_and_from_each_other(theme):
    colours = [*CATEGORIES[theme], *(colour for _, colour in VERDICTS.values())]
    assert min(contrast(colour, BACKGROUND[theme]) for colour in colours) >= 3
    assert contrast(INK[theme], BACKGROUND[theme]) >= 7
    for eye in EYES.values():
        seen = [lab(np.clip(np.array(eye) @ linear(colour), 0, 1)) for colour in CATEGORIES[theme]]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 20
