"""Strategies that hold the network near what it was: penalties on weights, and distillation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lifelong.contracts import strategy

if TYPE_CHECKING:
    from lifelong import Setup


@strategy(
    source="Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv:1612.00796; "
    "online form: Schwarz et al. 2018, arXiv:1805.06370",
    needs={"task boundaries"},
)
def ewc(
    setup: Setup,
    ewc_lambda: float = 1.0,
    mode: Literal["separate", "online"] = "separate",
    decay_factor: float = 0.9,
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
def si(setup: Setup, si_lambda: float = 1.0, eps: float = 1e-7) -> Any:
    """Synaptic intelligence: a quadratic penalty on weights by how much each lowered the loss on its way.

    Parameters:
        si_lambda: weight of the penalty.
        eps: damping of the importance where a weight hardly moved.
    """
    from lifelong.workarounds import WorkingSI

    return setup.naive(WorkingSI(si_lambda=si_lambda, eps=eps))


@strategy(source="Li & Hoiem 2016, Learning without Forgetting, arXiv:1606.09282", needs={"task boundaries"})
def lwf(setup: Setup, alpha: float = 1.0, temperature: float = 2.0) -> Any:
    """Learning without forgetting: distil the network of before this experience into its outputs for old classes.

    Parameters:
        alpha: weight of the distillation.
        temperature: of both softmaxes.
    """
    from avalanche.training.plugins import LwFPlugin

    return setup.naive(LwFPlugin(alpha, temperature))


@strategy(
    source="Aljundi et al. 2018, Memory Aware Synapses: Learning what (not) to forget, arXiv:1711.09601",
    needs={"task boundaries"},
)
def mas(setup: Setup, lambda_reg: float = 1.0, alpha: float = 0.5) -> Any:
    """Memory aware synapses: a quadratic penalty on weights by how much each moves the squared norm of the output.

    Parameters:
        lambda_reg: weight of the penalty.
        alpha: share of the importance so far that is kept when an experience adds its own.
    """
    from avalanche.training.plugins import MASPlugin

    return setup.naive(MASPlugin(lambda_reg, alpha))
