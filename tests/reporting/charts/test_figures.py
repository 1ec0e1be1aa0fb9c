"""Charts as files: pictures that open, beside the numbers that they show."""

from __future__ import annotations

import csv
from xml.etree import ElementTree

import pytest

from lifelong.errors import UsageError
from lifelong.records.entries import Event
from lifelong.reporting.charts.figures import PIXELS, WIDTH, figures, write_figures
from lifelong.reporting.statistics.scores import contests

METRICS = ["average_accuracy", "forgetting"]
ROLES = {"naive": "floor", "joint": "ceiling"}
FORGETS = [[0.0, 0.0], [1.0, 0.0], [0.25, 0.75]]
KEEPS = [[0.0, 0.0], [1.0, 0.0], [0.75, 1.0]]
JOINT = [[0.0, 0.0], [None, None], [1.0, 1.0]]
GREW = Event(
    step=10,
    experience=1,
    trigger="task-arrives",
    layer="fc1",
    operator="grow",
    count=3,
    parameters_before=100,
    parameters_after=130,
)


@pytest.fixture
def field(make_record):
    """A floor, a ceiling, and two contestants of whom the second forgets less."""
    runs = [(name, R) for name, R in (("naive", FORGETS), ("joint", JOINT), ("dropin", FORGETS), ("replay", KEEPS))]
    records = [
        make_record(name, seed, R, scenario=scenario, events=[GREW] if name == "dropin" else [])
        for scenario in ("one", "two")
        for name, R in runs
        for seed in (1, 2)
    ]
    return contests(records, ROLES)


def test_each_chart_of_each_scenario_is_a_figure(field):
    costs = [f"costs-{cost}" for cost in ("final_parameters", "average_parameters", "training_macs", "train_s")]
    charts = ["curves", "forgetting", "forgotten", *costs, "matrix-replay-seed-1", "stream-dropin-seed-1"]
    charts += [f"differences-{metric}" for metric in METRICS]
    expected = {f"mine-{scenario}-{chart}" for scenario in ("one", "two") for chart in charts}
    expected |= {f"mine-all-scenarios-differences-{metric}" for metric in METRICS}
    found = [figure.name for figure in figures("mine", field, METRICS)]
    assert sorted(found) == sorted(expected)


def test_a_ceiling_takes_nobodys_colour(field):
    orders = {
        figure.chart.name: list(dict.fromkeys(row["strategy"] for row in figure.rows))
        for figure in figures("mine", field[:1], METRICS)
        if figure.chart.name in ("curves", "forgetting", "forgotten")
    }
    assert orders["curves"][-1] == "joint"
    assert orders["forgetting"] == orders["forgotten"] == orders["curves"][:-1]


def test_the_files_of_a_figure_carry_its_numbers(field):
    (figure,) = (figure for figure in figures("mine", field[:1], METRICS) if figure.name == "mine-one-forgotten")
    files = figure.files()
    assert list(files) == ["mine-one-forgotten.svg", "mine-one-forgotten.png", "mine-one-forgotten.csv"]
    svg, png, numbers = files.values()
    picture = ElementTree.fromstring(svg)
    assert {"naive", "dropin", "replay"} <= {element.text for element in picture.iter() if element.tag.endswith("text")}
    width = float(picture.get("width", "0"))
    assert width == pytest.approx(WIDTH, abs=25)
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == pytest.approx(PIXELS * width, abs=2)
    rows = list(csv.DictReader(numbers.decode().splitlines()))
    assert {row["strategy"]: (float(row["mean"]), int(row["n"])) for row in rows} == {
        "naive": (0.75, 2),
        "dropin": (0.75, 2),
        "replay": (0.25, 2),
    }


def test_names_of_strangers_stay_in_the_folder_and_are_text(make_record, tmp_path):
    evil = "../../<script>alert(1)</script>"
    field = contests([make_record(evil, 0, KEEPS, scenario="/etc/passwd"), make_record("naive", 0, FORGETS)], ROLES)
    paths = list(write_figures("mine", field, METRICS, tmp_path / "new" / "folder"))
    assert paths
    assert {path.parent for path in paths} == {tmp_path / "new" / "folder"}
    assert all(path.is_file() for path in paths)
    pictures = [ElementTree.fromstring(path.read_bytes()) for path in paths if path.suffix == ".svg"]
    assert not any(element.tag.endswith("script") for picture in pictures for element in picture.iter())
    assert any(element.text == evil for picture in pictures for element in picture.iter())


def test_of_failures_alone_there_is_nothing_to_draw(make_record):
    failed = contests([make_record("ewc", 0, None, status="failed")], ROLES)
    assert list(figures("mine", failed, METRICS)) == []


def test_what_cannot_be_written_is_told(field, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*curves.svg.*choose another with -o"):
        list(write_figures("mine", field, METRICS, tmp_path / "file"))
