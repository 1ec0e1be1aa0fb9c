"""Image data sets: they are found or downloaded, checked, and normalized once to float32 tensors on one device."""

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
"""The seconds that a server may stay silent before a download counts as failed."""


class Samples(NamedTuple):
    """Images and their labels.

    Attributes:
        x: the images, of shape (N, channels, height, width).
        y: the labels, int64, of shape (N,).
    """

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class ImageData:
    """A data set in memory. Each channel has mean 0 and standard deviation 1 over the training split.

    Attributes:
        train: float32 images and labels of the training split.
        test: float32 images and labels of the test split.
        black: for each channel the value that a pixel of value zero now has, of shape (channels,).
        sha256: the SHA-256 hash of the raw images and labels of both splits, in hex.
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
    """Return a torchvision data set on the context's device; it is downloaded on first use.

    Raises:
        DataError: if the files are absent and cannot be downloaded, or are damaged.
    """
    ensure(name, context)
    return normalized(lambda train: _read(name, data_folder(context), train), context.device)


def normalized(read: Callable[[bool], Samples], device: str | torch.device) -> ImageData:
    """Normalize a data set of bytes, one split after the other, so that only one at a time is in memory as bytes.

    Args:
        read: a function that returns the training split for True and the test split for False; images are uint8.
        device: the device that holds the result.
    """
    digest = hashlib.sha256()
    raw = read(True)
    mean, std = _statistics(raw.x)
    train = _normalized(raw, mean, std, device, digest.update)
    del raw
    test = _normalized(read(False), mean, std, device, digest.update)
    return ImageData(train, test, (-mean / std).to(device), digest.hexdigest())


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, float32, of shape (channels,), from exact counts."""
    values = torch.arange(256, dtype=torch.float64)
    counts = torch.stack([_histogram(x[:, channel]) for channel in range(x.shape[1])])
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ values
    variance = share @ values.square() - mean.square()
    return mean.float(), variance.sqrt().float()


def _histogram(x: Tensor) -> Tensor:
    """Count the values 0 to 255; returns shape (256,).

    It counts a part at a time, because `bincount` widens its input to eight bytes for each value.
    """
    counts = torch.zeros(256, dtype=torch.float64)
    for start in range(0, len(x), 1000):
        counts += torch.bincount(x[start : start + 1000].flatten(), minlength=256)
    return counts


def _normalized(
    raw: Samples, mean: Tensor, std: Tensor, device: str | torch.device, digest: Callable[[Any], None]
) -> Samples:
    for tensor in raw:
        digest(np.ascontiguousarray(tensor.numpy()))
    # to save memory and transfer, bytes go to the device before they are widened, and the arithmetic is in place
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
    """Hide numpy's warning that an old version pickled CIFAR's files, because the user cannot mend that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        yield


def _dataset(name: Name) -> Any:
    return getattr(torchvision.datasets, name)


def data_folder(context: Context) -> Path:
    """Return the context's folder of data sets, else `LIFELONG_DATA`, else `lifelong` in the user's cache folder."""
    if context.data is not None:
        return Path(context.data).expanduser()
    if folder := os.environ.get("LIFELONG_DATA"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lifelong"


def ensure(name: Name, context: Context) -> None:
    """Make sure that a data set can be read: check the files, and extract or download what is absent.

    Raises:
        DataError: if that fails. The message says which files are expected where.
    """
    if not missing(name, context):
        return
    reason = _fetch(name, data_folder(context))
    if faults := missing(name, context):
        files = "\n".join(f"  {path}: {what}" for path, what in faults.items())
        raise DataError(
            f"{name} is not complete:\n{files}\n"
            f"{reason or 'A damaged file is not replaced: remove it, to have it extracted or downloaded again.'}\n"
            f"Put the files there as torchvision lays them out (or {_packed(name)}), "
            "or name the folder that holds them with --data or LIFELONG_DATA."
        )


def _fetch(name: Name, root: Path) -> str:
    """Let torchvision extract or download the files; return why that failed, or an empty text."""
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
    """Name the packed files that torchvision extracts by itself."""
    dataset = _dataset(name)
    return "the .gz files" if issubclass(dataset, torchvision.datasets.MNIST) else str(dataset.filename)


def missing(name: Name, context: Context) -> dict[Path, str]:
    """Return the files of a data set that cannot be read, with what is wrong with each.

    It reads no more than needed. CIFAR's files are checked by torchvision's MD5 sums, the others against the size that
    their header states.
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
    """Tell what is wrong with a file of bytes in the IDX format; an empty text where nothing is.

    The format begins with the bytes 0, 0, 8 and n, and goes on with n sizes of four bytes.
    """
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        magic = file.read(4)
        sizes = np.frombuffer(file.read(4 * magic[3]) if len(magic) == 4 else b"", ">u4")
    if magic[:3] != b"\0\0\x08" or not 1 <= len(sizes) == magic[3]:
        return "damaged (no IDX header)"
    expected, actual = 4 + sizes.nbytes + prod(sizes.tolist()), path.stat().st_size
    return "" if actual == expected else f"damaged ({actual:,} bytes instead of {expected:,})"
