"""Streams of hundreds of experiences, which share their data, and the slowly changing regression problem."""

from __future__ import annotations

import itertools

import pytest
import torch

from lifelong import Setup, load_scenario
from lifelong.contracts import Context
from lifelong.data.regression import ThresholdNetwork, slowly_changing
from lifelong.errors import UsageError
from lifelong.models import build_model
from lifelong.models.criteria import make_criterion
from lifelong.records.spec import Budget
from lifelong.registry import scenarios


def shown(experience: object) -> torch.Tensor:
    return torch.stack([x for x, *_ in experience.dataset])


def test_each_experience_has_an_order_of_its_own_and_all_the_samples() -> None:
    benchmark = load_scenario("online-permuted-digits", experiences=4)
    views = [shown(experience).flatten(1) for experience in benchmark.train_stream]
    plain = shown(load_scenario("digits-permuted", experiences=1).train_stream[0]).flatten(1)
    assert all(torch.equal(view.sort(1).values, plain.sort(1).values) for view in views)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations([plain, *views], 2))
    again = load_scenario("online-permuted-digits", experiences=2)
    assert torch.equal(shown(again.train_stream[1]).flatten(1), views[1])
    other = load_scenario("online-permuted-digits", experiences=2, seed=1)
    assert not torch.equal(shown(other.train_stream[1]).flatten(1), views[1])


def test_train_and_test_are_permuted_alike() -> None:
    benchmark, plain = load_scenario("online-permuted-digits", experiences=2), load_scenario("digits-permuted")
    train, test = (shown(stream[1]).flatten(1) for stream in (benchmark.train_stream, benchmark.test_stream))
    first = shown(plain.train_stream[0]).flatten(1)
    columns = [next(j for j in range(64) if torch.equal(first[:, j], train[:, i])) for i in range(64)]
    assert torch.equal(shown(plain.test_stream[0]).flatten(1)[:, columns], test)


def test_fewer_samples_are_the_same_in_all_experiences() -> None:
    benchmark = load_scenario("online-permuted-digits", experiences=3, samples=50)
    targets = [list(experience.dataset.targets) for experience in benchmark.train_stream]
    assert targets[0] == targets[1] == targets[2]
    assert len(targets[0]) == 50
    assert all(len(experience.dataset) == 355 for experience in benchmark.test_stream)
    with pytest.raises(UsageError, match="there are 1442"):
        load_scenario("online-permuted-digits", samples=1443)


def test_hundreds_of_experiences_hold_one_copy_of_everything() -> None:
    benchmark = load_scenario("online-permuted-digits", experiences=300)
    sets = [experience.dataset._flat_data._datasets[0] for experience in benchmark.train_stream]
    assert len({images.x.data_ptr() for images in sets}) == 1
    assert len({id(images.targets) for images in sets}) == 1
    assert len({id(experience.dataset._flat_data._indices) for experience in benchmark.train_stream}) == 1
    assert len({images.name for images in sets}) == 300


def test_threshold_units_by_hand() -> None:
    # Signs +1 -1 and bias +1: threshold 0.7 * 3 - 1 = 1.1. Values of 00, 01, 10, 11 and the bias: 1, 0, 2, 1.
    # Signs -1 -1 and bias -1: threshold 0.7 * 3 - 3 = -0.9. Values: -1, -2, -2, -3: never on.
    # Signs +1 +1 and bias +1: threshold 2.1. Values: 1, 2, 2, 3.
    hidden = torch.tensor([[1, -1, 1], [-1, -1, -1], [1, 1, 1]]).numpy()
    network = ThresholdNetwork(hidden, torch.tensor([1, -1, -1, 1]).numpy())
    x = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).numpy()
    assert network(x).tolist() == [1, 1, 2, 0]


def test_one_slow_bit_flips_between_experiences() -> None:
    benchmark = slowly_changing(Context(seed=3), experiences=40, samples=100)
    held = []
    for train, test in zip(benchmark.train_stream, benchmark.test_stream, strict=True):
        bits, tested = shown(train), shown(test)
        assert set(bits.unique().tolist()) <= {0.0, 1.0}
        assert bits.shape == (100, 20)
        assert (bits[:, :15] == bits[0, :15]).all()
        assert torch.equal(bits[0, :15], tested[0, :15])
        assert len({tuple(row) for row in tested.tolist()}) == len(tested) == 32
        held.append(bits[0, :15])
    assert all((one != other).sum() == 1 for one, other in itertools.pairwise(held))
    assert len({int((one != other).nonzero()) for one, other in itertools.pairwise(held)}) > 8


def test_the_target_is_one_function_of_the_bits_throughout() -> None:
    benchmark = slowly_changing(Context(seed=0), experiences=60, samples=64)
    values: dict[tuple[float, ...], float] = {}
    for stream in benchmark.streams.values():
        for experience in stream:
            for x, y, _ in experience.dataset:
                assert values.setdefault(tuple(x.tolist()), y) == y
    assert len(set(values.values())) > 5
    assert all(value == int(value) and abs(value) <= 101 for value in values.values())


def test_the_seed_draws_the_problem() -> None:
    def read(seed: int) -> list[tuple[list[float], float]]:
        made = load_scenario("slowly-changing-regression", seed=seed, experiences=2, samples=20)
        return [(x.tolist(), y) for experience in made.train_stream for x, y, _ in experience.dataset]

    assert read(0) == read(0) != read(1)


def test_a_learner_of_one_output_learns_it() -> None:
    entry = scenarios.get("slowly-changing-regression")
    benchmark = load_scenario(entry.name, experiences=1)
    torch.manual_seed(0)
    model = build_model("mlp", {"widths": [5]}, protocol=entry.protocol, benchmark=benchmark)
    assert model.classifier.out_features == 1
    optimizer = torch.optim.SGD(model.parameters(), entry.budget["lr"])
    error = make_criterion(entry.criterion)
    strategy = Setup(model, optimizer, Budget(batch_size=entry.budget["batch_size"]), criterion=error).naive()
    x, y = (torch.stack([torch.as_tensor(sample[i]) for sample in benchmark.test_stream[0].dataset]) for i in (0, 1))
    strategy.train(benchmark.train_stream[0])
    with torch.no_grad():
        assert float(error(model(x), y)) < 0.75 * float(y.var(correction=0)), "better than any constant"
