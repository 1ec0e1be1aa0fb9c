"""Saved views of a project, as the library itself writes them."""

import json
import sys

import pytest

from lifelong.errors import UsageError
from lifelong.records.metrics import RUN_METRICS
from lifelong.reporting.wandb import view
from lifelong.reporting.wandb.workspace import save, workspace

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # by the library


def spec(view):
    """What would be sent."""
    return view._to_model().spec.model_dump(by_alias=True, exclude_none=True)["section"]


def panels(section):
    return [panel for part in section["panelBankConfig"]["sections"] for panel in part["panels"]]


def test_forgetting_is_compared_first():
    section = spec(workspace("entity", "project", board="classic", scenario="digits-class"))
    first = section["panelBankConfig"]["sections"][0]
    assert (first["name"], first["isOpen"]) == ("Forgetting", True)
    shown = [(panel["viewType"], *panel["config"]["metrics"]) for panel in first["panels"]]
    assert ("Run History Line Plot", "stream/average_accuracy") in shown
    assert ("Run History Line Plot", "stream/forgetting") in shown
    assert ("Bar Chart", "stream/forgetting") in shown
    for panel in first["panels"]:
        config = panel["config"]
        assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("strategy.value", "mean", "minmax")
        assert config["limit"] >= 500
    assert section["settings"]["xAxis"] == "experience"


def test_a_view_shows_only_what_runs_have(make_record):
    record = make_record()
    keys = {name for row in view.history(record) for name in row} | {"learning/dormant_units"}
    found = panels(spec(workspace("entity", "project")))
    metrics = {name for panel in found for name in panel["config"].get("metrics", [])}
    assert len(metrics) > 10
    assert metrics <= keys
    assert {panel["config"]["xAxis"] for panel in found if "xAxis" in panel["config"]} == {"experience"}
    tables = {name for name in view.tables(record) if f'"{name}"' in json.dumps(found)}
    assert tables == {"accuracy", "events"}
    pinned = spec(workspace("entity", "project"))["runSets"][0]["runFeed"]["columnOrder"]
    known = {f"summary:{name}" for name in RUN_METRICS} | {f"config:{name}" for name in view.config(record, None)}
    assert set(pinned) - {"run:displayName"} <= known


def test_runs_are_filtered_or_grouped_by_board_and_scenario():
    (chosen,) = spec(workspace("entity", "project", board="classic", scenario="digits-class"))["runSets"]
    assert [(one["key"]["name"], one["op"], one["value"]) for one in chosen["filters"]["filters"]] == [
        ("board", "=", "classic"),
        ("scenario", "=", "digits-class"),
    ]
    assert [one["name"] for one in chosen["grouping"]] == ["strategy.value"]
    general = spec(workspace("entity", "project"))
    assert [one["name"] for one in general["runSets"][0]["grouping"]] == [
        "board.value",
        "scenario.value",
        "strategy.value",
    ]
    assert not any("groupBy" in panel["config"] for panel in panels(general))  # a mean over scenarios says nothing


def test_a_view_is_saved(online):
    address = save(workspace("entity", "project", board="classic", scenario="digits-class"))
    assert address.startswith(f"{online.url}/entity/project?nw=")
    (sent,) = (variables for name, variables in online.asked if name == "UpsertView2")
    assert (sent["entityName"], sent["projectName"], sent["type"]) == ("entity", "project", "project-view")
    assert sent["displayName"] == "lifelong · classic · digits-class"
    assert json.loads(sent["spec"])["section"]["panelBankConfig"]["sections"][0]["name"] == "Forgetting"


def test_what_stands_in_the_way_is_said(online, monkeypatch):
    online.refuses = lambda operation: operation == "UpsertView2"
    with pytest.raises(UsageError, match="the view was not saved"):
        save(workspace("entity", "project"))
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UsageError, match="no API key"):
        save(workspace("entity", "project"))
    for name in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UsageError, match=r"lifelong\[workspaces\]"):
        workspace("entity", "project")
