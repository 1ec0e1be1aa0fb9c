"""Mends strategies that change the network: progressive networks (PNN), PackNet and CWR*."""

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
    """Holds one layer of all columns. Only training adds columns; a task without a column is given the newest."""

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
    """Holds the first layer, whose columns read the input alone and have no connections between them."""

    def _add_column(self) -> None:
        self.requires_grad_(False)
        self.columns.append(PNNColumn(self.in_features, self.out_features_per_column, 0, self.adapter))

    def forward_single_task(self, x: Sequence[Tensor], task_label: int) -> list[Tensor]:
        return [self.columns[index]([x[index]]) for index in range(self.column_of(task_label) + 1)]


class WorkingPNN(PNN):
    """Mends Avalanche's progressive networks (`PNN`), and lets each layer of a column have its own width.

    - *Evaluation changes the network.* `eval` adds a column for each task that it meets, and freezes all columns before
      the last. A stream that is evaluated after its first task therefore has columns for all tasks, and the column that
      is being trained learns no more. Here only training adds columns.
    - *A task without a column raises* `KeyError` *in the forward pass.* Here the newest column answers for it.
    - *The first layer ignores* `adapter`: it always uses the MLP. Its columns also have lateral connections that read
      the input again, once for each column before. The paper has none there, and neither has the first layer here.

    Args:
        in_features: the number of entries of a flat sample.
        widths: the width of each layer of a column, in units; at least one layer.
        classifier: the heads, one for each task, which read the last layer.
        adapter: how later columns read earlier ones: `linear` or `mlp`.
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
        """Make linear layers the first column; their widths must be those of the column."""
        for layer, given in zip(self.layers, layers, strict=True):
            layer.columns[0].itoh = given

    def forward_single_task(self, x: Tensor, task_label: int) -> Tensor:
        """Return the logits of a task's head, which reads the task's column; shape (n, classes of the task)."""
        column = self.layers[0].column_of(task_label)
        hidden = [x.flatten(1)] * (column + 1)
        for layer in self.layers:
            hidden = [torch.relu(each) for each in layer(hidden, task_label)]
        logits: Tensor = self.classifier(hidden[column], task_label)
        return logits


class WorkingPackNetModel(PackNetModel):
    """Mends Avalanche's `PackNetModel`, the network whose weights PackNet shares out among tasks.

    - *A network with a head for each task cannot be called*, because heads are not told the task. Its heads would also
      be packed before they are trained. Here heads are told the task, and only a single head is packed.
    - *A layer without a bias raises* `AttributeError` *when it is frozen.* Here such a layer is told that it has none.
    - *A pickled copy does not keep frozen weights.* A hook on their gradient keeps them, and pickling drops the hook
      silently: a run that is resumed overwrites earlier tasks. Here there is no hook, and `WorkingPackNet` keeps them.

    Args:
        network: the network to pack.

    Raises:
        ValueError: if a layer cannot be packed, for example one that normalises.
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
        """Return the layers whose weights are shared out among tasks, in the network's order."""
        return [module for module in self.modules() if isinstance(module, WeightAndBiasPackNetModule)]

    def forward(self, x: Tensor, task_labels: Tensor) -> Tensor:
        """Return the logits of a batch of one task.

        A task that has not been trained yet uses the weights of all tasks, and the free weights too.

        Args:
            x: samples, of shape (n, ...).
            task_labels: the label of their task, of shape (n,).

        Returns:
            Logits, of shape (n, classes).
        """
        self.activate_task(min(int(task_labels[0]), self.task_count))
        logits: Tensor = avalanche_forward(self.wrappee, x, task_labels)
        return logits


class WorkingPackNet(PackNetPlugin):
    """Mends Avalanche's PackNet (`PackNetPlugin` and the strategy `PackNet`).

    - *Frozen weights move.* Only their gradients are set to zero, so weight decay still moves them, and earlier tasks
      are forgotten. Here the frozen weights are put back after each step, which also holds in a pickled copy.
    - *AdamW raises* `TypeError`, because each experience makes a new optimizer, with arguments that AdamW does not
      accept. Here the optimizer stays, and only its moments are forgotten.
    - *Pruning needs at least two epochs*, because it happens only between epochs. Here it happens after a share of the
      updates, so budgets of any length work, in epochs or iterations.
    - *The strategy* `PackNet` *ignores all other plug-ins.* Here the plug-in is used without that strategy.

    Args:
        prune_proportion: the share of the weights trained in an experience that is pruned, in [0, 1].
        retrained: the share of an experience's updates that come after pruning, in [0, 1].
        budget: the budget, in epochs or iterations.
    """

    def __init__(self, prune_proportion: float, retrained: float, budget: Budget) -> None:
        super().__init__(0, prune_proportion)
        self.share = prune_proportion
        self.retrained = retrained
        self.budget = budget
        self._prune_at = 0
        self._kept: list[tuple[WeightAndBiasPackNetModule, Tensor]] = []

    def before_training(self, *_: object, **__: object) -> None:
        pass

    def before_training_exp(self, strategy: SupervisedTemplate, *_: object, **__: object) -> None:
        strategy.make_optimizer(reset_optimizer_state=True)
        updates = self.budget.updates(len(strategy.dataloader))
        assert updates is not None
        self._prune_at = max(1, round(updates * (1 - self.retrained)))
        self._keep(strategy.model)

    def before_training_epoch(self, *_: object, **__: object) -> None:
        pass

    def before_training_iteration(self, strategy: SupervisedTemplate, **_: object) -> None:
        if strategy.clock.train_exp_iterations == self._prune_at:
            self._prune(strategy.model)

    def after_update(self, *_: object, **__: object) -> None:
        for layer, weight in self._kept:
            trained = layer.wrappee.weight
            trained.data = torch.where(layer.unfrozen_mask, trained.data, weight)

    def after_training_exp(self, strategy: SupervisedTemplate, *_: object, **__: object) -> None:
        if strategy.model.state is PackNetModule.State.TRAINING:  # no update came after the pruning was due
            self._prune(strategy.model)
        self._kept = []
        strategy.model.freeze_pruned()

    def _prune(self, model: WorkingPackNetModel) -> None:
        model.prune(self.share)
        self._keep(model)

    def _keep(self, model: WorkingPackNetModel) -> None:
        """Remember all weights, so that frozen ones can be put back after each step."""
        self._kept = [(layer, layer.wrappee.weight.detach().clone()) for layer in model.packed()]


class WorkingCWRStar(CWRStarPlugin):
    """Mends Avalanche's CWR* (`CWRStarPlugin`), which leaves the biases of the classifier behind.

    The weights of each class are set aside after an experience and averaged over experiences, but the biases stay as
    the last experience left them, and they favour its classes. Here the biases are zero and are not trained, as in the
    authors' networks, which have none.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        bias = self.get_cwr_layer().bias
        if bias is not None:
            bias.requires_grad_(False).zero_()
