"""Image data sets: found or downloaded, checked, and normalized once into float32 tensors on one device."""

from __future__ import annotations

import hashlib
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from lifelong.contracts import Context
from lifelong.errors import DataError

Name = Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100"]
"""The data sets that torchvision downloads and reads, by the names of its classes."""

TIMEOUT_S = 30.0
"""How long a server may stay silent before a download counts as failed."""


class Samples(NamedTuple):
    """Images of shape (N, channels, height, width) and their labels, int64, of shape (N,)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class ImageData:
    """A data set in memory, normalized to mean 0 and standard deviation 1 for each channel of the training split.

    Attributes:
        train: float32 images and labels of the training split.
        test: of the test split.
        black: what a pixel of value zero has become, for each channel, of shape (channels,).
        sha256: of the raw images and labels of both splits, in hex.
    """

    train: Samples
    test: Samples
    black: Tensor
    sha256: str

    @property
    def classes(self) -> int:
        """How many classes there are; labels are 0 to classes - 1."""
        return int(self.train.y.max()) + 1


def load(name: Name, context: Context) -> ImageData:
    """A torchvision data set on the context's device, downloaded on first use.

    Raises:
        DataError: if the files are absent and cannot be downloaded, or are damaged.
    """
    ensure(name, context)
    return normalized(lambda train: _read(name, data_folder(context), train), context.device)


def normalized(read: Callable[[bool], Samples], device: str | torch.device) -> ImageData:
    """Normalize a data set of bytes, one split after the other, so that at most one is in memory as bytes.

    Args:
        read: gives the training split for True and the test split for False; images are uint8.
        device: where the result lies.
    """
    digest = hashlib.sha256()
    raw = read(True)
    mean, std = _statistics(raw.x)
    train = _normalized(raw, mean, std, device, digest.update)
    del raw
    test = _normalized(read(False), mean, std, device, digest.update)
    return ImageData(train, test, (-mean / std).to(device), digest.hexdigest())


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, float32, of shape (channels,), from exact counts of the values."""
    values = torch.arange(256, dtype=torch.float64)
    counts = torch.stack([_histogram(x[:, channel]) for channel in range(x.shape[1])])
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ values
    variance = share @ values.square() - mean.square()
    return mean.float(), variance.sqrt().float()


def _histogram(x: Tensor) -> Tensor:
    """Counts of the values 0 to 255, a part at a time, for `bincount` widens its input to eight bytes a value."""
    counts = torch.zeros(256, dtype=torch.float64)
    for start in range(0, len(x), 1000):
        counts += torch.bincount(x[start : start + 1000].flatten(), minlength=256)
    return counts


def _normalized(
    raw: Samples, mean: Tensor, std: Tensor, device: str | torch.device, digest: Callable[[Any], None]
) -> Samples:
    for tensor in raw:
        digest(np.ascontiguousarray(tensor.numpy()))
    # The bytes travel to the device before they are widened, and the arithmetic is in place.
    x = raw.x.to(device).float()
    x.sub_(mean.to(device)[:, None, None]).div_(std.to(device)[:, None, None])
    return Samples(x, raw.y.to(device))


def _read(name: Name, root: Path, train: bool) -> Samples:
    try:
        with _old_pickles():
            dataset = _dataset(name)(root, train=train)
    except Exception as error:  # what torchvision raises over a damaged file depends on where the damage lies
        raise DataError(f"{name} in {root} cannot be read: {type(error).__name__}: {error}") from error
    x = torch.as_tensor(dataset.data)
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return Samples(x, torch.as_tensor(dataset.targets))


@contextmanager
def _old_pickles() -> Iterator[None]:
    """CIFAR's files were pickled by a numpy so old that today's warns of it, which the reader cannot mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        yield


def _dataset(name: Name) -> Any:
    return getattr(torchvision.datasets, name)


def data_folder(context: Context) -> Path:
    """The context's folder of data sets, else `LIFELONG_DATA`, else `lifelong` in the user's cache folder."""
    if context.data is not None:
        return Path(context.data).expanduser()
    if folder := os.environ.get("LIFELONG_DATA"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lifelong"


def ensure(name: Name, context: Context) -> None:
    """See that a data set can be read: extract or download what is absent, and check what is there.

    Raises:
        DataError: if that fails. The message says which files are expected where.
    """
    if not missing(name, context):
        return
    reason = _fetch(name, data_folder(context))
    if found := missing(name, context):
        files = "\n".join(f"  {path}: {what}" for path, what in found.items())
        raise DataError(
            f"{name} is not complete:\n{files}\n"
            f"{reason or 'A damaged file is not replaced: remove it, to have it extracted or downloaded again.'}\n"
            f"Put the files there as torchvision lays them out (or {_packed(name)}), "
            "or name the folder that holds them with --data or LIFELONG_DATA."
        )


def _fetch(name: Name, root: Path) -> str:
    """Let torchvision extract or download the files; returns why that failed, or an empty text."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        with _old_pickles():
            _dataset(name)(root, train=False, download=True)
    except Exception as error:  # servers, archives and folders fail in many ways, and each is the same to the user
        return f"It could not be extracted or downloaded: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        socket.setdefaulttimeout(before)
    return ""


def _packed(name: Name) -> str:
    """The packed form that torchvision extracts by itself, in words."""
    dataset = _dataset(name)
    return "the .gz files" if issubclass(dataset, torchvision.datasets.MNIST) else str(dataset.filename)


def missing(name: Name, context: Context) -> dict[Path, str]:
    """The files of a data set that cannot be read as they are, with what is wrong. Reads no more than it must.

    CIFAR's files are checked by torchvision's MD5 sums, the others against the size that their header states.
    """
    dataset, root = _dataset(name), data_folder(context)
    if issubclass(dataset, torchvision.datasets.MNIST):
        names = [Path(file).stem for file, _ in dataset.resources]
        faults = {path: _idx_fault(path) for path in (root / name / "raw" / file for file in names)}
    else:
        sums = [*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])]
        faults = {root / dataset.base_folder / file: "" for file, _ in sums}
        for path, (_, md5) in zip(faults, sums, strict=True):
            if not check_integrity(path, md5):
                faults[path] = "damaged (its MD5 sum is wrong)" if path.is_file() else "absent"
    return {path: fault for path, fault in faults.items() if fault}


def _idx_fault(path: Path) -> str:
    """What is wrong with a file of bytes in the IDX format, which begins with 0, 0, 8, n, and n sizes of four bytes."""
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        magic = file.read(4)
        sizes = np.frombuffer(file.read(4 * magic[3]) if len(magic) == 4 else b"", ">u4")
    if magic[:3] != b"\0\0\x08" or not 1 <= len(sizes) == magic[3]:
        return "damaged (no IDX header)"
    expected, actual = 4 + sizes.nbytes + prod(sizes.tolist()), path.stat().st_size
    return "" if actual == expected else f"damaged ({actual:,} bytes instead of {expected:,})"
