"""Every strategy with a memory tells classes apart that it never saw together, which fine-tuning cannot."""

from __future__ import annotations

import pytest

from lifelong.training.evaluation import evaluate

CHANCE = 1 / 5
"""What is left to who knows the last of five experiences only."""


@pytest.fixture
def accuracy(built):
    """`(name, epochs) -> mean accuracy after digits-class`, in [0, 1]."""

    def mean(name, epochs):
        prepared = built(name, epochs=epochs, widths=(50,))
        for experience in prepared.benchmark.train_stream:
            prepared.strategy.train(experience)
        found = evaluate(prepared.strategy, prepared.benchmark.test_stream)
        return sum(found) / len(found)

    return mean


def test_fine_tuning_forgets(accuracy):
    assert accuracy("naive", epochs=15) < CHANCE + 0.05


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("gem", 4),
        ("gss", 4),
        ("mir", 15),
        ("rar", 4),
        ("er-aml", 4),
        ("icarl", 4),
        ("bic", 4),
        ("il2m", 4),
        ("lamaml", 4),
        pytest.param("mer", 4, marks=pytest.mark.slow),
    ],
)
def test_a_memory_keeps_what_fine_tuning_forgets(accuracy, name, epochs):
    assert accuracy(name, epochs) > CHANCE + 0.4
