"""Every baseline against the same strategy of stock Avalanche on the same tensors: the table `baselines.md`.

Both sides train on each experience of a stream, and are evaluated on all test experiences after each, in the
proportions of MNIST. Avalanche measures and logs nothing meanwhile; what a board of the suite measures besides the
accuracies is left out too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.utils.data_loader import MultiDatasetDataLoader
from avalanche.models import FeCAMClassifier, NCMClassifier, SCRModel, TrainEvalModel
from avalanche.models.base_model import BaseModel
from avalanche.training import plugins, supervised
from avalanche.training.plugins import update_fecam, update_ncm
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.utils.data.dataloader import _BaseDataLoaderIter

from lifelong import load_strategy
from lifelong.models import build_model
from lifelong.records.spec import Budget
from lifelong.registry import strategies
from lifelong.training.evaluation import evaluate
from lifelong.workarounds.evaluating import no_evaluator
from lifelong.workarounds.projection import WorkingGEM

TABLE = Path(__file__).with_name("baselines.md")
REPEATS, GOAL = 3, 0.6
BUDGET = Budget(epochs=1, batch_size=128, eval_batch_size=512, lr=0.01)
INPUT, WIDTH, CLASSES = (1, 28, 28), 400, 10
MEMORY: dict[str, int] = {"mem_size": 200, "batch_size_mem": 128}

Make = Callable[..., SupervisedTemplate]


@dataclass(frozen=True)
class Stock:
    """Avalanche's own strategy.

    Attributes:
        make: called with the network and what every template takes.
        parameters: that both sides get, as far as each has them.
        ours: that the suite's alone gets.
        samples: to train on; fewer where a strategy is slow.
        note: what is not quite the same on both sides.
    """

    make: Callable[[nn.Module, dict[str, Any], dict[str, Any]], SupervisedTemplate]
    parameters: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    samples: int = 12_000
    note: str = ""


def of(
    kind: Make, ours: dict[str, Any] | None = None, samples: int = 12_000, note: str = "", **parameters: Any
) -> Stock:
    """A strategy class of Avalanche."""
    return Stock(
        lambda model, common, own: kind(model=model, criterion=nn.CrossEntropyLoss(), **common, **own),
        parameters,
        ours or {},
        samples,
        note,
    )


def plugged(make: Callable[..., Any], ours: dict[str, Any] | None = None, note: str = "", **parameters: Any) -> Stock:
    """A plug-in of Avalanche in its Naive."""

    def made(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
        return supervised.Naive(model=model, plugins=[make(**own)], **common)

    return Stock(made, parameters, ours or {}, note=note)


class Featured(nn.Module, BaseModel):
    """A network as Avalanche's LFL takes it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def get_features(self, x: Tensor) -> Tensor:
        features: Tensor = self.network.features(x)
        return features


def gem(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
    strategy = supervised.GEM(model=model, criterion=nn.CrossEntropyLoss(), **common, **own)
    plugin = next(plugin for plugin in strategy.plugins if isinstance(plugin, plugins.GEMPlugin))
    plugin.solve_quadprog = partial(WorkingGEM.solve_quadprog, plugin)
    return strategy


def by_prototypes(classifier: Callable[[], nn.Module], plugin: Callable[[], Any]) -> Any:
    def made(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
        del own
        whole = TrainEvalModel(model.features, model.classifier, classifier())
        return supervised.Naive(model=whole, plugins=[plugin()], **common)

    return made


def slda(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
    common = {key: value for key, value in common.items() if key != "optimizer"}
    return supervised.StreamingLDA(
        slda_model=model.features,
        input_size=WIDTH,
        num_classes=CLASSES,
        criterion=nn.CrossEntropyLoss(),
        **common,
        **own,
    )


def scr(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
    projection = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 128))
    return supervised.SCR(model=SCRModel(model.features, projection), **common, **own)


def feature_replay(model: nn.Module, common: dict[str, Any], own: dict[str, Any]) -> SupervisedTemplate:
    distillation = plugins.FeatureDistillationPlugin(own.pop("alpha"))
    return supervised.FeatureReplay(model=model, plugins=[distillation], **common, **own)


STOCK: dict[str, Stock] = {
    "naive": of(supervised.Naive),
    "cumulative": of(supervised.Cumulative),
    "joint": of(supervised.JointTraining),
    "from-scratch": of(supervised.FromScratchTraining),
    "replay": of(supervised.Replay, mem_size=200),
    "er-ace": of(supervised.ER_ACE, **MEMORY),
    "er-aml": Stock(
        lambda model, common, own: supervised.ER_AML(model=model, feature_extractor=model.features, **common, **own),
        {"mem_size": 2_000, "batch_size_mem": 128},
        note="in a memory where a class has less than a batch, Avalanche's waits for ever",
    ),
    "der": of(supervised.DER, mem_size=200, alpha=0.1, beta=0.5),
    "gdumb": of(supervised.GDumb, mem_size=200, train_epochs=12, note="as many passes as the suite's equal work takes"),
    "mir": of(
        supervised.MIR,
        subsample=200,
        note="with this memory Avalanche's recalls nothing before the fourth experience, as it leaves out the classes "
        "of the last batch",
        **MEMORY,
    ),
    "gss": of(
        lambda **all_of: supervised.GSS_greedy(mem_strength=1, input_size=list(INPUT), **all_of),
        samples=2_400,
        mem_size=400,
        note="Avalanche's compares samples only where their batch's gradient points away from the memory's",
    ),
    "rar": plugged(
        partial(plugins.RARPlugin, name_ext_layer="features", epsilon_fgsm=0.1), {"epsilon": 0.1, "steps": 2}, **MEMORY
    ),
    "agem": of(supervised.AGEM, patterns_per_exp=40, sample_size=64),
    "gem": Stock(
        gem,
        {"patterns_per_exp": 40, "memory_strength": 0.5},
        note="Avalanche's with the suite's solver, as its own is not installed",
    ),
    "ewc": of(supervised.EWC, ewc_lambda=1.0),
    "online-ewc": of(partial(supervised.EWC, mode="online"), ewc_lambda=1.0, decay_factor=0.9),
    "si": of(supervised.SynapticIntelligence, si_lambda=0.001, note="Avalanche's does not learn importances on a CPU"),
    "mas": of(supervised.MAS, lambda_reg=1.0, alpha=0.5),
    "rwalk": plugged(
        plugins.RWalkPlugin, note="Avalanche's passes twice over each batch", ewc_lambda=0.1, ewc_alpha=0.9, delta_t=10
    ),
    "lwf": of(supervised.LwF, alpha=1.0, temperature=2.0),
    "lfl": Stock(
        lambda model, common, own: supervised.LFL(
            model=Featured(model), criterion=nn.CrossEntropyLoss(), **common, **own
        ),
        {"lambda_e": 1.0},
        note="Avalanche's finds the features twice",
    ),
    "cwr-star": of(partial(supervised.CWRStar, cwr_layer_name="classifier")),
    "ncm": Stock(by_prototypes(NCMClassifier, update_ncm.CurrentDataNCMUpdate), ours={"learn": "always"}),
    "fecam": Stock(by_prototypes(FeCAMClassifier, update_fecam.CurrentDataFeCAMUpdate), ours={"learn": "always"}),
    "slda": Stock(slda, ours={"learn": "never"}, samples=2_400, note="Avalanche's takes one sample after the other"),
    "scr": Stock(
        scr,
        {"mem_size": 200, "batch_size_mem": 100, "temperature": 0.07},
        note="the suite's also crops and perturbs its views",
    ),
    "feature-replay": Stock(feature_replay, {**MEMORY, "alpha": 100.0}),
    "mer": of(supervised.MER, samples=640, mem_size=200, batch_size_mem=10, n_inner_steps=2, gamma=0.5),
}
"""Of each baseline Avalanche's own, which does the same on the same network."""

APART = {
    "ar1": "Avalanche's is a pretrained MobileNet with latent replay",
    "bic": "Avalanche's raises on current torch",
    "cope": "Avalanche's stops after one batch of each experience",
    "expert-gate": "Avalanche's is of pretrained AlexNets alone",
    "generative-replay": "Avalanche's trains another generator, after the network",
    "icarl": "Avalanche's takes only benchmarks that its older generators make",
    "l2p": "both are pretrained transformers, far larger than the network here",
    "lamaml": "Avalanche's takes only networks with a head for each task",
    "packnet": "Avalanche's trains on after pruning for epochs of its own",
    "pnn": "Avalanche's is a network of its own, which grows when it is evaluated",
    "ppp-loss": "Avalanche's is a loss, without a strategy",
}
"""Baselines that do not do the same work, and why."""

ROWS: list[list[object]] = []


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), BUDGET.lr)


def network(benchmark: CLScenario) -> nn.Module:
    """An MLP of 784-400-400-10 units, always with the same weights."""
    torch.manual_seed(0)
    return build_model("mlp", {"widths": [WIDTH, WIDTH]}, protocol="class", benchmark=benchmark)


def ours(name: str, benchmark: CLScenario) -> SupervisedTemplate:
    stock, model = STOCK[name], network(benchmark)
    known = strategies.get(name).parameters
    own = {key: value for key, value in stock.parameters.items() if key in known} | stock.ours
    inputs = (torch.zeros(1, *INPUT),)
    return load_strategy(name, model, optimizer_of(model), budget=BUDGET, inputs=inputs, **own)


def theirs(name: str, benchmark: CLScenario) -> SupervisedTemplate:
    stock, model = STOCK[name], network(benchmark)
    common = {
        "optimizer": optimizer_of(model),
        "train_mb_size": BUDGET.batch_size,
        "eval_mb_size": BUDGET.eval_batch_size,
        "evaluator": no_evaluator(),
    }
    return stock.make(model, common, dict(stock.parameters))


def live(
    strategy: SupervisedTemplate, score: Callable[..., Any], benchmark: CLScenario, clock: Any
) -> dict[str, float]:
    """The seconds of all trainings, of all evaluations, and of both."""
    stream = list(benchmark.train_stream)
    seconds = {"training": 0.0, "evaluation": 0.0}
    for step in [stream] if isinstance(strategy, supervised.JointTraining) else stream:
        seconds["training"] += clock(partial(strategy.train, step))
        seconds["evaluation"] += clock(partial(score, strategy, benchmark.test_stream))
    return {**seconds, "run": sum(seconds.values())}


def stock_eval(strategy: SupervisedTemplate, stream: Any) -> None:
    strategy.eval(stream)


def share_of_reading(run: Callable[[], dict[str, float]]) -> float:
    """Of a stock run's time, the share in which it waits for batches or prepares to read them."""
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
        seconds = run()
    return sum(spent) / seconds["run"]


def verdict(measured: float, floor: float) -> str:
    if measured <= GOAL:
        return "met"
    return "missed" if floor <= GOAL else "floor is above"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", STOCK)
def test_baseline(name: str, resident: Any, stock: Any, interleaved: Any, ratio: Any, clock: Any) -> None:
    fast = resident(STOCK[name].samples, STOCK[name].samples // 6)
    slow = stock(fast)

    def suite() -> dict[str, float]:
        return live(ours(name, fast), evaluate, fast, clock)

    def avalanche() -> dict[str, float]:
        return live(theirs(name, slow), stock_eval, slow, clock)

    rounds = interleaved({"ours": suite, "stock": avalanche}, REPEATS)
    measured = [ratio(rounds, phase, "ours", "stock") for phase in ("training", "evaluation", "run")]
    floor = 1 - share_of_reading(avalanche)
    ROWS.append([name, *measured, floor, verdict(measured[-1], floor), STOCK[name].note])


def test_every_baseline_is_in_the_table() -> None:
    assert {name for name, entry in strategies.all().items() if entry.avalanche} == {*STOCK, *APART}


def test_table(show: Any) -> None:
    columns = ["strategy", "training", "evaluation", "run", "floor of a run", f"goal {GOAL}", ""]
    show("Time of each baseline in the suite, as a share of stock Avalanche's", columns, ROWS)
    if len(ROWS) == len(STOCK):
        TABLE.write_text(_table(columns), encoding="utf-8")


def _table(columns: list[str]) -> str:
    met = sum(row[5] == "met" for row in ROWS)
    lines = [
        "# What the baselines cost, as shares of stock Avalanche's time",
        "",
        "`make bench` writes this page. Times are those of the suite over those of avalanche-lib 0.6.0's own strategy",
        "on the same tensors, with the same network (an MLP of 784-400-400-10 units) and batches (128 in training, 512",
        f"in evaluation), interleaved within one process of one thread: medians of {REPEATS}. There are five",
        "experiences, and six training samples to a test sample, as MNIST has. A *run* trains on each experience, and",
        "is evaluated on all five after each. The *floor* is Avalanche's own run without the time in which it reads",
        "its data: what is left to a data path that costs nothing. Avalanche measures and logs nothing.",
        "",
        f"{met} of {len(ROWS)} reach the goal: a run in at most {GOAL} of Avalanche's time. The machine's load was",
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---:|---:|---:|---:|---|---|",
        *(
            "| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
            for row in ROWS
        ),
        "",
        "Not compared, as the two sides do not do the same work:",
        "",
        *(f"- {name}: {reason}" for name, reason in APART.items()),
        "",
    ]
    return "\n".join(lines)
