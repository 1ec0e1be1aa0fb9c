"""Data sets on disk, in torchvision's own layout: found, refused with a reason, and normalized."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from lifelong.contracts import Context
from lifelong.data import images
from lifelong.data.images import Samples
from lifelong.errors import DataError

RANDOM = np.random.default_rng(0)


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's files with 40 and 10 random images, and where they lie."""
    for split, count in (("train", 40), ("t10k", 10)):
        raw = tmp_path / "MNIST" / "raw"
        write_idx(raw / f"{split}-images-idx3-ubyte", RANDOM.integers(0, 256, (count, 28, 28)))
        write_idx(raw / f"{split}-labels-idx1-ubyte", np.arange(count) % 10)
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)


def test_loads_what_torchvision_loads(mnist: Path) -> None:
    data = images.load("MNIST", Context(data=mnist))
    for split, train in ((data.train, True), (data.test, False)):
        reference = torchvision.datasets.MNIST(mnist, train=train)
        pixels = torchvision.datasets.MNIST(mnist).data.double()
        expected = (reference.data.double() - pixels.mean()) / pixels.std(correction=0)
        torch.testing.assert_close(split.x, expected[:, None].float(), rtol=1e-5, atol=1e-5)
        assert split.x.is_contiguous()
        assert split.y.dtype == torch.int64
        assert torch.equal(split.y, reference.targets)
    assert data.classes == 10
    assert abs(data.train.x.mean()) < 1e-5
    assert abs(data.train.x.std() - 1) < 1e-4


def test_normalizes_each_channel_by_the_training_split() -> None:
    raw = {
        True: Samples(torch.from_numpy(RANDOM.integers(0, 256, (2500, 3, 4, 5), np.uint8)), torch.zeros(2500).long()),
        False: Samples(torch.full((6, 3, 4, 5), 255, dtype=torch.uint8), torch.zeros(6).long()),
    }
    raw[True].x[:, 1] //= 3
    data = images.normalized(raw.__getitem__, "cpu")
    torch.testing.assert_close(data.train.x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(data.train.x.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)
    reference = raw[True].x.double()
    mean, std = reference.mean((0, 2, 3)), reference.std((0, 2, 3), correction=0)
    torch.testing.assert_close(data.test.x[0, :, 0, 0].double(), (255 - mean) / std, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(data.black.double(), -mean / std, atol=1e-5, rtol=1e-5)


def test_the_hash_is_of_the_raw_bytes(mnist: Path) -> None:
    digest = hashlib.sha256()
    for train in (True, False):
        reference = torchvision.datasets.MNIST(mnist, train=train)
        digest.update(reference.data.numpy().tobytes())
        digest.update(reference.targets.numpy().tobytes())
    assert images.load("MNIST", Context(data=mnist)).sha256 == digest.hexdigest()


@pytest.mark.usefixtures("offline")
def test_absent_files_are_listed_with_the_ways_to_name_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        images.ensure("KMNIST", Context(data=tmp_path / "nowhere"))
    message = str(caught.value)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        assert str(tmp_path / "nowhere" / "KMNIST" / "raw" / f"{name}-ubyte") + ": absent" in message
    assert "no network" in message
    assert "--data" in message
    assert "LIFELONG_DATA" in message


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("keep", [0, 3, 8, 200])
def test_a_truncated_file_is_named(mnist: Path, keep: int) -> None:
    file = mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        images.load("MNIST", Context(data=mnist))
    assert f"{file}: damaged" in str(caught.value)
    assert "absent" not in str(caught.value)


def test_zipped_files_are_extracted(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = []
    for file in sorted((mnist / "MNIST" / "raw").iterdir()):
        zipped = file.with_name(file.name + ".gz")
        zipped.write_bytes(gzip.compress(file.read_bytes()))
        resources.append((zipped.name, hashlib.md5(zipped.read_bytes()).hexdigest()))
        file.unlink()
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(
        "torchvision.datasets.utils._urlretrieve", lambda *_: pytest.fail("nothing is to be downloaded")
    )
    assert len(images.missing("MNIST", Context(data=mnist))) == 4
    assert len(images.load("MNIST", Context(data=mnist)).train.x) == 40


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match=r"could not be extracted or downloaded: .*Not a directory"):
        images.ensure("MNIST", Context(data=blocked))


def test_where_the_data_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert images.data_folder(Context(data=tmp_path)) == tmp_path
    assert images.data_folder(Context()) == tmp_path / "named"
    monkeypatch.delenv("LIFELONG_DATA")
    assert images.data_folder(Context()) == tmp_path / "cache" / "lifelong"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert images.data_folder(Context()) == tmp_path / ".cache" / "lifelong"


class OldType:
    """Pickles as numpy's dtype did when CIFAR was published, which today's numpy warns of."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """Pickles as a numpy array of bytes of that time."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments, _ = self.values.__reduce__()
        return rebuild, arguments, (1, self.values.shape, OldType(), False, self.values.tobytes())


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    """CIFAR-10's files with ten random images each, and the training images in order, (50, 3, 32, 32)."""
    dataset = torchvision.datasets.CIFAR10
    folder = tmp_path / dataset.base_folder
    folder.mkdir()

    def write(name: str, content: dict[str, Any]) -> str:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    pixels = RANDOM.integers(0, 256, (60, 3072), np.uint8)
    sums = [
        [name, write(name, {"data": OldArray(pixels[i * 10 : i * 10 + 10]), "labels": list(range(10))})]
        for i, (name, _) in enumerate(dataset.train_list + dataset.test_list)
    ]
    meta = dict(dataset.meta, md5=write("batches.meta", {"label_names": list("abcdefghij")}))
    monkeypatch.setattr(dataset, "train_list", sums[:5])
    monkeypatch.setattr(dataset, "test_list", sums[5:])
    monkeypatch.setattr(dataset, "meta", meta)
    return tmp_path, pixels[:50].reshape(50, 3, 32, 32)


def test_cifar_keeps_its_channels_and_rows(cifar: tuple[Path, np.ndarray]) -> None:
    root, pixels = cifar
    data = images.load("CIFAR10", Context(data=root))
    mean, std = pixels.mean((0, 2, 3), dtype=np.float64), pixels.std((0, 2, 3), dtype=np.float64)
    expected = (pixels - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(data.train.x.numpy(), expected, atol=1e-5)
    assert data.test.x.shape == (10, 3, 32, 32)
    assert data.test.y.tolist() == list(range(10))


@pytest.mark.usefixtures("offline")
def test_cifar_with_a_changed_byte_is_refused(cifar: tuple[Path, np.ndarray]) -> None:
    root, _ = cifar
    file = root / "cifar-10-batches-py" / "data_batch_3"
    content = bytearray(file.read_bytes())
    content[-200] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        images.ensure("CIFAR10", Context(data=root))
    assert f"{file}: damaged" in str(caught.value)
    assert "data_batch_2" not in str(caught.value)


@pytest.mark.parametrize(("name", "mean"), [("MNIST", 0.1307), ("FashionMNIST", 0.2860), ("KMNIST", 0.1918)])
def test_the_real_files_have_their_published_mean(name: images.Name, mean: float) -> None:
    if not os.environ.get("LIFELONG_DATA") or images.missing(name, Context()):
        pytest.skip(f"LIFELONG_DATA holds no {name}")
    raw = images._read(name, images.data_folder(Context()), train=True)
    assert images._statistics(raw.x)[0].item() / 255 == pytest.approx(mean, abs=5e-4)
    assert raw.x.shape == (60_000, 1, 28, 28)
