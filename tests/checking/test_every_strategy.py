"""Every strategy that is installed passes every check; a new file of strategies is among them by itself.

Each on the first of the toys that it can run on: `lifelong check` tries all of them.
"""

from __future__ import annotations

import pytest

from lifelong.checking.asked import TOYS
from lifelong.checking.check import check
from lifelong.registry import scenarios, strategies


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(strategies.all()))
def test_it_passes_every_check(name):
    if "pretrained" in strategies.get(name).parameters:
        pytest.skip("starts from weights that have to be downloaded")
    entry = strategies.get(name)
    toy = next(toy for toy in TOYS if entry.refusal(scenarios.get(toy)) is None)
    (report,) = check([name], [f"{toy}.budget.epochs=4"], [toy])
    failures = {
        f"{result.check.name} on {result.scenario}": result.answer.happened
        for result in report.results
        if result.answer.verdict == "failed"
    }
    assert not failures
    assert report.built, report.results[0].answer.happened
    assert not report.hints
