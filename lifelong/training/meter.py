"""What training costs, and how well a network does on what it is about to learn: an Avalanche plug-in counts both."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from torch import Size, Tensor

from lifelong.measures.capacity import measure

BACKWARD_AND_FORWARD = 3
"""The cost of a training step in forward passes: the backward pass multiplies with weights and with activations."""


class Meter(SupervisedPlugin):
    """Counts over the whole stream. Put it before the other plug-ins, so that the loss it sees is without penalties.

    It never waits for the device, and measures the network only after its tensors' shapes have changed.

    Args:
        classifies: whether the network classifies, so that there is an accuracy.

    Attributes:
        steps: the training iterations so far.
        samples: the samples trained on so far; a sample counts each time that it is trained on.
        training_macs: the multiply-accumulates of training so far: for each sample, three times those of a forward
            pass. Weights that are masked count too.
    """

    def __init__(self, classifies: bool = True) -> None:
        super().__init__()
        self.classifies = classifies
        self.steps = self.samples = self.training_macs = 0
        self._shapes: list[Size] = []
        self._macs = self._parameters = self._parameter_steps = 0
        self._restart()

    @property
    def average_parameters(self) -> float | None:
        """The mean number of parameters over the steps so far; None before the first."""
        return self._parameter_steps / self.steps if self.steps else None

    @property
    def online(self) -> dict[str, float | None]:
        """Mean loss and accuracy over the first epoch of the last training, each batch judged before its update.

        They are called `online_loss` and `online_accuracy` (in [0, 1]), and None where nothing was judged.
        """
        loss = float(self._loss) / self._judged if self._judged else None
        accuracy = float(self._right) / self._judged if isinstance(self._right, Tensor) else None
        return {"online_loss": loss, "online_accuracy": accuracy}

    def before_training_exp(self, *_: object, **__: object) -> None:
        self._restart()

    def before_training_iteration(self, strategy: Any, **_: object) -> None:
        shapes = [parameter.shape for parameter in strategy.model.parameters()]
        if shapes != self._shapes:
            size = measure(strategy.model, strategy.mb_x[:1], strategy.mb_task_id[:1])
            self._shapes, self._parameters, self._macs = shapes, size.parameters, size.macs

    def before_backward(self, strategy: Any, **_: object) -> None:
        apart = getattr(strategy, "mb_buffer_x", None)  # the memory's batch, where it is kept apart
        samples = len(strategy.mb_x) + (0 if apart is None else len(apart))
        self.steps += 1
        self.samples += samples
        self.training_macs += BACKWARD_AND_FORWARD * self._macs * samples
        self._parameter_steps += self._parameters
        if strategy.clock.train_exp_epochs == 0:
            self._judge(strategy)

    @torch.no_grad()
    def _judge(self, strategy: Any) -> None:
        self._judged += len(strategy.mb_y)
        self._loss += strategy._criterion(strategy.mb_output, strategy.mb_y) * len(strategy.mb_y)
        # an output of more dimensions holds views that are only compared with each other, and no answer
        if self.classifies and strategy.mb_output.dim() == 2:
            self._right += (strategy.mb_output.argmax(dim=1) == strategy.mb_y).sum()

    def _restart(self) -> None:
        self._judged = 0
        self._loss: Tensor | float = 0.0
        self._right: Tensor | int = 0


def meter_of(strategy: Any) -> Meter:
    """Return the meter of a strategy; where there is none, put a new one before the other plug-ins.

    Args:
        strategy: an Avalanche strategy.
    """
    for plugin in strategy.plugins:
        if isinstance(plugin, Meter):
            return plugin
    meter = Meter()
    strategy.plugins.insert(0, meter)
    return meter
