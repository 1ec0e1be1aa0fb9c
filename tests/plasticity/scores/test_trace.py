"""DPAP's spine density equals the formula, written out sample by sample."""

from __future__ import annotations

import numpy
import pytest
import torch

from lifelong.plasticity.scores import Trace
from lifelong.structure import create_units


def minmax(values):
    return (values - values.min()) / (values.max() - values.min())


def test_the_product_of_trace_and_plasticity(mlp, x):
    score, said = Trace(), []
    for factor in (1.0, 2.0, 0.5):
        moment = mlp.update(factor * x)
        score.observe(moment, "0")
        said.append(abs(moment.activations("0").numpy()))
    plasticity, trace = numpy.zeros(3), numpy.zeros(3)
    for number, batch in enumerate(said):
        threshold = numpy.mean(said[: number + 1], axis=(0, 1))
        for activity in batch:
            plasticity += activity * (activity - threshold)
            trace += activity
    expected = minmax(plasticity) * minmax(trace)
    found = score(moment, "0").numpy()
    assert found == pytest.approx(expected, rel=1e-4)
    assert found.max() > 0.5


def test_where_all_are_alike_nobody_stands_out(mlp, x):
    with torch.no_grad():
        mlp.network[0].weight[:] = 1.0
    score, moment = Trace(), mlp.update(x)
    score.observe(moment, "0")
    assert score(moment, "0").tolist() == [0, 0, 0]


def test_new_units_begin_their_own_mean(mlp, x):
    score = Trace()
    for _ in range(5):
        score.observe(mlp.update(x), "0")
    mlp.carry(create_units(mlp.structure, "0", 1), score)
    moment = mlp.update(x)
    score.observe(moment, "0")
    assert score.state["0"]["seen"].tolist() == [6, 6, 6, 1]
    torch.testing.assert_close(score.state["0"]["trace"], moment.activations("0").abs().mean(0))
