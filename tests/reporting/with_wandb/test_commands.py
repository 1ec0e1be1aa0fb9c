"""`lifelong wandb`, as a person types it."""

import json

import pytest

from lifelong.cli import main
from lifelong.records.published import as_lines, compressed
from lifelong.records.store import Store
from lifelong.reporting.wandb.record import run_id

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # by wandb_workspaces

OUT = ("--out", "pulled")


@pytest.fixture
def lifelong(monkeypatch, tmp_path, capsys):
    """Run a command in an empty folder: its exit code, what it printed to stdout, and to stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["lifelong", "wandb", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def board(make_record, tmp_path):
    store = Store(tmp_path / "results", "classic")
    for seed in range(2):
        store.write(make_record(seed=seed))
    return store


def test_push_sends_a_folder_once(lifelong, board):
    (board.root / "digits-class" / "ewc" / "broken.json").write_text("{}")
    code, out, err = lifelong("push", "results/classic", "--offline")
    assert (code, out) == (0, "")
    assert "broken.json is no record" in err
    assert err.endswith("2 of 2 records sent, 0 were there already\n")
    assert lifelong("push", "results/classic", "--offline")[2].endswith("0 of 2 records sent, 2 were there already\n")
    assert lifelong("push", "results/classic", "--offline", "--project", "mine")[2].endswith(
        "2 of 2 records sent, 0 were there already\n"
    )
    assert len(list(board.root.glob("wandb/offline-run-*"))) == 4


def test_push_sends_a_published_file(lifelong, board, tmp_path):
    records = list(board.load()[0].values())
    (tmp_path / "published.jsonl.gz").write_bytes(compressed(as_lines(records)))
    assert lifelong("push", "published.jsonl.gz", "--offline")[2].endswith(
        "2 of 2 records sent, 0 were there already\n"
    )
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 2


@pytest.mark.usefixtures("board")
def test_push_says_what_was_not_sent(lifelong, online):
    online.refuses = lambda operation: operation == "UpsertBucket"
    code, _, err = lifelong("push", "results/classic", "--entity", "team")
    assert code == 1
    assert "W&B: 2 of 2 runs were not sent (" in err
    assert "0 of 2 records sent" in err


def test_pull_reads_runs_into_a_folder(lifelong, make_record, online, tmp_path):
    record = make_record()
    online.carry(run_id(record), record.to_json().encode())
    online.carry("theirs", b"{}", kind="model", shown="their [bold]run")
    code, out, err = lifelong("pull", "entity/project", "--out", "pulled")
    assert (code, out) == (0, "")
    assert "their [bold]run (theirs): carries no record\n" in err
    assert err.endswith("2 runs read: 1 new, 1 without a record\n")
    assert list(Store(tmp_path / "pulled", "classic").load()[0].values()) == [record]
    online.carry("hostile", b"[")
    code, _, err = lifelong("pull", "entity/project", "--out", "pulled")
    assert code == 1
    assert "a run (hostile): carries no record that can be read: " in err


def test_pull_reads_the_files_of_offline_runs(lifelong, board):
    lifelong("push", "results/classic", "--offline")
    code, _, err = lifelong("pull", "--folder", "results/classic", "--out", "pulled")
    assert code == 0
    assert err.endswith("2 runs read: 2 new\n")
    assert Store(board.out.parent / "pulled", "classic").load()[0] == board.load()[0]


def test_workspace_prints_an_address_for_each_scenario(lifelong, online):
    code, out, _ = lifelong("workspace", "entity/project", "--board", "digits-v1")
    assert code == 0
    assert [line.split("?")[0] for line in out.splitlines()] == [f"{online.url}/entity/project"] * 3
    sent = [json.loads(variables["spec"]) for name, variables in online.asked if name == "UpsertView2"]
    filters = [spec["section"]["runSets"][0]["filters"]["filters"] for spec in sent]
    assert [tuple(one["value"] for one in each) for each in filters] == [
        ("digits-v1", "digits-class"),
        ("digits-v1", "digits-domain"),
        ("digits-v1", "digits-task"),
    ]
    assert lifelong("workspace", "entity/project")[1].count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push", "absent"], "no folder or file 'absent'"),
        (["push", "."], "no records in ."),
        (["push", "results"], "no API key"),
        (["pull", *OUT], "name a W&B project as ENTITY/PROJECT"),
        (["pull", "project", *OUT], "'project': write a W&B project as ENTITY/PROJECT"),
        (["pull", "entity/project", "--folder", ".", *OUT], "name a W&B project as ENTITY/PROJECT"),
        (["pull", "entity/project", *OUT], "no API key"),
        (["pull", "--folder", "absent", *OUT], "no folder 'absent'"),
        (["workspace", "a/b/c"], "'a/b/c': write a W&B project as ENTITY/PROJECT"),
        (["workspace", "entity/project", "--board", "digit-v1"], "did you mean 'digits-v1'"),
        (["workspace", "entity/project"], "no API key"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(lifelong, make_record, tmp_path, arguments, message):
    if arguments[-1] == "results":
        Store(tmp_path / "results", "classic").write(make_record())
    code, out, err = lifelong(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
