"""Prototypes that move, with a memory and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from lifelong.errors import UsageError
from lifelong.training.evaluation import evaluate


@pytest.fixture(scope="module")
def answers(built: Any) -> Any:
    """`(name) -> (the network, its accuracies on three experiences after them)`."""

    def train(name: str, **parameters: Any) -> tuple[Any, list[float]]:
        prepared = built(name, epochs=10, widths=(40, 20), **parameters)
        for experience in prepared.benchmark.train_stream[:3]:
            prepared.strategy.train(experience)
        return prepared.strategy.model, evaluate(prepared.strategy, prepared.benchmark.test_stream[:3])

    return train


def test_a_memory_keeps_the_prototypes_up_to_date(answers: Any) -> None:
    model, with_memory = answers("cope")
    _, without = answers("ppp-loss")
    assert min(with_memory) > 0.7
    assert without[2] > 0.7
    assert sum(with_memory[:2]) > sum(without[:2]) + 0.3
    classifier = model.classifier
    assert int(classifier.seen.sum()) == 6
    torch.testing.assert_close(classifier.places.norm(dim=1), torch.ones(10))


def test_prototypes_by_hand(beside: Any) -> None:
    module = beside("cope", "evolving")
    classifier = module.Prototypes(nn.Linear(2, 3), temperature=0.5)
    classifier.places = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    classifier.embedding = nn.Identity()
    classifier.seen[:2] = True
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(classifier(x), torch.tensor([[1.2, 1.6, -2.0]]), msg="cosines, twice; none for class 2")
    classifier.move(normalize(torch.tensor([[0.0, 2.0], [1.0, 0.0], [5.0, 0.0]])), torch.tensor([0, 0, 1]), 0.75)
    means = normalize(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    expected = normalize(0.75 * torch.tensor([[1.0, 0.0], [0.0, 1.0]]) + 0.25 * means)
    torch.testing.assert_close(classifier.places, torch.cat([expected, torch.tensor([[-1.0, 0.0]])]))


def test_a_memory_smaller_than_the_classes_is_refused(built: Any) -> None:
    with pytest.raises(UsageError, match="less than one sample for each of the 10 classes"):
        built("cope", mem_size=9)
