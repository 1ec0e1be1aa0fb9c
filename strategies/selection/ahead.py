"""The network as it would be after one step on the current batch."""

from __future__ import annotations

import torch
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from lifelong.structure.contexts import evaluating


def one_step_ahead(strategy: SupervisedTemplate) -> dict[str, Tensor]:
    """Return the parameters that one step of plain gradient descent on the current batch would change, after that step.

    The step has the optimizer's learning rate. The network itself, and its batch statistics, stay as they are.
    """
    network = strategy.model
    parameters = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    with evaluating(network):
        output = avalanche_forward(network, strategy.mb_x, strategy.mb_task_id)
        slopes = torch.autograd.grad(
            strategy._criterion(output, strategy.mb_y), list(parameters.values()), allow_unused=True
        )
    rate = strategy.optimizer.param_groups[0]["lr"]
    pairs = zip(parameters.items(), slopes, strict=True)
    return {name: parameter.detach() - rate * slope for (name, parameter), slope in pairs if slope is not None}
