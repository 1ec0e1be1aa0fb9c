"""CWR* without biases."""

from __future__ import annotations

from typing import Any

from avalanche.training.plugins import CWRStarPlugin


class WorkingCWRStar(CWRStarPlugin):
    """CWR* without a bias in its layer, as the authors' networks are.

    Fault: weights are consolidated, but biases stay as the last experience left them, in favour of its classes. Here
    they are zero.
    """

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, **kwargs)
        bias = self.get_cwr_layer().bias
        if bias is not None:
            bias.requires_grad_(False).zero_()
