"""What the built-in networks share: their activations and normalisations, and the checks of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "leaky-relu", "smooth-leaky", "gelu", "tanh", "crelu"]
"""The nonlinearities: ReLU; leaky ReLU with slope 0.01; `SmoothLeaky`; GELU; tanh; `CReLU`."""

Normalization = Literal["none", "batch", "layer"]
"""What is normalised before each nonlinearity: nothing, each unit over the batch, or each sample over its units."""


def activation_of(name: Activation) -> nn.Module:
    """Return a new module of the nonlinearity."""
    from torch import nn

    from lifelong.models.activations import CReLU, SmoothLeaky

    makers: dict[str, type[nn.Module]] = {
        "leaky-relu": nn.LeakyReLU,
        "smooth-leaky": SmoothLeaky,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
        "crelu": CReLU,
    }
    return makers.get(name, nn.ReLU)()


def widening(name: Activation) -> int:
    """Return how many outputs the nonlinearity has for each input."""
    return 2 if name == "crelu" else 1


def normalization_of(name: Normalization, units: int, dimensions: int) -> Sequence[nn.Module]:
    """Return the normalisation as a list of at most one module.

    A sample's channels are normalised together, over all places, by group normalisation with a single group.

    Args:
        name: what is normalised.
        units: the units or channels.
        dimensions: the dimensions beside the channels: 0 of fully connected layers, 1 of sequences, 2 of images.
    """
    from torch import nn

    if name == "batch":
        return [(nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[dimensions](units)]
    if name == "layer":
        return [nn.GroupNorm(1, units) if dimensions else nn.LayerNorm(units)]
    return []


def check_image(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return channels, height and width.

    Raises:
        ValueError: if the input is no image.
    """
    if len(input_shape) != 3:
        raise ValueError(f"takes images of shape (channels, height, width), not {input_shape}; 'mlp' takes any input")
    channels, height, width = input_shape
    return channels, height, width


def check_sequence(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the two sizes of a sequence. A gray image is a sequence of its rows.

    Raises:
        ValueError: if the input is neither.
    """
    if len(input_shape) == 3 and input_shape[0] == 1:
        return input_shape[1], input_shape[2]
    if len(input_shape) != 2:
        raise ValueError(f"takes sequences of two dimensions and gray images, not {input_shape}; 'mlp' takes any input")
    return input_shape[0], input_shape[1]


def as_rows(input_shape: tuple[int, ...]) -> list[tuple[str, nn.Module]]:
    """Return a layer, with its name, that makes a gray image a sequence of its rows; none for what is a sequence."""
    from torch import nn

    return [("rows", nn.Flatten(1, 2))] if len(input_shape) == 3 else []


def check_positive(name: str, sizes: Sequence[int]) -> None:
    """Check sizes.

    Raises:
        ValueError: if one of them is below one.
    """
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} = {list(sizes)}: each must be at least 1")


def fully_connected(
    inputs: int, widths: tuple[int, ...], dropout: float, activation: Activation, normalization: Normalization
) -> list[tuple[str, nn.Module]]:
    """Return the layers of an MLP with their names, beginning with one that flattens.

    Raises:
        ValueError: if a width or the dropout is out of range.
    """
    from torch import nn

    check_positive("widths", widths)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout} is not in [0, 1)")
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for number, width in enumerate(widths, start=1):
        layers.append((f"fc{number}", nn.Linear(inputs, width)))
        layers += [(f"fc{number}_norm", norm) for norm in normalization_of(normalization, width, 0)]
        layers.append((f"fc{number}_{activation.replace('-', '_')}", activation_of(activation)))
        if dropout:
            layers.append((f"fc{number}_dropout", nn.Dropout(dropout)))
        inputs = width * widening(activation)
    return layers
