"""Images held whole are real Avalanche datasets, whichever way they are read, cut, joined and stored."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any

import cloudpickle
import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import FlatData
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from lifelong.contracts import Context
from lifelong.data.images import ImageData, Samples
from lifelong.data.resident import Images, ResidentDataset, images_of, resident_dataset, rows_of
from lifelong.data.streams import make_benchmark
from lifelong.errors import UsageError

N = 12
X = torch.arange(N * 4, dtype=torch.float32).view(N, 1, 2, 2)
Y = torch.arange(N) % 3


def doubled_and_flat(x: Tensor) -> Tensor:
    return 2 * x.flatten(1)


@pytest.fixture
def images() -> Images:
    return Images(X, Y, name="train")


@pytest.fixture
def dataset(images: Images) -> ResidentDataset:
    return resident_dataset(images, [7, 1, 4, 10, 2], task_label=6)


def by_sample(dataset: AvalancheDataset[Any]) -> Iterator[list[Any]]:
    """What Avalanche's own reading gives."""
    return (TaskAwareSupervisedClassificationDataset.__getitem__(dataset, i) for i in range(len(dataset)))


def same(mine: Any, yours: Any) -> None:
    assert type(mine) is type(yours)
    if isinstance(mine, Tensor):
        assert mine.dtype == yours.dtype
        assert torch.equal(mine, yours)
    elif isinstance(mine, list | tuple):
        assert len(mine) == len(yours)
        for one, other in zip(mine, yours, strict=True):
            same(one, other)
    else:
        assert mine == yours


def test_images_by_hand(images: Images) -> None:
    x, y = images[5]
    assert (x.tolist(), y) == ([[[20.0, 21.0], [22.0, 23.0]]], 2)
    same(images[-1], images[N - 1])
    x, y = images.read(torch.tensor([3, 3, 0]))
    assert (x[:, 0, 0, 0].tolist(), y.tolist()) == ([12.0, 12.0, 0.0], [0, 0, 0])
    assert len(list(images)) == len(images) == N


def test_a_transform_is_applied_whichever_way_an_image_is_read() -> None:
    images = Images(X, Y, name="train", transform=doubled_and_flat)
    assert images[-7][0].tolist() == [40.0, 42.0, 44.0, 46.0]
    same(images.read(torch.tensor([5]))[0][0], images[5][0])
    assert len(list(images)) == N


def test_as_many_labels_as_images() -> None:
    with pytest.raises(UsageError, match="are 12, with 11 labels"):
        Images(X, Y[:-1], name="train")


def test_a_sample_is_what_avalanche_gives(dataset: ResidentDataset) -> None:
    same(dataset[0], [X[7], 1, 6])
    same(list(dataset), list(by_sample(dataset)))
    same(dataset[-1], dataset[4])
    for outside in (5, -6):
        with pytest.raises(IndexError):
            dataset[outside]


def test_it_is_an_avalanche_dataset_of_its_kind(dataset: ResidentDataset) -> None:
    assert isinstance(dataset, TaskAwareSupervisedClassificationDataset)
    assert list(dataset.targets) == [1, 1, 1, 1, 2]
    assert list(dataset.targets_task_labels) == [6] * 5
    assert set(dataset.task_set) == {6}
    for other in (dataset.subset([0]), dataset.concat(dataset), dataset.train(), dataset.eval()):
        assert isinstance(other, ResidentDataset)


def join_lists(batch: list[Any]) -> Any:
    return [x for x, _, _ in batch], sum(y for _, y, _ in batch), [list(sample) for sample in reversed(batch)]


def swap_ends(batch: list[Any]) -> Any:
    return default_collate([batch[-1], *batch[1:-1], batch[0]] if len(batch) > 1 else batch)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"collate_fn": None},
        {"collate_fn": default_collate},
        {"collate_fn": join_lists},
        {"collate_fn": swap_ends},
        {"shuffle": True},
        {"drop_last": True},
        {"batch_size": 1},
        {"batch_size": None},
        {"num_workers": 1},
    ],
    ids=lambda arguments: ", ".join(f"{name}={getattr(value, '__name__', value)}" for name, value in arguments.items()),
)
def test_torchs_loader_gives_the_same_batches(dataset: ResidentDataset, arguments: dict[str, Any]) -> None:
    plain = TaskAwareSupervisedClassificationDataset([dataset])
    assert not hasattr(plain, "__getitems__")
    batches = []
    for source in (dataset, plain):
        torch.manual_seed(0)
        batches.append(list(DataLoader(source, **{"batch_size": 2, **arguments})))
    same(batches[0], batches[1])


def test_torchs_loader_reads_by_the_batch(dataset: ResidentDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "__getitem__", None)
    monkeypatch.setattr(ResidentDataset, "__getitem__", None)
    (x, y, task), *others = DataLoader(dataset, batch_size=3, collate_fn=dataset.collate_fn)
    same([x, y, task], [X[[7, 1, 4]], Y[[7, 1, 4]], torch.full((3,), 6)])
    assert len(others) == 1


SETS = (
    Images(X, Y, name="a"),
    Images(X + 100, Y, name="b", transform=lambda x: -x),
    Images(X + 200, Y, name="c", transform=lambda x: x.flip(-1)),
)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> ResidentDataset:
    """Datasets of several sets of images, cut and joined at random."""
    if depth == 0 or draw(st.booleans()):
        rows = draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=6))
        return resident_dataset(draw(st.sampled_from(SETS)), rows, task_label=draw(st.integers(0, 2)))
    joined = draw(trees(depth - 1)).concat(draw(trees(depth - 1)))
    cut = draw(st.lists(st.integers(0, len(joined) - 1), min_size=1, max_size=8))
    return joined.subset(torch.tensor(cut)) if draw(st.booleans()) else joined


@settings(max_examples=60, deadline=None)
@given(trees(), st.data())
def test_any_tree_of_subsets_and_concatenations(dataset: ResidentDataset, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=10))
    samples = list(by_sample(dataset))
    rows = rows_of(dataset)
    assert rows is not None
    same(rows.batch(positions), default_collate([samples[position] for position in positions]))
    same(list(dataset), samples)


def test_sets_whose_transforms_change_the_shape() -> None:
    one, other = (Images(X + add, Y, name=str(add), transform=doubled_and_flat) for add in (0, 100))
    both = resident_dataset(one).concat(resident_dataset(other))
    rows = rows_of(both)
    assert rows is not None
    same(rows.batch([20, 3, 13]), default_collate([both[20], both[3], both[13]]))


@pytest.mark.parametrize(
    "values",
    [
        [0.1 * index for index in range(5)],
        [index % 2 == 0 for index in range(5)],
        [torch.full((3,), index / 7) for index in range(5)],
        [torch.tensor(index) for index in range(5)],
    ],
    ids=["float", "bool", "vector", "scalar tensor"],
)
def test_what_avalanche_appends_to_a_sample(dataset: ResidentDataset, values: list[Any]) -> None:
    extra = DataAttribute(FlatData([values]), "extra", use_in_getitem=True)
    extended = ResidentDataset([dataset], data_attributes=[extra]).subset([3, 0, 4])
    rows = rows_of(extended)
    assert rows is not None
    same(rows.batch([0, 1, 2]), default_collate(list(by_sample(extended))))
    assert [float(sample[3].sum() if isinstance(sample[3], Tensor) else sample[3]) for sample in extended] == [
        float(values[index].sum() if isinstance(values[index], Tensor) else values[index]) for index in (3, 0, 4)
    ]


@pytest.mark.parametrize(
    "values", [[torch.zeros(index + 1) for index in range(5)], list("abcde"), [None] * 5], ids=["ragged", "str", "None"]
)
def test_what_makes_no_tensor_is_read_by_the_sample(dataset: ResidentDataset, values: list[Any]) -> None:
    extra = DataAttribute(FlatData([values]), "extra", use_in_getitem=True)
    extended = ResidentDataset([dataset], data_attributes=[extra])
    assert rows_of(extended) is None
    assert extended.__getitems__ is None
    same(list(extended), list(by_sample(extended)))


def test_a_transform_of_the_phase_in_use_is_applied(dataset: ResidentDataset) -> None:
    groups = {"train": doubled_and_flat_sample, "eval": None, "negative": lambda x: -x}
    changed = ResidentDataset([dataset], transform_groups=groups)
    assert rows_of(changed) is None
    same(changed[0][0], 2 * X[7].flatten())
    assert rows_of(changed.eval()) is not None
    same(changed.eval()[0][0], X[7])
    same(next(iter(DataLoader(changed.with_transforms("negative"), batch_size=2)))[0], -X[[7, 1]])
    assert rows_of(changed.freeze_transforms()) is None
    same(changed.freeze_transforms()[0][0], 2 * X[7].flatten())


def doubled_and_flat_sample(x: Tensor) -> Tensor:
    return 2 * x.flatten()


def test_a_copy_with_another_transform_does_not_keep_the_old_reading(dataset: ResidentDataset) -> None:
    same(dataset[0][0], X[7])
    changed = dataset.replace_current_transform_group(lambda x: -x)
    same(changed[0][0], -X[7])
    relabelled = dataset.update_data_attribute("targets_task_labels", [9] * 5)
    same(relabelled[0], [X[7], 1, 9])
    same(dataset[0], [X[7], 1, 6])


def test_other_data_has_no_rows() -> None:
    empty = resident_dataset(SETS[0], [])
    assert len(empty) == 0
    assert rows_of(empty) is None
    plain = AvalancheDataset([torch.utils.data.TensorDataset(X, Y)])
    assert rows_of(plain) is None
    assert rows_of(AvalancheDataset([resident_dataset(SETS[0])]).concat(plain)) is None


def test_datasets_can_be_pickled_and_copied(dataset: ResidentDataset) -> None:
    samples = list(dataset)
    for again in (
        pickle.loads(pickle.dumps(dataset)),
        cloudpickle.loads(cloudpickle.dumps(dataset)),
        copy(dataset),
        deepcopy(dataset),
    ):
        same(list(again), samples)
        same(list(DataLoader(again, batch_size=5)), list(DataLoader(dataset, batch_size=5)))
    assert b"_rows" not in pickle.dumps(dataset), "what can be found again is not stored"


def test_a_benchmarks_images_are_found_by_name() -> None:
    data = Samples(X, Y)
    benchmark = make_benchmark("permuted", ImageData(data, data, torch.zeros(1), ""), Context(), experiences=2)
    found = images_of(benchmark)
    assert sorted(found) == ["test/0", "test/1", "train/0", "train/1"]
    for experience in benchmark.train_stream:
        dataset = experience.dataset
        experience._dataset = ResidentDataset([dataset], transform_groups={"train": lambda x: -x, "eval": None})
    assert rows_of(benchmark.train_stream[0].dataset) is None
    assert images_of(benchmark) == found, "transformed or not"


def test_a_view_shares_images_and_labels(images: Images) -> None:
    view = images.view("seen otherwise", doubled_and_flat)
    assert view.x is images.x
    assert view.targets is images.targets
    assert (view.name, images.name, images.transform) == ("seen otherwise", "train", None)
    assert torch.equal(view.read(torch.tensor([3]))[0], 2 * X[3].flatten()[None])


def test_rows_of_several_sets_are_counted_through(images: Images) -> None:
    negative = Images(-X - 1, Y + 10, name="negative")
    dataset = resident_dataset([images, negative], [0, N, 3, N + 5, 3])
    expected = [X[0], -X[0] - 1, X[3], -X[5] - 1, X[3]]
    for read in (next(iter(DataLoader(dataset, batch_size=5))), default_collate(list(dataset))):
        assert torch.equal(read[0], torch.stack(expected))
        assert read[1].tolist() == [0, 10, 0, 12, 0]
    assert set(dataset.targets.uniques) == {0, 10, 12}
    assert [dataset.targets[i] for i in range(5)] == [0, 10, 0, 12, 0]


def test_values_to_be_predicted_stay_what_they_are() -> None:
    values = Images(X, Y.float() / 3, name="values")
    x, y, _ = next(iter(DataLoader(resident_dataset(values), batch_size=N)))
    assert (x.dtype, y.dtype) == (torch.float32, torch.float32)
    assert torch.equal(y, Y / 3)
    assert len(resident_dataset(values)) == N
