"""How runs compute, and that nothing of it stays behind."""

from __future__ import annotations

import pytest
import torch

from lifelong.training.arithmetic import arithmetic

SMALLEST = torch.finfo(torch.float32).tiny


def halved(number: float) -> float:
    return float(torch.tensor([number]) / 2)


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_denormal_numbers_are_zero_within_a_run_alone() -> None:
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot leave them out")
    assert halved(SMALLEST) > 0
    with arithmetic("cpu"):
        assert halved(SMALLEST) == 0
        assert halved(4 * SMALLEST) == 2 * SMALLEST
    assert halved(SMALLEST) > 0


@pytest.mark.usefixtures("two_threads")
def test_a_run_has_one_thread_and_leaves_things_as_they_were_even_where_it_fails() -> None:
    def fails() -> None:
        with arithmetic("cpu"):
            assert torch.get_num_threads() == 1
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert torch.get_num_threads() == 2
    assert halved(SMALLEST) > 0
