"""Networks that give each task a column (PNN) or a share of the weights (PackNet), and classifiers set aside (CWR*)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from avalanche.models import PNN, MultiHeadClassifier, avalanche_forward
from avalanche.models.packnet import PackNetModel, PackNetModule, PackNetPlugin, WeightAndBiasPackNetModule
from avalanche.models.pnn import PNNColumn, PNNLayer
from avalanche.training.plugins import CWRStarPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from lifelong.records.spec import Budget
from lifelong.seeds import untouched_generators


class _Lateral(PNNLayer):
    """Holds one layer of all columns. The newest column answers for a task without one; only training adds columns."""

    def adaptation(self, experience: Any) -> None:
        if self.training:
            super().adaptation(experience)

    def column_of(self, task_label: int) -> int:
        column: int = self.task_to_module_idx.get(task_label, self.num_columns - 1)
        return column

    def forward_single_task(self, x: Sequence[Tensor], task_label: int) -> list[Tensor]:
        """Return the output of each column up to the task's, which reads all columns before it, each (n, width)."""
        return [self.columns[index](x[: index + 1]) for index in range(self.column_of(task_label) + 1)]


class _Separate(_Lateral):
    """Holds the first layer, whose columns all read the input, and nothing of each other."""

    def _add_column(self) -> None:
        self.requires_grad_(False)
        self.columns.append(PNNColumn(self.in_features, self.out_features_per_column, 0, self.adapter))

    def forward_single_task(self, x: Sequence[Tensor], task_label: int) -> list[Tensor]:
        return [self.columns[index]([x[index]]) for index in range(self.column_of(task_label) + 1)]


class WorkingPNN(PNN):
    """Is a progressive network with layers of any widths, which evaluation neither grows nor breaks.

    Faults: Avalanche's evaluation adds a column for each task that is still to come, and freezes the one that is being
    trained; without that, a task that has no column raises a `KeyError`. The first layer ignores `adapter`, and its
    columns have lateral connections to the input, once for each earlier column, where the paper has none. Here
    training alone adds columns, and a task without a column is answered by the newest one.

    Args:
        in_features: number of entries of a flat sample.
        widths: widths of the layers of each column; at least one.
        classifier: a head for each task, which reads the last layer.
        adapter: how later columns read earlier ones.
    """

    layers: Any

    def __init__(self, in_features: int, widths: Sequence[int], classifier: MultiHeadClassifier, adapter: str) -> None:
        with untouched_generators():  # Avalanche draws a network here, which is replaced
            super().__init__(1, in_features, widths[0], adapter)
        lateral = [_Lateral(width, after, adapter) for width, after in pairwise(widths)]
        self.layers = nn.ModuleList([_Separate(in_features, widths[0], adapter), *lateral])
        self.classifier = classifier
        self.max_class_label = classifier.max_class_label

    def begin_as(self, layers: Sequence[nn.Linear]) -> None:
        """Make linear layers the first column."""
        for layer, given in zip(self.layers, layers, strict=True):
            layer.columns[0].itoh = given

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        """Return logits of a task's head on its column, of shape (n, classes of the task)."""
        column = self.layers[0].column_of(task_label)
        hidden = [x.flatten(1)] * (column + 1)
        for layer in self.layers:
            hidden = [torch.relu(each) for each in layer(hidden, task_label)]
        logits: Tensor = self.classifier(hidden[column], task_label)
        return logits


class WorkingPackNetModel(PackNetModel):
    """Is a packed network, with a head for each task or a single head that is packed too.

    Faults: Avalanche does not tell heads the task, so that a network with a head for each task cannot be called, and
    its heads would be packed before they are trained. A layer without a bias raises an error when it is frozen. Frozen
    weights are kept by a hook on their gradient, which is lost without notice when the network is pickled (see
    `WorkingPackNet`).

    Raises:
        ValueError: if a layer cannot be packed, such as one that normalises.
    """

    def __init__(self, network: nn.Module) -> None:
        heads = getattr(network, "classifier", None)
        if isinstance(heads, MultiHeadClassifier):
            network.classifier = nn.Identity()
        super().__init__(network)
        if isinstance(heads, MultiHeadClassifier):
            network.classifier = heads
        for layer in self.packed():
            layer.wrappee.weight._backward_hooks = None
            layer.has_bias = layer.wrappee.bias is not None

    def packed(self) -> list[WeightAndBiasPackNetModule]:
        """Return the layers that are shared out, in the network's order."""
        return [module for module in self.modules() if isinstance(module, WeightAndBiasPackNetModule)]

    def forward(self, x: Tensor, task_labels: Tensor) -> Tensor:
        """Return logits of a batch of one task; a task that has not been trained uses the free weights too."""
        self.activate_task(min(int(task_labels[0]), self.task_count))
        logits: Tensor = avalanche_forward(self.wrappee, x, task_labels)
        return logits


class WorkingPackNet(PackNetPlugin):
    """Is PackNet for budgets of any length and any optimizer, and can be pickled between experiences.

    Faults: the hook that keeps frozen weights does not hold against weight decay, and is lost by pickling; here the
    weights are put back after each step. Avalanche makes a new optimizer from the defaults of the old one, which AdamW
    does not accept; here only the moments are forgotten. Avalanche prunes after whole epochs, of which there must be
    two; here it prunes after a share of the updates. Avalanche's strategy around the plug-in ignores all other
    plug-ins.

    Args:
        prune_proportion: share of the weights that an experience trains that is pruned, in [0, 1].
        retrained: share of an experience's updates that come after pruning, in [0, 1].
        budget: the budget, in epochs or iterations.
    """

    def __init__(self, prune_proportion: float, retrained: float, budget: Budget) -> None:
        super().__init__(0, prune_proportion)
        self.share = prune_proportion
        self.retrained = retrained
        self.budget = budget
        self._prune_at = 0
        self._held: list[tuple[WeightAndBiasPackNetModule, Tensor]] = []

    def before_training(self, *_: object, **__: object) -> None:
        pass

    def before_training_exp(self, strategy: SupervisedTemplate, *_: object, **__: object) -> None:
        strategy.make_optimizer(reset_optimizer_state=True)
        updates = self.budget.updates(len(strategy.dataloader))
        assert updates is not None
        self._prune_at = max(1, round(updates * (1 - self.retrained)))
        self._hold(strategy.model)

    def before_training_epoch(self, *_: object, **__: object) -> None:
        pass

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        if strategy.clock.train_exp_iterations == self._prune_at:
            self._prune(strategy.model)

    def after_update(self, *_: object, **__: object) -> None:
        for layer, weight in self._held:
            trained = layer.wrappee.weight
            trained.data = torch.where(layer.unfrozen_mask, trained.data, weight)

    def after_training_exp(self, strategy: SupervisedTemplate, *_: object, **__: object) -> None:
        if strategy.model.state is PackNetModule.State.TRAINING:  # all updates came before
            self._prune(strategy.model)
        self._held = []
        strategy.model.freeze_pruned()

    def _prune(self, model: WorkingPackNetModel) -> None:
        model.prune(self.share)
        self._hold(model)

    def _hold(self, model: WorkingPackNetModel) -> None:
        self._held = [(layer, layer.wrappee.weight.detach().clone()) for layer in model.packed()]


class WorkingCWRStar(CWRStarPlugin):
    """Is CWR* without a bias in its layer, like the authors' networks.

    Fault: Avalanche consolidates weights, but leaves biases as the last experience made them, in favour of its classes.
    Here biases are zero.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        bias = self.get_cwr_layer().bias
        if bias is not None:
            bias.requires_grad_(False).zero_()
