"""What the built-in scenarios promise, seen through the registry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from avalanche.training import Naive
from sklearn.datasets import load_digits
from torch import nn

from lifelong import load_scenario
from lifelong.contracts import Context, Scenario
from lifelong.errors import DataError
from lifelong.models import build_model, models
from lifelong.records.spec import Budget
from lifelong.registry import scenarios

FAMILIES = ("digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100")
WAYS = {"class": "class", "domain": "domain", "task": "task", "permuted": "domain", "rotated": "domain"}
LOCAL = [
    *("toy", "toy-domain", "toy-task", "online-permuted-digits", "drift-digits"),
    *(f"digits-{way}" for way in WAYS),
]


def test_the_names_and_protocols() -> None:
    expected = {f"{data}-{way}": protocol for data in FAMILIES for way, protocol in WAYS.items()}
    expected |= {"toy": "class", "toy-domain": "domain", "toy-task": "task"}
    expected |= {"online-permuted-digits": "domain", "online-permuted-mnist": "domain"}
    expected |= {"slowly-changing-regression": "domain", "drift-digits": "task-free", "drift-mnist": "task-free"}
    expected |= {f"three-scenarios-{way}": WAYS[way] for way in ("class", "domain", "task", "permuted")}
    expected |= {f"clb-{name}-mnist-class": "class" for name in ("lwf", "replay", "gdumb")}
    expected |= {f"clb-{name}-mnist-permuted": "domain" for name in ("ewc", "si", "lfl", "gem", "gem-short", "agem")}
    expected |= {"clb-penalties-mnist-task": "task"}
    assert {name: entry.protocol for name, entry in scenarios.all().items()} == expected


@pytest.mark.parametrize("entry", scenarios.all().values(), ids=lambda entry: entry.name)
def test_each_says_what_a_leaderboard_has_to_know(entry: Scenario) -> None:
    assert entry.source
    assert entry.licence
    assert entry.summary.endswith(".")
    assert len(entry.input_shape) == (1 if entry.name == "slowly-changing-regression" else 3)
    assert "experiences" in entry.resolve({})
    Budget.model_validate(dict(entry.budget))
    models.get(entry.model["name"]).resolve({key: value for key, value in entry.model.items() if key != "name"})
    assert (entry.check is None) == (entry.download_mb == 0)


def test_listing_them_loads_nothing_heavy() -> None:
    code = (
        "import sys; from lifelong.registry import scenarios;"
        "[(s.parameters, s.summary) for s in scenarios.all().values()];"
        "sys.exit(bool({'torch', 'torchvision', 'avalanche', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", LOCAL)
def test_those_without_download_are_as_declared(name: str) -> None:
    entry = scenarios.get(name)
    benchmark = load_scenario(name)
    assert len(benchmark.train_stream) == len(benchmark.test_stream) == entry.resolve({})["experiences"]
    assert tuple(benchmark.train_stream[0].dataset[0][0].shape) == entry.input_shape
    assert len(benchmark.data_sha256) == 64
    assert benchmark.data_sha256 == load_scenario(name, seed=1).data_sha256


def test_digits_are_scikit_learns() -> None:
    benchmark = load_scenario("digits-class")
    assert sum(len(experience.dataset) for experience in benchmark.train_stream) == 1442
    assert sum(len(experience.dataset) for experience in benchmark.test_stream) == 355
    images, labels = [], []
    for stream in (benchmark.train_stream, benchmark.test_stream):
        for experience in stream:
            assert all(17 < count < 150 for count in experience.dataset.targets.count.values())
            images += [x.flatten() for x, *_ in experience.dataset]
            labels += [y for _, y, _ in experience.dataset]
    digits = load_digits()
    ours = torch.stack(images).double()
    theirs = torch.from_numpy(digits.data)
    scale = (ours.max() - ours.min()) / 16
    as_stored = ((ours - ours.min()) / scale).round().int().tolist()
    found = sorted((pixels, int(label)) for pixels, label in zip(as_stored, labels, strict=True))
    assert found == sorted(zip(theirs.int().tolist(), digits.target.tolist(), strict=True))


@pytest.mark.parametrize("name", ["toy", "toy-domain", "toy-task"])
def test_toys_are_learnt_by_a_stock_strategy(name: str) -> None:
    entry, benchmark = scenarios.get(name), load_scenario(name, experiences=1)
    assert sum(len(e.dataset) for s in benchmark.streams.values() for e in s) == 60
    torch.manual_seed(0)
    model = build_model("mlp", {"widths": [32]}, protocol=entry.protocol, benchmark=benchmark)
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), entry.budget["lr"]),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=entry.budget["batch_size"],
        train_epochs=entry.budget["epochs"],
    )
    strategy.train(benchmark.train_stream[0])
    results = strategy.eval(benchmark.test_stream)
    accuracy = next(value for key, value in results.items() if key.startswith("Top1_Acc_Stream"))
    assert accuracy > 0.9


@pytest.mark.parametrize("name", ["mnist-class", "cifar100-task"])
def test_absent_data_are_refused_before_training(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    check = scenarios.get(name).check
    assert check is not None
    with pytest.raises(DataError, match="absent"):
        check(Context(data=tmp_path))


@pytest.mark.parametrize("name", ["mnist-class", "fashion-mnist-task", "kmnist-rotated"])
def test_the_real_data_make_a_stream(name: str) -> None:
    if not os.environ.get("LIFELONG_DATA"):
        pytest.skip("LIFELONG_DATA is not set")
    try:
        benchmark = load_scenario(name, experiences=2)
    except DataError as error:
        pytest.skip(str(error))
    shown = 2 if name.endswith("rotated") else 1
    assert sum(len(experience.dataset) for experience in benchmark.train_stream) == 60_000 * shown
    assert sum(len(experience.dataset) for experience in benchmark.test_stream) == 10_000 * shown
