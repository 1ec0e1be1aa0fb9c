"""Networks of other libraries, by name: `torchvision:resnet18`, `timm:vit_tiny_patch16_224`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from lifelong.errors import UsageError, unknown
from lifelong.models.contract import Model

if TYPE_CHECKING:
    from torch import nn

Maker = Callable[[str, bool], Any]
"""Makes the network of a name, with published weights or without."""

WITHOUT_AUXILIARY = {"aux_logits": False, "init_weights": True}
AUXILIARY = ("googlenet", "inception_v3")
"""The networks of torchvision that would have further heads in training."""

DESCRIPTION = """The network {name} of {library}, with a new head.

An image of one channel is repeated in all three. Weights are drawn from the seed, or are those that {library}
publishes.

Args:
    pretrained: whether it starts from published weights, which are downloaded on first use.
    size: the side in pixels to which images are resized, by the batch and on the device; none keeps them as they are.
"""


def library_model(library: str, name: str) -> Model:
    """Return the model of that name in a library.

    Args:
        library: one of `LIBRARIES`.
        name: the library's name of the network.

    Raises:
        UsageError: if the library is not installed, or has no such network for images.
    """
    maker, names = LIBRARIES[library]()
    if name not in names:
        raise unknown(f"network of {library}", name, names)

    def make(input_shape: tuple[int, ...], pretrained: bool = False, size: int | None = None) -> nn.Module:
        import torch

        from lifelong.models.fitting import Fitted, fits
        from lifelong.models.whole import split

        try:
            network = maker(name, pretrained)
        except (OSError, RuntimeError) as error:
            if not pretrained:
                raise
            raise UsageError(
                f"its weights are not at hand, and cannot be downloaded ({type(error).__name__}); "
                "with pretrained = false they are drawn from the seed"
            ) from None
        if not fits(input_shape, size):
            network = Fitted(network, size)
        parts = split(network, torch.zeros(1, *input_shape))
        if parts is None:
            raise UsageError("it does not end in a linear layer, which a new head could replace")
        features: nn.Module = parts[0]
        return features

    make.__doc__ = DESCRIPTION.format(library=library, name=name)
    make.__module__ = library
    return Model(make, f"{library}:{name}", source=f"{library}, {name}")


def _torchvision() -> tuple[Maker, Collection[str]]:
    from torchvision import models

    def maker(name: str, pretrained: bool) -> Any:
        more = WITHOUT_AUXILIARY if name in AUXILIARY else {}
        return models.get_model(name, weights="DEFAULT" if pretrained else None, **more)

    return maker, models.list_models(module=models)


def _timm() -> tuple[Maker, Collection[str]]:
    try:
        import timm
    except ImportError:
        raise UsageError("networks of timm need timm: pip install 'lifelong[pretrained]'") from None

    def maker(name: str, pretrained: bool) -> Any:
        return timm.create_model(name, pretrained=pretrained)

    return maker, {*timm.list_models(), *timm.list_pretrained()}


LIBRARIES: dict[str, Callable[[], tuple[Maker, Collection[str]]]] = {"torchvision": _torchvision, "timm": _timm}
"""The libraries, by the word before the colon."""
