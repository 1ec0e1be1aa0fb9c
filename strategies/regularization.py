"""Strategies that hold the network near what it was: penalties on weights, and distillation.

How strongly is theirs to choose, and no value suits all streams. The defaults are the best of three or four powers of
ten (for LwF 0.3, 1, 3 and 10) by the mean accuracy over `digits-class`, `digits-domain` and `digits-task`, on a
validation split of a fifth of the training samples, with seeds 100 and 101 and ten epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lifelong.contracts import Positive, Share, Weight, strategy

if TYPE_CHECKING:
    from lifelong import Setup


@strategy(
    source="Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv:1612.00796; "
    "online form: Schwarz et al. 2018, arXiv:1805.06370",
    needs={"task boundaries"},
)
def ewc(
    setup: Setup,
    ewc_lambda: Weight = 100_000.0,
    mode: Literal["separate", "online"] = "separate",
    decay_factor: Share = 0.9,
) -> Any:
    """Elastic weight consolidation: a quadratic penalty on moving weights, each as stiff as its Fisher information.

    Avalanche estimates the Fisher information from squared gradients of batch means, not of samples, so that
    `ewc_lambda` depends on the batch size and is not the paper's.

    Parameters:
        ewc_lambda: weight of the penalty.
        mode: one penalty for each earlier experience, or one that runs on.
        decay_factor: what the running penalty keeps at each experience; used by `online` only.
    """
    from avalanche.training.plugins import EWCPlugin

    return setup.naive(EWCPlugin(ewc_lambda, mode, decay_factor if mode == "online" else None))


@strategy(
    source="Zenke, Poole & Ganguli 2017, Continual Learning Through Synaptic Intelligence, arXiv:1703.04200; "
    "as implemented for Maltoni & Lomonaco 2019, arXiv:1806.08568",
    needs={"task boundaries"},
)
def si(setup: Setup, si_lambda: Weight = 100.0, eps: Positive = 1e-3) -> Any:
    """Synaptic intelligence: a quadratic penalty on weights by how much each lowered the loss on its way.

    Parameters:
        si_lambda: weight of half the penalty; the paper's c is half of it.
        eps: damping of the importance where a weight hardly moved, the paper's xi.
    """
    from lifelong.workarounds.regularization import WorkingSI

    return setup.naive(WorkingSI(si_lambda=si_lambda, eps=eps))


@strategy(source="Li & Hoiem 2016, Learning without Forgetting, arXiv:1606.09282", needs={"task boundaries"})
def lwf(setup: Setup, alpha: Weight = 3.0, temperature: Positive = 2.0) -> Any:
    """Learning without forgetting: distil the network of before this experience into its outputs for old classes.

    Parameters:
        alpha: weight of the distillation.
        temperature: of both softmaxes.
    """
    from lifelong.workarounds.regularization import WorkingLwF

    return setup.naive(WorkingLwF(alpha, temperature))


@strategy(
    source="Aljundi et al. 2018, Memory Aware Synapses: Learning what (not) to forget, arXiv:1711.09601",
    needs={"task boundaries"},
)
def mas(setup: Setup, lambda_reg: Weight = 1.0, alpha: Share = 0.5) -> Any:
    """Memory aware synapses: a quadratic penalty on weights by how much each moves the squared norm of the output.

    Avalanche's form: importances are absolute gradients of batch means, averaged over experiences; the paper's are of
    samples, and added up.

    Parameters:
        lambda_reg: weight of the penalty.
        alpha: share of the importance so far that is kept when an experience adds its own.
    """
    from lifelong.workarounds.regularization import WorkingMAS

    return setup.naive(WorkingMAS(lambda_reg, alpha))
