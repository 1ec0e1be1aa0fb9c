"""Streams are real Avalanche benchmarks that follow their protocol, and depend on the seed in the way they say."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.streams import PixelMap, StreamKind, make_benchmark, rotation
from lifelong.errors import UsageError

CLASSES, TRAIN, TEST, SIDE = 6, 10, 4, 6
KINDS: list[StreamKind] = ["class", "domain", "task", "permuted", "rotated"]
SPLITS: list[StreamKind] = ["class", "domain", "task"]


def samples(count: int, start: float) -> Samples:
    """Images whose first pixel tells which they are; classes take turns."""
    x = torch.rand(CLASSES * count, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    x[:, 0, 0, 0] = torch.arange(len(x)) + start
    return Samples(x, torch.arange(len(x)) % CLASSES)


DATA = ImageData(samples(TRAIN, 0), samples(TEST, 1000), black=torch.tensor([-0.5, -0.25]), sha256="abc")


def make(kind: StreamKind, seed: int = 0, experiences: int = 3, validation: float = 0.0) -> CLScenario:
    return make_benchmark(kind, DATA, Context(seed=seed), experiences=experiences, validation=validation)


def identities(experience: object) -> list[int]:
    """Which images an experience of unchanged pixels holds."""
    return [int(x[0, 0, 0]) for x, *_ in experience.dataset]


def classes_of(experience: object) -> set[int]:
    return {
        identity % CLASSES if identity < 1000 else (identity - 1000) % CLASSES for identity in identities(experience)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_streams_have_what_avalanche_reads(kind: StreamKind) -> None:
    benchmark = make(kind, validation=0.2)
    assert set(benchmark.streams) == {"train", "test", "valid"}
    assert benchmark.data_sha256 == "abc"
    for stream in benchmark.streams.values():
        assert [experience.current_experience for experience in stream] == [0, 1, 2]
        seen: set[int] = set()
        for experience in stream:
            labels = {int(label) for _, label, _ in experience.dataset}
            seen |= labels
            assert set(experience.classes_in_this_experience) == labels == set(experience.dataset.targets)
            assert set(experience.classes_seen_so_far) == seen
            assert experience.task_label == (experience.current_experience if kind == "task" else 0)
            assert {task for *_, task in experience.dataset} == {experience.task_label}


@pytest.mark.parametrize("kind", SPLITS)
def test_classes_are_in_one_experience_each_and_labelled_by_protocol(kind: StreamKind) -> None:
    benchmark = make(kind)
    groups = [classes_of(experience) for experience in benchmark.train_stream]
    assert [classes_of(experience) for experience in benchmark.test_stream] == groups
    assert sorted(label for group in groups for label in group) == list(range(CLASSES))
    assert [len(group) for group in groups] == [2, 2, 2]
    for group, experience in zip(groups, benchmark.train_stream, strict=True):
        pairs = {(int(x[0, 0, 0]) % CLASSES, int(y)) for x, y, _ in experience.dataset}
        assert {label for _, label in pairs} == (group if kind == "class" else {0, 1})
        assert len(pairs) == 2, "each class has one label"


@pytest.mark.parametrize("kind", SPLITS)
@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_every_sample_is_in_one_place(kind: StreamKind, validation: float) -> None:
    benchmark = make(kind, validation=validation)
    train = [i for name in benchmark.streams if name != "test" for e in benchmark.streams[name] for i in identities(e)]
    assert sorted(train) == list(range(CLASSES * TRAIN))
    test = [i for experience in benchmark.test_stream for i in identities(experience)]
    assert sorted(test) == list(range(1000, 1000 + CLASSES * TEST))


@pytest.mark.parametrize("kind", KINDS)
def test_validation_holds_out_the_same_share_of_each_class(kind: StreamKind) -> None:
    for experience in make(kind, validation=0.3).valid_stream:
        assert set(experience.dataset.targets.count.values()) == {3}


def test_what_is_held_out_is_never_trained_on_through_other_pixels() -> None:
    benchmark = make("permuted", validation=0.2)
    rows = [set(e.dataset._flat_data._indices) for e in benchmark.train_stream]
    held_out = [set(e.dataset._flat_data._indices) for e in benchmark.valid_stream]
    assert rows[0] == rows[1] == rows[2]
    assert held_out[0] == held_out[1] == held_out[2]
    assert not rows[0] & held_out[0]
    assert len(rows[0] | held_out[0]) == CLASSES * TRAIN


def test_the_seed_decides_the_class_order() -> None:
    def order(seed: int, validation: float = 0.0) -> list[set[int]]:
        return [classes_of(experience) for experience in make("class", seed, validation=validation).train_stream]

    assert order(1) == order(1) == order(1, validation=0.5)
    assert len({tuple(map(frozenset, order(seed))) for seed in range(10)}) > 5
    assert order(1) == [classes_of(e) for e in make("task", 1).train_stream], "protocols share the order"


def test_permutations_move_all_pixels_alike_and_differ() -> None:
    benchmark = make("permuted")
    plain, *views = [torch.stack([x for x, *_ in e.dataset]) for e in benchmark.train_stream]
    assert torch.equal(plain, DATA.train.x)
    sources = []
    for view in views:
        places = [(plain[0, 0].flatten() == value).nonzero().item() for value in view[0, 0].flatten()]
        assert sorted(places) == list(range(SIDE * SIDE))
        assert torch.equal(view, plain.flatten(2)[:, :, places].view_as(plain))
        sources.append(places)
    assert sources[0] != sources[1]
    test = torch.stack([x for x, *_ in benchmark.test_stream[1].dataset])
    assert torch.equal(test, DATA.test.x.flatten(2)[:, :, sources[0]].view_as(test))


def test_a_longer_stream_has_the_same_beginning() -> None:
    short, long = make("permuted", experiences=2), make("permuted", experiences=5)
    assert torch.equal(short.train_stream[1].dataset[7][0], long.train_stream[1].dataset[7][0])
    assert not torch.equal(long.train_stream[1].dataset[7][0], make("permuted", seed=1).train_stream[1].dataset[7][0])


def test_rotation_is_torchvisions_with_black_corners() -> None:
    benchmark = make("rotated", experiences=4)
    for experience, degrees in zip(benchmark.test_stream, (0, 45, 90, 135), strict=True):
        for (x, *_), original in zip(experience.dataset, DATA.test.x, strict=True):
            fill = DATA.black.tolist()
            assert torch.equal(x, rotate(original, degrees, InterpolationMode.NEAREST, fill=fill))


@given(degrees=st.floats(-720, 720), height=st.integers(1, 12), width=st.integers(1, 12))
def test_any_rotation_is_torchvisions(degrees: float, height: int, width: int) -> None:
    x = torch.rand(1, 1, height, width)
    change = rotation(degrees, height, width, torch.tensor([0.0]))
    expected = rotate(x, degrees, InterpolationMode.NEAREST)
    assert torch.equal(x if change is None else change(x), expected)


def test_a_pixel_map_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert PixelMap(torch.tensor([3, -1, 0, 0]), torch.tensor([9.0]))(x).tolist() == [[[[4.0, 9.0], [1.0, 1.0]]]]


@pytest.mark.parametrize("kind", KINDS)
def test_experiences_share_their_pixels(kind: StreamKind) -> None:
    benchmark = make(kind, validation=0.2)
    for name, stream in benchmark.streams.items():
        kept = (DATA.test if name == "test" else DATA.train).x.data_ptr()
        for experience in stream:
            assert {part.x.data_ptr() for part in experience.dataset._flat_data._datasets} == {kept}


@pytest.mark.parametrize("kind", KINDS)
def test_names_tell_images_apart(kind: StreamKind) -> None:
    benchmark = make(kind, validation=0.2)
    parts = [p for s in benchmark.streams.values() for e in s for p in e.dataset._flat_data._datasets]
    assert len({id(part) for part in parts}) == len({part.name for part in parts})


def test_the_global_generators_are_left_alone() -> None:
    def state() -> tuple[object, ...]:
        return random.getstate(), torch.get_rng_state().tolist(), str(np.random.get_state())

    before = state()
    for kind in KINDS:
        make(kind, validation=0.2)
    assert state() == before


@pytest.mark.parametrize(
    ("kind", "experiences", "validation", "message"),
    [
        ("class", 4, 0.0, "the nearest that do are 3 and 6"),
        ("class", 9, 0.0, "the nearest that does is 6"),
        ("task", 6, 0.0, "parts of at least 2; the nearest that does is 3"),
        ("domain", 2, 0.95, r"not in \[0, 0.9\]; the nearest is 0.9"),
        ("rotated", 2, -0.1, "the nearest is 0.0"),
        ("rotated", 2, float("nan"), r"not in \[0, 0.9\]"),
        ("permuted", 0, 0.0, "the least is 1"),
    ],
)
def test_numbers_out_of_range_name_the_nearest(
    kind: StreamKind, experiences: int, validation: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make(kind, experiences=experiences, validation=validation)
