"""Strategies of the suite on the first experiences of a small stream, prepared as a board would."""

from __future__ import annotations

from importlib import import_module

import pytest

from lifelong.records.spec import Budget, Choice, Spec
from lifelong.registry import scenarios, strategies
from lifelong.training.prepare import build_benchmark, prepare

GROWER = """
from lifelong import Setup, strategy

@strategy()
def grower(setup: Setup, count: int = 30):
    from lifelong.plasticity import Grow, Plasticity, Rule, TaskArrives

    return setup.naive(Plasticity(Rule(when=TaskArrives(), what=Grow(count))))
"""


@pytest.fixture(scope="session")
def built():
    """`(name, scenario, epochs, widths, begin, **parameters) -> Prepared`, for a stream of five experiences."""

    def build(name, scenario="digits-class", epochs=1, widths=(20, 10), begin=True, **parameters):
        entry, scenario = strategies.get(name), scenarios.get(scenario)
        spec = Spec(
            scenario=Choice(name=scenario.name, parameters={"experiences": 5, "validation": 0.0}),
            strategy=Choice(name=name, parameters=entry.resolve(parameters)),
            model=Choice(name="mlp", parameters={"widths": list(widths), "head": "protocol", "dropout": 0.0}),
            budget=Budget(epochs=epochs, batch_size=32, optimizer="adam", lr=0.001),
            seed=1,
        )
        benchmark = build_benchmark(spec, scenario, None, "cpu")
        prepared = prepare(spec, scenario, entry, benchmark, "cpu")
        if begin:
            prepared.begin()
        return prepared

    return build


@pytest.fixture(scope="session")
def trained(built):
    """`(name, scenario, experiences, epochs, widths, watch, between, **parameters) -> Avalanche strategy`, trained.

    `watch` is a plug-in to add; `between` is done to the strategy before each experience, and gives the one to go on
    with.
    """

    def train(
        name, scenario="digits-class", experiences=2, epochs=1, widths=(20, 16), watch=None, between=None, **parameters
    ):
        prepared = built(name, scenario, epochs, widths, begin=False, **parameters)
        strategy = prepared.strategy
        if watch is not None:
            strategy.plugins.append(watch)
        prepared.begin()
        for experience in list(prepared.benchmark.train_stream)[:experiences]:
            strategy = strategy if between is None else between(strategy)
            strategy.train(experience)
        return strategy

    return train


@pytest.fixture(scope="session")
def grower(tmp_path_factory):
    """The name of a user's strategy that adds `count` units, by default 30, to each layer as each task arrives."""
    file = tmp_path_factory.mktemp("user") / "mine.py"
    file.write_text(GROWER)
    return f"{file}:grower"


@pytest.fixture(scope="session")
def events():
    """`(Avalanche strategy) -> what its rules did`."""
    return lambda strategy: [event for plugin in strategy.plugins for event in getattr(plugin, "events", ())]


@pytest.fixture(scope="session")
def beside():
    """`(strategy's name, module) -> the module of that name in the strategy's family`, such as `sleep`."""

    def load(name, module):
        return import_module(f"{strategies.get(name).function.__module__}.{module}")

    return load
