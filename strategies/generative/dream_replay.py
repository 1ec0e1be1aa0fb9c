"""Deep generative replay: a generator is trained beside the network, and draws earlier experiences for both."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models.utils import is_multi_task_module
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from lifelong.data.drawing import Reader


class VAE(nn.Module):
    """Is the symmetric variational autoencoder of van de Ven & Tolias 2019: fully connected, with sigmoid outputs.

    Pixels are rescaled to [0, 1] by the least and the largest value of each channel in the first data. Values of later
    data that lie outside are moved to the edge.

    Args:
        shape: shape of one input; its first dimension is the channels, or the only one.
        units: number of units of each hidden layer; encoder and decoder have two each.
        latent: number of dimensions of the code.
    """

    low: Tensor
    span: Tensor

    def __init__(self, shape: tuple[int, ...], units: int, latent: int) -> None:
        super().__init__()
        size = torch.Size(shape).numel()
        self.shape = shape
        self.latent = latent
        self.encoder = nn.Sequential(nn.Linear(size, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU())
        self.to_mean, self.to_log_variance = nn.Linear(units, latent), nn.Linear(units, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, size)
        )
        per_channel = (shape[0], *(1 for _ in shape[1:])) if len(shape) > 1 else (1,)
        self.register_buffer("low", torch.zeros(per_channel))
        self.register_buffer("span", torch.ones(per_channel))

    def rescale(self, batches: Iterable[Tensor]) -> None:
        """Find the range of each channel.

        Args:
            batches: batches of inputs, each of shape (n, *shape).
        """
        values = [x.movedim(0, -1).reshape(*self.low.shape, -1) for x in batches]
        self.low = torch.stack([x.amin(-1) for x in values]).amin(0)
        high = torch.stack([x.amax(-1) for x in values]).amax(0)
        self.span = torch.where(high > self.low, high - self.low, 1.0)

    def loss(self, x: Tensor) -> Tensor:
        """Return the negative evidence lower bound in nats, mean over a batch of shape (n, *shape)."""
        pixels = ((x - self.low) / self.span).clamp(0, 1).flatten(1)
        code = self.encoder(pixels)
        mean, log_variance = self.to_mean(code), self.to_log_variance(code)
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        missed = binary_cross_entropy_with_logits(self.decoder(drawn), pixels, reduction="sum")
        divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum()
        bound: Tensor = (missed + divergence) / len(x)
        return bound

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Draw inputs from the generator, of shape (count, *shape)."""
        code = torch.randn(count, self.latent, device=self.low.device)
        pixels = self.decoder(code).sigmoid().reshape(count, *self.shape)
        drawn: Tensor = pixels * self.span + self.low
        return drawn


class DreamReplay(SupervisedPlugin):
    """Replays what a generator draws, labelled by the network as it was before this experience.

    In the k-th experience batches of data weigh 1/k and replayed ones 1 - 1/k. The network and the generator are
    trained in turn, on the same samples.

    Args:
        generator: untrained.
        lr: learning rate of the generator's Adam.
        temperature: temperature of the labels' softmax; None for the likeliest class alone.
    """

    def __init__(self, generator: VAE, lr: float, temperature: float | None) -> None:
        super().__init__()
        self.generator = generator
        self.temperature = temperature
        self._optimizer = torch.optim.Adam(generator.parameters(), lr, fused=True)
        self._earlier: tuple[nn.Module, VAE] | None = None
        self._experiences = 0

    def before_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        self._experiences += 1
        if self._earlier is None:
            batches = Reader(strategy.adapted_dataset).in_order(strategy.eval_mb_size)
            self.generator.rescale(x.to(strategy.device) for x, *_ in batches)

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.mb_buffer_x = None if self._earlier is None else self._earlier[1].sample(len(strategy.mb_x))

    def before_backward(self, strategy: SupervisedTemplate, **_: object) -> None:
        if self._earlier is not None:
            replayed = self._replayed(self._earlier[0], strategy.model, strategy.mb_buffer_x)
            strategy.loss = self._weighed(strategy.loss, replayed)

    def after_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        loss = self.generator.loss(strategy.mb_x)
        if self._earlier is not None:
            loss = self._weighed(loss, self.generator.loss(strategy.mb_buffer_x))
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def after_training_exp(self, strategy: SupervisedTemplate, **_: object) -> None:
        strategy.mb_buffer_x = None
        teacher, generator = deepcopy((strategy.model, self.generator))
        self._earlier = teacher.eval().requires_grad_(False), generator.requires_grad_(False)

    def _weighed(self, loss: Tensor, replayed: Tensor) -> Tensor:
        share = 1 / self._experiences
        return share * loss + (1 - share) * replayed

    def _replayed(self, teacher: nn.Module, network: nn.Module, x: Tensor) -> Tensor:
        """Return the loss on replayed samples; with a head for each task, the mean over the earlier tasks' heads."""
        with torch.no_grad():
            targets = _logits(teacher, x)
        outputs = _logits(network, x)
        return torch.stack([self._loss(outputs[task], target) for task, target in targets.items()]).mean()

    def _loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.temperature is None:
            return cross_entropy(output, target.argmax(dim=1))
        soft = (target / self.temperature).softmax(dim=1)
        return self.temperature**2 * cross_entropy(output / self.temperature, soft)


def _logits(network: nn.Module, x: Tensor) -> dict[int, Tensor]:
    """Return the logits of each task that the network was trained on; those of task 0 where it has one head."""
    logits: dict[int, Tensor] = network(x, None) if is_multi_task_module(network) else {0: network(x)}
    return logits
