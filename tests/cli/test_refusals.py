"""What cannot be is told in a line that says what and where, with exit code 2, before anything is written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]

REQUESTS = {
    "no strategy 'ewcc'; did you mean 'ewc'?": "run toy-v1 --strategy ewcc",
    "no scenario 'toi'; did you mean 'toy'": "run toy-v1 --scenario toi",
    "no board 'toyv1'; did you mean 'toy-v1'": "run toyv1",
    "no board file 'nope.toml'": "run nope.toml",
    "no metric 'average'; did you mean 'anytime_average' or 'average_accuracy' or 'average_parameters'?": (
        "board toy-v1 --metric average"
    ),
    "--output: a table is for the terminal; choose --format md": "board toy-v1 --output page.md",
    "say which strategy of the file, as mine.py:my_strategy": "run toy-v1 --strategy mine.py",
    "gone.py'": "run toy-v1 --strategy gone.py:method",
    "no parameter of replay 'mem'; did you mean 'mem_size'?": "run toy-v1 --set replay.mem=3",
    "replay.mem_size = 'abc': Input should be a valid integer": "run toy-v1 --set replay.mem_size=abc",
    "replay.mem_size = inf: ": "run toy-v1 --set replay.mem_size=inf",
    "si.si_lambda = inf: write a finite number": "run toy-v1 --strategy si --set si.si_lambda=inf",
    "no budget setting 'epoch'; did you mean 'epochs'?": "run toy-v1 --set budget.epoch=2",
    "budget.epochs = 0: ": "run toy-v1 --set budget.epochs=0",
    "budget.lr = inf: ": "run toy-v1 --set budget.lr=inf",
    "no model 'foo'; there are cnn, cnn1d, gru": "run toy-v1 --set model.name=foo",
    "model.name = 3: write a model's name": "run toy-v1 --set model.name=3",
    "mlp.widths = 3: ": "run toy-v1 --set model.widths=3",
    "no parameter of mlp 'foo'": "run toy-v1 --set model.foo=3",
    "no parameter of toy 'classes'": "run toy-v1 --set toy.classes=3",
    "--set 'foo': write it as": "run toy-v1 --set foo",
    "--set ewc: ewc is not among what is to run": "run toy-v1 --set ewc.ewc_lambda=3",
    "--set repaly: no strategy or scenario 'repaly'; did you mean 'replay'?": ("run toy-v1 --set repaly.mem_size=3"),
    "--seeds '4-0': 4-0 is empty; did you mean 0-4?": "run toy-v1 --seeds 4-0",
    "--seeds '-1': write a range as 0-4": "run toy-v1 --seeds -1",
    "--seeds '1-': write a range as 0-4": "run toy-v1 --seeds 1-",
    "seeds go from 0 to 4294967295": "run toy-v1 --seeds 4294967296",
    "at most 100000 at once": "run toy-v1 --seeds 0-100000",
    "--timeout '5x': write it as 90s, 5m or 2h": "run toy-v1 --timeout 5x",
    "--timeout '0s': ": "run toy-v1 --timeout 0s",
    "--checkpoint-every 'often': ": "run toy-v1 --checkpoint-every often",
    "no device 'gpu' here; there is auto, cpu": "run toy-v1 --device gpu",
    "no device 'cuda:99' here; there is auto, cpu": "run toy-v1 --device cuda:99",
    "der needs single head, which toy-task (task) does not give": "run toy-v1 --strategy der --scenario toy-task",
    "--workers": "run toy-v1 --workers 0",
    "--limit": "run toy-v1 --limit 0",
    "--wandb": "run toy-v1 --wandb maybe",
    "no folder or file 'nowhere'": "wandb push nowhere",
}


@pytest.mark.parametrize(("told", "request_"), REQUESTS.items(), ids=REQUESTS.values())
def test_a_request_that_cannot_be(ask: Ask, tmp_path: Path, told: str, request_: str) -> None:
    answer = ask(*request_.split())
    assert answer.code == 2
    assert told in answer.err
    assert answer.out == ""
    assert list(tmp_path.iterdir()) == []


HEAD = 'scenarios = ["toy"]\nstrategies = ["naive"]\n'
BOARDS = {
    "b.toml is not TOML: ": 'scenarios = ["toy"',
    "b.toml is nested too deeply": "a = " + "[" * 100_000,
    "b.toml: the key 'scenarios' is missing": 'strategies = ["naive"]',
    "b.toml:4: no key 'sedes' on a board; there are budget, ": HEAD + "\nsedes = 3\n",
    "b.toml:2: strategies: Input should be a valid list": 'scenarios = ["toy"]\nstrategies = "naive"\n',
    "b.toml:2: strategies.1: Input should be a valid string": 'scenarios = ["toy"]\nstrategies = ["naive", 3]\n',
    "b.toml:1: scenarios: there must be at least one": 'scenarios = []\nstrategies = ["naive"]\n',
    "b.toml:1: scenarios: 'toy' stands twice": 'scenarios = ["toy", "toy"]\nstrategies = ["naive"]\n',
    "b.toml:3: seeds: 0 seeds: write how many": HEAD + "seeds = 0\n",
    "b.toml:3: seeds: 1000000000000 seeds: write how many": HEAD + "seeds = 1_000_000_000_000\n",
    "b.toml:3: seeds: -3 is not a seed": HEAD + "seeds = [1, -3]\n",
    "b.toml:3: seeds: a seed stands twice": HEAD + "seeds = [1, 1]\n",
    "b.toml:3: seeds: there must be at least one": HEAD + "seeds = []\n",
    "b.toml:3: seeds: Input should be a valid list": HEAD + 'seeds = "0-4"\n',
    "b.toml:3: set: Input should be a valid dictionary": HEAD + "set = 3\n",
    "board b: no strategy 'nave'; did you mean 'naive'": 'scenarios = ["toy"]\nstrategies = ["nave"]\n',
    "board b: no scenario 'toi'; did you mean 'toy'": 'scenarios = ["toi"]\nstrategies = ["naive"]\n',
    "gone.py'": 'scenarios = ["toy"]\nstrategies = ["gone.py:method"]\n',
    "board b: no budget setting 'epoch'; did you mean 'epochs'?": HEAD + "[budget]\nepoch = 3\n",
    "board b: budget.epochs = 'a': ": HEAD + '[budget]\nepochs = "a"\n',
    "board b: model.name = 3: ": HEAD + "[model]\nname = 3\n",
    "board b: no strategy or scenario 'ewcc'; did you mean 'ewc'?": HEAD + "[set.ewcc]\newc_lambda = 3\n",
    "board b: no parameter of naive 'a'": HEAD + "[set.naive]\na = 3\n",
    "board b: toy.experiences = 'x': ": HEAD + '[set.toy]\nexperiences = "x"\n',
}


@pytest.mark.parametrize(("told", "text"), BOARDS.items(), ids=range(len(BOARDS)))
def test_a_board_that_cannot_be(ask: Ask, tmp_path: Path, told: str, text: str) -> None:
    (tmp_path / "b.toml").write_text(text)
    answer = ask("run", "b.toml")
    assert answer.code == 2
    assert told in answer.err
    assert len(answer.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b.toml"]


def test_a_board_of_other_bytes_or_a_folder(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.toml").mkdir()
    assert "bytes.toml is not a text file" in ask("plan", "bytes.toml").err
    assert "no board file 'folder.toml'" in ask("plan", "folder.toml").err


FILES = {
    "mine.py:2 does not import: ZeroDivisionError: division by zero": "\nx = 1 / 0\n",
    "mine.py:1 does not import: SyntaxError": "def method(:\n",
    "mine.py:1 does not import: ModuleNotFoundError: No module named 'not_there'": "import not_there\n",
    "mine.py does not import: SystemExit: 3": "raise SystemExit(3)\n",
    "the parameter 'share' needs a type and a default": "def method(setup, share=0.1): ...\n",
    "no strategy in mine.py 'method'; did you mean 'methods'?": (
        "from lifelong import strategy\n@strategy()\ndef methods(setup): ...\n"
    ),
    "no strategy in mine.py 'method'": "method = 3\n",
    "method.share = 'much': Input should be a valid number": "def method(setup, share: float = 'much'): ...\n",
    "method.share = inf: write a finite number": "def method(setup, share: float = float('inf')): ...\n",
    "'[budget]' and 'mine.py:method' are both called 'budget'; rename one": (
        "from lifelong import strategy\n@strategy(name='budget')\ndef method(setup): ...\n"
    ),
    "'toy' and 'mine.py:method' are both called 'toy'; rename one": (
        "from lifelong import strategy\n@strategy(name='toy')\ndef method(setup): ...\n"
    ),
}


@pytest.mark.parametrize(("told", "text"), FILES.items(), ids=range(len(FILES)))
def test_a_strategy_file_that_cannot_be(ask: Ask, tmp_path: Path, told: str, text: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    answer = ask("run", "toy-v1", "--strategy", "mine.py:method")
    if "SystemExit" in told:
        told = told.replace("mine.py does", "mine.py:1 does")
    assert answer.code == 2
    assert told in answer.err
    assert not (tmp_path / "results").exists()


def test_two_strategies_of_one_name(ask: Ask, tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("def method(setup): ...\n")
    answer = ask("run", "toy-v1", "--strategy", "a.py:method", "--strategy", "b.py:method")
    assert answer.code == 2
    assert "'a.py:method' and 'b.py:method' are both called 'method'; rename one" in answer.err


def test_a_scenario_of_ones_own_that_says_no_protocol(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def stream(context): ...\n")
    answer = ask("plan", "toy-v1", "--scenario", "mine.py:stream")
    assert answer.code == 2
    assert 'must say its protocol: @lifelong.scenario(protocol="class")' in answer.err


@pytest.mark.parametrize("verb", ["plan", "run", "status", "board"])
def test_records_cannot_be_below_a_file(ask: Ask, tmp_path: Path, verb: str) -> None:
    (tmp_path / "taken").write_text("mine")
    answer = ask(verb, "toy-v1", "--out", "taken")
    assert answer.code == 2
    assert "taken is not a folder; choose another with --out" in answer.err
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to(ask: Ask) -> None:
    answer = ask("run", "toy-v1", "--out", "/proc/records")
    assert answer.code == 2
    assert "cannot write to /proc/records/toy-v1: " in answer.err
    assert "choose another with --out" in answer.err


def test_a_disk_without_room(command: Any, executable: str) -> None:
    """A limit on the size of files stands in for a full disk: both are told by the same failing write."""
    small = ["bash", "-c", 'ulimit -f 1 && exec "$@"', "bash", executable, "run", "toy-v1"]
    done = subprocess.run(small, cwd=command.folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot write to results/toy-v1: File too large; choose another with --out" in done.stderr
    assert [path for path in (command.folder / "results").rglob("*") if path.is_file()] == []


def test_data_that_is_not_there_or_damaged(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from lifelong import DataError, scenario\n"
        "def check(context):\n"
        "    if not (context.data / 'digits.npz').exists():\n"
        "        raise DataError(f'{context.data}/digits.npz: absent')\n"
        "@scenario(protocol='class', check=check)\n"
        "def stream(context): ...\n"
    )
    arguments = ("toy-v1", "--scenario", "mine.py:stream")
    assert ask("plan", *arguments).code == 0  # looking costs no data
    answer = ask("run", *arguments, "--data", "sets")
    assert answer.code == 2
    assert "sets/digits.npz: absent" in answer.err
    assert not (tmp_path / "results").exists()


def test_damaged_and_foreign_records_are_set_aside_and_never_lost(
    ask: Ask, leave_records: Callable[..., list[Path]]
) -> None:
    paths = leave_records("toy-v1")
    good = paths[0].read_text()
    content = json.loads(good)
    damage = {
        "half.json": good[: len(good) // 2],
        "empty.json": "",
        "bytes.json": b"\xff\xfe",
        "deep.json": "[" * 100_000,
        "nan.json": good.replace('"setup_s": 0.0', '"setup_s": NaN'),
        "list.json": "[]",
        "more.json": json.dumps(content | {"comment": "mine"}),
        "key.json": json.dumps(content | {"key": "0" * 64}),
        "foreign.json": good,
    }
    for name, text in damage.items():
        (paths[0].parent / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (paths[0].parent / "folder.json").mkdir()

    for verb in ("plan", "status", "board"):
        answer = ask(verb, "toy-v1")
        assert answer.code == 0
        assert answer.err.count("is no record (") == len(damage) + 1
    assert "belongs at toy-v1/toy/" in answer.err
    assert "the key is not the hash of the specification" in answer.err

    answer = ask("run", "toy-v1")
    assert answer.code == 0
    assert "nothing to run: 6 of 6 cells done" in answer.err
    assert answer.err.count("set aside as") == len(damage) + 1
    for name, text in damage.items():
        kept = (paths[0].parent / f"{name}.damaged").read_bytes()
        assert kept == (text if isinstance(text, bytes) else text.encode())
    assert "is no record" not in ask("plan", "toy-v1").err

    (paths[0].parent / "half.json").write_text("second")
    ask("run", "toy-v1")
    assert (paths[0].parent / "half.json.damaged1").read_text() == "second"
