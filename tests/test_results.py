"""The suite from Python: runs, rankings and comparisons are those of the commands, as tables, frames and Markdown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lifelong
from lifelong.cli import main
from lifelong.errors import UsageError

pytest.importorskip("pandas")

HERE = Path(__file__).parents[1]
PUBLISHED = HERE / "leaderboards" / "results" / "digits-v1.jsonl.gz"


@pytest.fixture(scope="module")
def digits() -> lifelong.Results:
    return lifelong.board("digits-v1", published=PUBLISHED)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What a command writes as JSON."""

    def asked(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["lifelong", *arguments, "--format", "json", "--from", str(PUBLISHED)])
        with pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return asked


def test_a_ranking_is_that_of_the_command(digits: lifelong.Results, command: Callable[..., Any]) -> None:
    told = command("board", "digits-v1")
    frame = digits.ranking().frame()
    for table in told["tables"]:
        mine = frame[(frame.scenario == table["scenario"]) & frame.strategy.notna()]
        assert list(mine.strategy) == [row["strategy"] for row in table["rows"]]
        means = [row["metrics"]["average_accuracy"]["mean"] for row in table["rows"]]
        assert mine.average_accuracy_mean.fillna(-1).tolist() == [-1 if mean is None else mean for mean in means]
    assert "dropin-replay" in str(digits.ranking())
    assert "| dropin-replay |" in digits.ranking("accuracy")._repr_markdown_()


def test_a_comparison_is_that_of_the_command(digits: lifelong.Results, command: Callable[..., Any]) -> None:
    told = command("compare", "ewc", "si", "--board", "digits-v1", "--metric", "forgetting")
    frame = digits.compare("ewc", "si", metric="forgetting").frame()
    assert list(frame.verdict) == [one["verdict"] for one in told["comparisons"]]
    assert list(frame["mean"]) == [one["difference"]["mean"] for one in told["comparisons"]]
    assert len(lifelong.compare("digits-v1", "ewc", published=PUBLISHED).frame()) > len(frame)


def test_a_frame_has_a_row_for_each_run(digits: lifelong.Results) -> None:
    frame = digits.frame()
    assert len(frame) == len(digits) == len({record.key for record in digits.records})
    one = digits.records[0]
    row = frame.set_index("key").loc[one.key]
    assert one.accuracy is not None
    scored = [value for value in one.accuracy[-1] if value is not None]
    assert row.average_accuracy == pytest.approx(sum(scored) / len(scored))
    assert (row.strategy, row.seed, row.status) == (one.spec.strategy.name, one.spec.seed, "ok")


@pytest.mark.slow
def test_a_script_without_a_guard_runs_a_board(tmp_path: Path) -> None:
    """Scripts of notebooks' kind have no `if __name__ == "__main__"`, which processes of one's own often need."""
    (tmp_path / "script.py").write_text(
        "import lifelong\n"
        "settings = {'budget': {'epochs': 2}, 'toy': {'ewc': {'ewc_lambda': 0.5}}}\n"
        "results = lifelong.run('toy-v1', strategies=['ewc'], seeds=[3], settings=settings, workers=1)\n"
        "print(results.frame().seed.unique().tolist(), len(results))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = lifelong.load_results(tmp_path / "results")
    assert done.stdout == f"[3] {len(read)}\n"
    assert done.stderr.count("loading torch and Avalanche") == 1
    assert {record.spec.seed for record in read.records} == {3}
    strengths = {record.spec.strategy.parameters.get("ewc_lambda") for record in read.records}
    assert 0.5 in strengths
    assert "ewc" in str(read)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: lifelong.run("tov-v1"), "no board 'tov-v1'; did you mean 'toy-v1'"),
        (lambda: lifelong.run("toy-v1", strategies="ewc"), r"strategies = 'ewc': write a list, such as \['ewc'\]"),
        (lambda: lifelong.run("toy-v1", strategies=["evc"]), "did you mean 'ewc'"),
        (lambda: lifelong.run("toy-v1", settings={"budget": {"epoch": 2}}), "did you mean 'epochs'"),
        (lambda: lifelong.board("digits-v1", published=PUBLISHED).compare("evc"), "did you mean 'ewc'"),
        (lambda: lifelong.board("digits-v1", published=PUBLISHED).ranking("acuracy"), "did you mean 'accuracy'"),
        (lambda: lifelong.load_results("nowhere"), "no folder or file 'nowhere'"),
    ],
)
def test_a_wrong_request_is_a_usage_error(
    ask: Callable[[], Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=told):
        ask()
