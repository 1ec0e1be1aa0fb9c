"""Every strategy that is installed passes every check; a new file of strategies is among them by itself."""

from __future__ import annotations

import pytest

from lifelong.checking.check import TOYS, check
from lifelong.registry import strategies

SHORT = [f"{name}.budget.epochs=4" for name in TOYS]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(strategies.all()))
def test_it_passes_every_check(name):
    if "pretrained" in strategies.get(name).parameters:
        pytest.skip("starts from weights that have to be downloaded")
    (report,) = check([name], SHORT, TOYS)
    failures = {
        f"{result.check.name} on {result.scenario}": result.answer.happened
        for result in report.results
        if result.answer.verdict == "failed"
    }
    assert not failures
    assert report.built, report.results[0].answer.happened
    assert not report.hints
