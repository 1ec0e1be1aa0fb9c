"""Modules that take another's place: `Inserted` adds a layer behind it, `Removed` leaves a translator or nothing.

Each can be built again from plain data, around the module that a network's constructor makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.structure.errors import StructureError

Spec = Mapping[str, Any]
"""What a module is built from, as JSON knows it."""

ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish"),
    *("ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softsign", "Tanh"),
)
"""Names in `torch.nn` of activations that are elementwise, have no parameters, and are made without arguments."""


class Inserted(nn.Sequential):
    """Holds a module, as `0`, and the layer that was inserted behind it, as `1`.

    Args:
        original: the module.
        spec: `units`, `spatial` (the dimensions behind the units', 0 for a linear layer), `activation` (its name in
            `torch.nn` and its arguments, or None) and `hidden` (units of a residual layer, or None for an identity).
        like: a tensor whose device and dtype the layer's tensors take.
    """

    def __init__(self, original: nn.Module, spec: Spec, like: Tensor | None = None) -> None:
        super().__init__(original, _identity(spec) if spec["hidden"] is None else _Residual(spec))
        self._spec = dict(spec)
        _place(self[1], original, like)
        self.training = original.training

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return what the layer makes of what the module returns."""
        output: Tensor = self[1](self[0](*args, **kwargs))
        return output

    def spec(self) -> dict[str, Any]:
        """Return what `build_from` makes such a module of, with the sizes that it was inserted with."""
        return {"module": "Inserted", **self._spec}


class Removed(nn.Sequential):
    """Is what is left of a removed module: the identity, or a translator.

    Only the first argument is used. Others, such as masks, were the removed module's options.

    Args:
        original: the module that was there.
        spec: `translator`: None, or `units` (read and returned), `spatial` (as of `Inserted`) and `pool` (the sizes
            that pooling brings these dimensions to, or None).
        like: a tensor whose device and dtype the translator's tensors take.
    """

    def __init__(self, original: nn.Module, spec: Spec, like: Tensor | None = None) -> None:
        super().__init__(*_translator(spec["translator"]))
        self._spec = dict(spec)
        _place(self, original, like)

    def forward(self, input: Tensor, *_: Any, **__: Any) -> Tensor:  # noqa: A002 - named as the superclass has it
        """Return the input, or what the translator makes of it."""
        # A copy: what follows may change it in place, and a shortcut may still read the input.
        output = input if len(self) else input.clone()
        for module in self:
            output = module(output)
        return output

    def spec(self) -> dict[str, Any]:
        """Return what `build_from` makes such a module of, with the sizes that it was made with."""
        return {"module": "Removed", **self._spec}


def build_from(spec: Spec, original: nn.Module, like: Tensor | None = None) -> nn.Module:
    """Build the module that stood in the place of `original` from its `spec()`.

    Where such modules are nested, the outer ones are built first, in the order of `named_modules()`.

    Args:
        spec: what `Inserted.spec` or `Removed.spec` returned.
        original: the module that is there in the network that is rebuilt.
        like: a tensor whose device and dtype new tensors take; by default the first parameter of `original`.

    Returns:
        An `Inserted` or a `Removed` around `original`.

    Raises:
        StructureError: if the spec is damaged.
    """
    kinds: dict[str, type[Inserted | Removed]] = {"Inserted": Inserted, "Removed": Removed}
    like = next(original.parameters(), None) if like is None else like
    try:
        data = dict(spec)
        return kinds[data.pop("module")](original, data, like)
    except (KeyError, TypeError, IndexError, RuntimeError, ValueError) as error:
        raise StructureError(f"no inserted or removed layer can be built from {spec}: {error!r}") from error


class _Residual(nn.Sequential):
    """Computes x + W2 f(W1 x), where W2 starts at zero."""

    def __init__(self, spec: Spec) -> None:
        units, hidden, spatial = spec["units"], spec["hidden"], spec["spatial"]
        last = _linear(hidden, units, spatial, kernel=3)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        super().__init__(_linear(units, hidden, spatial, kernel=3), _activation(spec["activation"]), last)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - named as the superclass has it
        reading, activation, writing = self
        output: Tensor = input + writing(activation(reading(input)))
        return output


def _identity(spec: Spec) -> nn.Module:
    with torch.device("meta"):  # so that nothing is drawn
        layer = _linear(spec["units"], spec["units"], spec["spatial"], kernel=3)
    weight, bias = layer.to_empty(device="cpu").parameters()
    (nn.init.dirac_ if spec["spatial"] else nn.init.eye_)(weight)
    nn.init.zeros_(bias)
    return layer if spec["activation"] is None else nn.Sequential(layer, _activation(spec["activation"]))


def _translator(spec: Spec | None) -> list[nn.Module]:
    if spec is None:
        return []
    (read, returned), spatial = spec["units"], spec["spatial"]
    pools = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
    modules: list[nn.Module] = [pools[spatial - 1](spec["pool"])] if spec["pool"] else []
    return modules if read == returned else [*modules, _linear(read, returned, spatial, kernel=1)]


def _linear(read: int, returned: int, spatial: int, kernel: int) -> nn.Module:
    if not spatial:
        return nn.Linear(read, returned)
    # The padding keeps height and width as they are.
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial - 1]
    return convolution(read, returned, kernel, padding=kernel // 2)


def _activation(call: list[Any]) -> nn.Module:
    name, *arguments = call
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}")
    module: nn.Module = getattr(nn, name)(*arguments)
    return module


def _place(new: nn.Module, original: nn.Module, like: Tensor | None) -> None:
    """Give a new module the mode of the original, and the device and dtype of a tensor."""
    new.train(original.training)
    if like is not None:
        new.to(like.device, like.dtype)
