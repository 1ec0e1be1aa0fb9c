"""What is said of a run when it ends."""

import pytest

from lifelong.records.entries import Learning
from lifelong.reporting.text.progress import outcome

NOTHING = [[None, None]] * 3


@pytest.mark.parametrize(
    ("accuracy", "learning", "said"),
    [
        ([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]], {}, "average accuracy 0.750, 9.0 s"),
        (NOTHING, {"online_accuracy": 0.5, "online_loss": 1.0}, "online accuracy 0.500, 9.0 s"),
        (NOTHING, {"online_loss": 0.01234}, "online loss 0.0123, 9.0 s"),
        (NOTHING, {}, "9.0 s"),
    ],
)
def test_the_first_number_that_there_is(make_record, accuracy, learning, said):
    record = make_record(accuracy=accuracy).model_copy(update={"learning": [Learning(**learning)] * 2})
    assert outcome(record) == said


def test_why_there_is_none(make_record):
    assert outcome(make_record(accuracy=None, status="timeout", error="too long")) == "timeout: too long"
