"""Corrects Adam's bias from each weight's own birth.

torch counts steps once for a whole tensor. A new row in an old tensor begins with moments of zero, which would be taken
for averages of many steps: its first update would be (1 - beta1) / sqrt(1 - beta2) = 3.16 times the learning rate,
instead of once. Dohare et al. 2024 (Loss of plasticity in deep continual learning, Nature 632) give each weight a step
count of its own. A vector for each dimension is enough for rows and columns: it holds the step count at which each
index was born, and a weight was born with the later of its indices.

For example, a weight of shape (5, 3) has made 100 steps when a row is added. The vectors are then [0, 0, 0, 0, 0, 100]
for the rows and [0, 0, 0] for the columns. After step 101 the weights of the new row are of age 1, all others of 101.

Only `torch.optim.Adam` and `AdamW` (also with amsgrad) on real parameters are corrected. Single synapses that are
created again share their tensor's step count; so do all new weights under NAdam, RAdam and Adamax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from lifelong.structure.holding.change import Maps, carry_tensor

BIRTHS = "births"
"""In a parameter's state: a dictionary whose only entry, `step`, holds all vectors end to end, in float32.

`Optimizer.load_state_dict` casts everything else to the parameter's dtype, in which a count may not fit: bfloat16
counts to 256. What is called `step` is left as it is, at any depth.
"""


def births(parameter: Tensor, state: dict[str, Any]) -> list[Tensor]:
    """Return for each dimension the tensor's step count when each index was born, of shape (size,); 0 at first."""
    if BIRTHS not in state:
        return [torch.zeros(size, dtype=torch.float32) for size in parameter.shape]
    return list(state[BIRTHS]["step"].split(list(parameter.shape)))


def set_births(state: dict[str, Any], vectors: Sequence[Tensor]) -> None:
    """Replace the vectors of births; where all are 0, nothing is kept."""
    # Never in place: a loaded state shares its `step` entries with the dictionary that it came from.
    state.pop(BIRTHS, None)
    if any(bool(vector.any()) for vector in vectors):
        state[BIRTHS] = {"step": torch.cat(list(vectors))}


def is_corrected(optimizer: Optimizer, parameter: Tensor) -> bool:
    """Tell whether Adam's update of a parameter is corrected for the births of its weights."""
    return isinstance(optimizer, Adam) and not parameter.is_complex() and "step" in optimizer.state.get(parameter, {})


def carry_births(state: dict[str, Any], parameter: Tensor, maps: Maps) -> None:
    """Carry births along the index maps of a parameter that still has its old shape: what is new is born now."""
    vectors = births(parameter, state)
    for dim, index in maps.items():
        vectors[dim] = carry_tensor(vectors[dim], {0: index}, fill=float(state["step"]))
    set_births(state, vectors)


def forget_mature(state: dict[str, Any], parameter: Tensor, group: dict[str, Any]) -> list[Tensor]:
    """Set births back to 0 that are too long ago to matter in the parameter's dtype; return what is left."""
    # The correction 1 - beta^age rounds to 1 once beta^age is under the dtype's precision.
    unseen = math.log(torch.finfo(parameter.dtype).eps)
    lifetime = max((unseen / math.log(beta) for beta in map(float, group["betas"]) if beta > 0), default=1)
    vectors = [born.where(born > float(state["step"]) - lifetime, 0) for born in births(parameter, state)]
    set_births(state, vectors)
    return vectors


def correct_young(
    parameter: Tensor, young: dict[int, Tensor], group: dict[str, Any], state: dict[str, Any]
) -> Callable[[], None]:
    """Remember young weights before a step of Adam; what is returned redoes their update after the step.

    Args:
        parameter: the parameter.
        young: for some dimensions the indices, int64 of shape (count,), whose weights are young.
        group: the parameter's group in the optimizer.
        state: the parameter's state in the optimizer.

    Returns:
        A function to call after the step. It sets those weights to what Adam's update gives with moments of their own
        age (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019 where weight decay is decoupled). It does
        nothing if no step was made.
    """
    step = float(state.get("step", 0))
    before = {dim: parameter.index_select(dim, index) for dim, index in young.items()}

    def redo() -> None:
        if BIRTHS not in state or float(state["step"]) == step:
            return
        # The moments themselves do not know of ages; only their correction was that of the whole tensor.
        ages = {dim: float(state["step"]) - births(parameter, state)[dim] for dim in young}
        for dim, index in young.items():
            updated = _adam(before[dim], ages, dim, index, group, state)
            parameter.index_copy_(dim, index, updated.to(parameter.dtype))

    return redo


def _adam(
    weights: Tensor, ages: dict[int, Tensor], dim: int, index: Tensor, group: dict[str, Any], state: dict[str, Any]
) -> Tensor:
    """Return the weights of these indices after Adam's update, given the moments after it."""
    # In float32 at least, as torch does: in half precision a correction of 1e-3 would be lost.
    dtype = torch.promote_types(weights.dtype, torch.float32)
    second = "max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"
    mean, square = (state[key].index_select(dim, index).to(dtype) for key in ("exp_avg", second))
    # Along the chosen dimension only the young indices are left, along the others all of them.
    along = {**ages, dim: ages[dim][index.to(ages[dim].device)]}
    of_mean, of_square = (_correction(float(beta), along, weights).to(dtype) for beta in group["betas"])
    rate = float(group["lr"])
    if group["decoupled_weight_decay"]:
        weights = weights.to(dtype) * (1 - rate * group["weight_decay"])
    updates: Tensor = rate / of_mean * mean / (square.sqrt_() / of_square.sqrt() + group["eps"])
    return weights - updates


def _correction(beta: float, ages: dict[int, Tensor], weights: Tensor) -> Tensor:
    """Return 1 - beta ** age, to broadcast over the weights; a weight's age is that of its youngest index."""
    corrections = []
    for dim, age in ages.items():
        shape = [-1 if other == dim else 1 for other in range(weights.dim())]
        corrections.append((1 - beta ** age.double()).to(weights.device).view(shape))
    # The correction grows with age, so that the youngest index has the smallest one.
    least = corrections[0]
    for other in corrections[1:]:
        least = torch.minimum(least, other)
    return least
