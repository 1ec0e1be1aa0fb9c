"""How near the suite comes to the bare PyTorch loop, and how far stock Avalanche is from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.training.supervised import Naive
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.transforms import Compose, Normalize, ToTensor

from lifelong import Setup
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.training.evaluation import evaluate
from lifelong.workarounds.evaluating import no_evaluator

TRAIN, TEST, REPEATS = 60_000, 10_000, 5
BUDGET = Budget(epochs=1, batch_size=128, eval_batch_size=512, lr=0.01)
EVALUATIONS = 3
"""In a row, for one takes a tenth of a second."""

Experiences = list[tuple[Tensor, Tensor]]
Phases = dict[str, float]
Clock = Callable[[Callable[[], object]], float]


class PilImages(Dataset[tuple[Image.Image, int]]):
    """Images as torchvision's MNIST gives them."""

    def __init__(self, count: int, seed: int) -> None:
        self.data = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        self.targets = (torch.arange(count) % 10).tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.data[index]), self.targets[index]


def split_mnist_on(train: PilImages, test: PilImages) -> Any:
    """What Avalanche's `SplitMNIST` does with its data: its own transforms, for each sample whenever it is read."""
    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    order = list(range(10))
    return nc_benchmark(
        train,
        test,
        n_experiences=5,
        task_labels=False,
        fixed_class_order=order,
        train_transform=transform,
        eval_transform=transform,
    )


def bare(
    model: nn.Module, train: Experiences, test: Experiences, budget: Budget, clock: Clock, *, gather: bool = False
) -> Phases:
    """The limit: each experience's tensors are cut out beforehand, and evaluated in slices, which copy nothing.

    With `gather` a batch of the evaluation is copied together, as it must be where experiences share one tensor.
    """
    optimizer = torch.optim.SGD(model.parameters(), budget.lr)
    criterion = nn.CrossEntropyLoss()

    def learn() -> None:
        model.train()
        for x, y in train:
            for batch in torch.randperm(len(y)).split(budget.batch_size):
                optimizer.zero_grad()
                criterion(model(x[batch]), y[batch]).backward()
                optimizer.step()

    @torch.no_grad()
    def score() -> list[float]:
        model.eval()
        size = budget.eval_batch_size
        rights = []
        for x, y in test:
            right = torch.zeros((), dtype=torch.int64)
            for rows in torch.arange(len(y)).split(size):
                part = x.index_select(0, rows) if gather else x[rows[0] : rows[0] + len(rows)]
                right += (model(part).argmax(dim=1) == y[rows]).sum()
            rights.append(right / len(y))
        return [float(right) for right in rights]

    return {"train": clock(learn), "eval": clock(lambda: [score() for _ in range(EVALUATIONS)])}


def in_stock_avalanche(model: nn.Module, benchmark: Any, budget: Budget, clock: Clock) -> Phases:
    """Without metrics and loggers, which would cost it more still."""
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), budget.lr),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=budget.batch_size,
        eval_mb_size=budget.eval_batch_size,
        evaluator=no_evaluator(),
    )
    return {
        "train": clock(lambda: [strategy.train(experience) for experience in benchmark.train_stream]),
        "eval": EVALUATIONS * clock(lambda: strategy.eval(benchmark.test_stream)),
    }


def in_the_suite(model: nn.Module, benchmark: Any, budget: Budget, clock: Clock) -> Phases:
    strategy = strategies.get("naive")(Setup(model, torch.optim.SGD(model.parameters(), budget.lr), budget))
    return {
        "train": clock(lambda: [strategy.train(experience) for experience in benchmark.train_stream]),
        "eval": clock(lambda: [evaluate(strategy, benchmark.test_stream) for _ in range(EVALUATIONS)]),
    }


@pytest.mark.parametrize("eval_batch_size", [128, 512])  # the training's, and the suite's default
def test_naive(
    eval_batch_size: int,
    resident: Any,
    stock: Any,
    tensors: Any,
    network: Any,
    interleaved: Any,
    ratio: Any,
    clock: Clock,
    show: Any,
) -> None:
    budget = BUDGET.model_copy(update={"eval_batch_size": eval_batch_size})
    ours = resident(TRAIN, TEST)
    train, test = ([tensors(e.dataset) for e in stream] for stream in (ours.train_stream, ours.test_stream))
    plain, pil = stock(ours), split_mnist_on(PilImages(TRAIN, 1), PilImages(TEST, 2))
    rounds = interleaved(
        {
            "bare loop": lambda: bare(network(), train, test, budget, clock),
            "bare loop, evaluation gathers": lambda: bare(network(), train, test, budget, clock, gather=True),
            "lifelong": lambda: in_the_suite(network(), ours, budget, clock),
            "Avalanche, tensors": lambda: in_stock_avalanche(network(), plain, budget, clock),
            "Avalanche, SplitMNIST's transforms": lambda: in_stock_avalanche(network(), pil, budget, clock),
        },
        REPEATS,
    )
    samples = {"train": TRAIN, "eval": TEST * EVALUATIONS}
    goals = {"train": "<= 1.15", "eval": "<= 1.10"}
    rows = [
        [
            name,
            *(f"{samples[phase] / min(times[name][phase] for times in rounds):,.0f}" for phase in samples),
            *(ratio(rounds, phase, name, "bare loop") for phase in samples),
            *(goals.values() if name == "lifelong" else ("", "")),
        ]
        for name in rounds[0]
    ]
    columns = ["MLP 2x400, batch 128", "train/s", "eval/s", "train x bare", "eval x bare", "goal train", "goal eval"]
    title = "Naive fine-tuning, 60,000 MNIST-shaped images in 5 experiences, one thread"
    show(f"{title}, evaluated in batches of {eval_batch_size}", columns, rows)
