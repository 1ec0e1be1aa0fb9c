"""Every other baseline against the same strategy of stock Avalanche, and how much of its time is not reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils.data_loader import MultiDatasetDataLoader
from avalanche.training import supervised
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.utils.data.dataloader import _BaseDataLoaderIter

from lifelong import Setup
from lifelong.registry import strategies
from lifelong.running.spec import Budget
from lifelong.workarounds.evaluating import no_evaluator

TRAIN, TEST, REPEATS, GOAL = 12_000, 100, 3, 0.6
BUDGET = Budget(epochs=1, batch_size=128, lr=0.01)

STOCK: dict[str, tuple[type[SupervisedTemplate], dict[str, Any]]] = {
    "replay": (supervised.Replay, {"mem_size": 200}),
    "agem": (supervised.AGEM, {"patterns_per_exp": 40, "sample_size": 64}),
    "gdumb": (supervised.GDumb, {"mem_size": 200, "train_epochs": TRAIN // 5 // 200}),  # the suite's equal work
    "er-ace": (supervised.ER_ACE, {"mem_size": 200, "batch_size_mem": 128}),
    "der": (supervised.DER, {"mem_size": 200, "alpha": 0.1, "beta": 0.5}),
    "ewc": (supervised.EWC, {"ewc_lambda": 1.0}),
    "si": (supervised.SynapticIntelligence, {"si_lambda": 0.001}),
    "lwf": (supervised.LwF, {"alpha": 1.0, "temperature": 2.0}),
    "mas": (supervised.MAS, {"lambda_reg": 1.0, "alpha": 0.5}),
    "cumulative": (supervised.Cumulative, {}),
    "joint": (supervised.JointTraining, {}),
}
"""Of each baseline Avalanche's own class, and the parameters that both get."""


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), BUDGET.lr)


def ours(name: str, model: nn.Module) -> SupervisedTemplate:
    entry = strategies.get(name)
    parameters = {key: value for key, value in STOCK[name][1].items() if key in entry.parameters}
    made: SupervisedTemplate = entry(Setup(model, optimizer_of(model), BUDGET), **entry.resolve(parameters))
    return made


def theirs(name: str, model: nn.Module) -> SupervisedTemplate:
    kind, parameters = STOCK[name]
    return kind(
        model=model,
        optimizer=optimizer_of(model),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=BUDGET.batch_size,
        evaluator=no_evaluator(),
        **parameters,
    )


def learn(strategy: SupervisedTemplate, benchmark: Any) -> None:
    stream = list(benchmark.train_stream)
    if isinstance(strategy, supervised.JointTraining):
        strategy.train(stream)
        return
    for experience in stream:
        strategy.train(experience)


def share_of_reading(strategy: SupervisedTemplate, benchmark: Any, clock: Any) -> float:
    """Of a stock strategy's time, the share in which it waits for batches or prepares to read them."""
    spent: list[float] = []

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                spent.append(time.perf_counter() - started)

        return measured

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MultiDatasetDataLoader, "_get_loader", timed(MultiDatasetDataLoader._get_loader))
        patch.setattr(_BaseDataLoaderIter, "__next__", timed(_BaseDataLoaderIter.__next__))
        total = clock(lambda: learn(strategy, benchmark))
    return sum(spent) / float(total)


def verdict(measured: float, floor: float) -> str:
    if measured <= GOAL:
        return "met"
    return "missed" if floor <= GOAL else "floor is above"


def test_baselines(
    resident: Any, stock: Any, network: Any, interleaved: Any, ratio: Any, clock: Any, show: Any
) -> None:
    fast = resident(TRAIN, TEST)
    slow = stock(fast)
    rows = []
    for name in STOCK:

        def suite(name: str = name) -> dict[str, float]:
            strategy = ours(name, network())
            return {"train": clock(lambda: learn(strategy, fast))}

        def avalanche(name: str = name) -> dict[str, float]:
            strategy = theirs(name, network())
            return {"train": clock(lambda: learn(strategy, slow))}

        rounds = interleaved({"ours": suite, "stock": avalanche}, REPEATS)
        measured = ratio(rounds, "train", "ours", "stock")
        floor = 1 - median(share_of_reading(theirs(name, network()), slow, clock) for _ in range(REPEATS))
        seconds = [min(times[who]["train"] for times in rounds) for who in ("stock", "ours")]
        rows.append([name, *seconds, measured, floor, f"<= {GOAL}", verdict(measured, floor)])
    columns = ["strategy", "Avalanche s", "lifelong s", "ratio", "floor: Avalanche without its reading", "goal", ""]
    show("Baselines in the suite and in stock Avalanche on tensors, 12,000 images in 5 experiences", columns, rows)
