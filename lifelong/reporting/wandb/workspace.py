"""Makes views of a W&B project that compare strategies, so that nobody has to build a panel.

`wandb_workspaces` is an optional extra: it is imported inside the functions.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from lifelong.errors import UsageError
from lifelong.reporting.wandb.access import NO_KEY, has_credentials, reason

MAX_RUNS = 1000
"""The most runs that W&B draws in a panel: every seed of every strategy. Unless it is told, it draws ten."""

FORGETTING = {
    "stream/average_accuracy": "Average accuracy: mean over the experiences seen so far",
    "stream/forgetting": "Forgetting: mean drop from an experience's best accuracy",
    "stream/first_accuracy": "Accuracy on the first experience",
    "stream/current_accuracy": "Accuracy on the current experience",
}
STRUCTURE = {
    "capacity/parameters": "Parameters",
    "capacity/units": "Units",
    "structure/events": "Structural events",
    "structure/grow": "Units grown",
    "structure/remove": "Units removed",
    "structure/reset": "Units reset",
}
LEARNING = {
    "learning/online_accuracy": "Online accuracy",
    "learning/dormant_units": "Dormant units",
    "capacity/training_macs": "Multiply-accumulates of training so far",
    "time/train_s": "Training time in seconds",
}
FINAL = {
    "stream/average_accuracy": "Average accuracy in the end",
    "stream/forgetting": "Forgetting in the end",
}
COLUMNS = ("config:strategy", "config:seed", "summary:average_accuracy", "summary:forgetting")


def workspace(entity: str, project: str, *, board: str | None = None, scenario: str | None = None) -> Any:
    """Make a view of means and ranges over runs; it is not saved yet.

    Args:
        entity, project: whose runs they are.
        board: shows only the runs of this board.
        scenario: shows only the runs of this scenario. Means over several say nothing: without it, runs are grouped by
            scenario first.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`.

    Raises:
        UsageError: if the extra `workspaces` is not installed.
    """
    ws, wr, expr = _library("workspaces", "reports.v2", "expr")
    wanted = {name: value for name, value in (("board", board), ("scenario", scenario)) if value is not None}
    levels = [name for name in ("board", "scenario", "strategy") if name not in wanted]
    group = (
        {"groupby": wr.Config("strategy")} if levels == ["strategy"] else {}
    )  # else they are grouped as the table of runs is
    panels = _Panels(wr, group | {"groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"})
    sections = {
        "Forgetting": [*panels.lines(FORGETTING), *panels.bars(FINAL)],
        "Structure": panels.lines(STRUCTURE),
        "Learning and cost": panels.lines(LEARNING),
        "Matrices and events": panels.tables(),
    }
    axis = ws.SectionPanelSettings(x_axis="experience")
    return ws.Workspace(
        entity=entity,
        project=project,
        name=" · ".join(["lifelong", *wanted.values()]),
        sections=[
            ws.Section(name=name, panels=own, is_open=True, panel_settings=axis) for name, own in sections.items()
        ],
        settings=ws.WorkspaceSettings(x_axis="experience", max_runs=MAX_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(*(expr.Config(name) == value for name, value in wanted.items())) if wanted else "",
            groupby=[expr.Config(name) for name in levels],
            pinned_columns=[*COLUMNS],
        ),
    )


def save(view: Any) -> str:
    """Save a view as a new one, and return its address.

    Raises:
        UsageError: if there is no API key, or if the server cannot be reached or does not accept the view.
    """
    if not has_credentials():
        raise UsageError(f"W&B: {NO_KEY}")
    try:
        return str(view.save().url)
    except Exception as error:  # the library passes on errors of wandb and of its own transport
        raise UsageError(f"W&B: the view was not saved ({reason(error)})") from None


def _library(*modules: str) -> list[ModuleType]:
    try:
        return [import_module(f"wandb_workspaces.{name}") for name in modules]
    except ModuleNotFoundError:
        raise UsageError("saved views need the extra 'workspaces': pip install 'lifelong[workspaces]'") from None


class _Panels(NamedTuple):
    """Makes panels that treat several runs alike."""

    wr: ModuleType
    """wandb_workspaces.reports.v2"""
    grouping: dict[str, Any]

    def lines(self, curves: dict[str, str]) -> list[Any]:
        """Return a curve over experiences for each key."""
        return [
            self.wr.LinePlot(
                title=title,
                x="experience",
                y=[key],
                title_x="experience",
                max_runs_to_show=MAX_RUNS,
                smoothing_type="none",
                **self.grouping,
            )
            for key, title in curves.items()
        ]

    def bars(self, finals: dict[str, str]) -> list[Any]:
        """Return a bar chart of the last value of each key, with a bar for each group."""
        limits = {"max_runs_to_show": MAX_RUNS, "max_bars_to_show": MAX_RUNS}
        return [self.wr.BarPlot(title=title, metrics=[key], **limits, **self.grouping) for key, title in finals.items()]

    def tables(self) -> list[Any]:
        return [self.wr.WeavePanelSummaryTable(table_name=name) for name in ("accuracy", "events")]
