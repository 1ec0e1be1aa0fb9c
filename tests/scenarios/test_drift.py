"""The drift is where the benchmark says, nothing but the samples tells of it, and it is trained on in its order."""

from __future__ import annotations

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.core import SupervisedPlugin

from lifelong import Setup, load_scenario
from lifelong.contracts import PROVIDES, Context
from lifelong.data.drift import CONCEPTS, TURNS, drifts_of
from lifelong.errors import UsageError
from lifelong.records.spec import Budget, Choice, Spec
from lifelong.registry import scenarios
from lifelong.training.prepare import build_benchmark

STEPS, BATCH, EXPERIENCES = 800, 4, 16


def make(seed: int = 0, **parameters: int) -> CLScenario:
    chosen = {"steps": STEPS, "batch_size": BATCH, "experiences": EXPERIENCES, **parameters}
    return load_scenario("drift-digits", seed=seed, **chosen)


def concepts_of(experience: object) -> list[str]:
    """Of each sample, by the set of images that it lies in."""
    data = experience.dataset._flat_data
    size = len(data._datasets[0])
    return [data._datasets[index // size].name.partition("/")[2] for index in data._indices]


def concepts_in_steps(benchmark: CLScenario) -> list[set[str]]:
    flat = [concept for experience in benchmark.train_stream for concept in concepts_of(experience)]
    return [set(flat[start : start + BATCH]) for start in range(0, len(flat), BATCH)]


@pytest.mark.parametrize("seed", range(4))
def test_the_drift_is_where_it_says(seed: int) -> None:
    benchmark = make(seed)
    steps = concepts_in_steps(benchmark)
    assert len(steps) == STEPS
    old, end = CONCEPTS[0], 0
    for drift, (kind, new) in zip(benchmark.drifts, TURNS, strict=True):
        assert drift.kind == kind
        assert all(shown == {old} for shown in steps[end : drift.start]), "a stationary stretch"
        assert all(shown <= {old, new} for shown in steps[drift.start : drift.end])
        assert steps[drift.end] == {new}
        assert (drift.end > drift.start) == (kind == "gradual")
        old, end = new, drift.end
    assert all(shown == {old} for shown in steps[end:])


def test_a_gradual_drift_comes_evenly() -> None:
    benchmark = make(steps=3200, batch_size=16, experiences=1)
    drift = next(drift for drift in benchmark.drifts if drift.kind == "gradual")
    new = TURNS[1][1]
    samples = concepts_of(benchmark.train_stream[0])[drift.start * 16 : drift.end * 16]
    third = len(samples) // 3
    shares = [sum(concept == new for concept in samples[i * third :][:third]) / third for i in range(3)]
    assert shares == pytest.approx([1 / 6, 1 / 2, 5 / 6], abs=0.05)


def test_stretches_are_long_and_drifts_do_not_fall_on_cuts() -> None:
    starts = []
    for seed in range(50):
        drifts = drifts_of(Context(seed=seed), 8000)  # a stretch is 1,000 steps
        edges = [0, *(step for drift in drifts for step in (drift.start, drift.end)), 8000]
        assert all(second - first >= 500 for first, second in zip(edges[::2], edges[1::2], strict=True))
        starts += [drift.start % 320 for drift in drifts]
    assert max(starts.count(place) for place in set(starts)) < 10, "starts are anywhere in an experience of 320 steps"


def test_concepts_show_what_they_say() -> None:
    benchmark = make()
    shown = {images.name.partition("/")[2]: images for images in benchmark.train_stream[0].dataset._flat_data._datasets}
    rows = torch.arange(100)
    plain, labels = shown["as they are"].read(rows)
    turned, same = shown["turned"].read(rows)
    assert torch.equal(turned, torch.rot90(plain, 1, (2, 3)))
    assert torch.equal(labels, same)
    pixels, others = shown["relabelled"].read(rows)
    assert torch.equal(pixels, plain)
    assert (others != labels).all()
    mapping = {int(a): int(b) for a, b in zip(labels, others, strict=True)}
    assert sorted(mapping) == sorted(mapping.values()) == list(range(10))
    first, second = (shown[name].read(rows)[0].flatten(1) for name in ("permuted", "permuted otherwise"))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(1).values, plain.flatten(1).sort(1).values)
    assert len({images.x.data_ptr() for images in shown.values()}) == 1


def test_a_test_set_shows_what_its_experience_shows() -> None:
    benchmark = make(experiences=8)
    mixed = 0
    for train, test in zip(benchmark.train_stream, benchmark.test_stream, strict=True):
        trained, tested = concepts_of(train), concepts_of(test)
        assert len(tested) == 355, "all there are, for there are fewer than 1,000"
        assert set(tested) <= set(trained)
        for concept in set(trained):
            share = trained.count(concept) / len(trained)
            assert tested.count(concept) / len(tested) == pytest.approx(share, abs=0.1)
        mixed += len(set(trained)) > 1
    assert mixed >= 4
    rows = [index % 355 for index in benchmark.test_stream[0].dataset._flat_data._indices]
    assert len(set(rows)) == 355


def test_the_images_are_passed_over_evenly() -> None:
    indices = [i for experience in make().train_stream for i in experience.dataset._flat_data._indices]
    rows = torch.tensor(indices) % 1442
    assert rows[:1442].unique().numel() == rows[1442:2884].unique().numel() == 1442
    assert not torch.equal(rows[:1442], rows[1442:2884])


def test_the_seed_decides() -> None:
    def all_of(seed: int) -> list[int]:
        return [index for experience in make(seed).train_stream for index in experience.dataset._flat_data._indices]

    assert all_of(0) == all_of(0) != all_of(1)
    assert make(0).drifts == make(0).drifts != make(1).drifts


def test_no_boundary_and_no_label_is_told() -> None:
    entry, benchmark = scenarios.get("drift-digits"), make()
    assert "task boundaries" not in PROVIDES[entry.protocol]
    assert entry.ordered
    assert len({len(experience.dataset) for experience in benchmark.train_stream}) == 1
    assert {label for experience in benchmark.train_stream for label in experience.dataset.targets_task_labels} == {0}


class Seen(SupervisedPlugin):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[torch.Tensor, torch.Tensor]] = []

    def before_forward(self, strategy: object, **_: object) -> None:
        self.batches.append((strategy.mb_x.clone(), strategy.mb_y.clone()))


def test_training_without_shuffling_takes_the_steps_that_the_drifts_are_told_in() -> None:
    benchmark = make(steps=160, experiences=2)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    seen = Seen()
    strategy = Setup(model, torch.optim.SGD(model.parameters(), 0.1), Budget(batch_size=BATCH)).naive(seen)
    for experience in benchmark.train_stream:
        strategy.train(experience, shuffle=False)
    assert len(seen.batches) == 160
    wanted = [sample for experience in benchmark.train_stream for sample in experience.dataset]
    assert torch.equal(torch.cat([x for x, _ in seen.batches]), torch.stack([x for x, *_ in wanted]))
    assert torch.cat([y for _, y in seen.batches]).tolist() == [y for _, y, _ in wanted]


@pytest.mark.parametrize(("steps", "nearest"), [(801, 800), (90, 112), (1, 112), (807, 800)])
def test_steps_that_do_not_divide_name_the_nearest(steps: int, nearest: int) -> None:
    with pytest.raises(UsageError, match=rf"the nearest is {nearest}$"):
        make(steps=steps)


def test_a_budget_of_other_batches_would_make_the_steps_wrong_and_is_refused() -> None:
    entry = scenarios.get("drift-digits")
    spec = Spec(
        scenario=Choice(name=entry.name, parameters=entry.resolve({})),
        strategy=Choice(name="naive"),
        model=Choice(name="mlp"),
        budget=Budget(batch_size=16),
        seed=0,
    )
    with pytest.raises(UsageError, match=r"updates of 32 samples, but budget\.batch_size = 16"):
        build_benchmark(spec, entry, None, "cpu")
