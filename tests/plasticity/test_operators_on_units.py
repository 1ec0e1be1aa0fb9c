"""Operators on units: how many and which they change, what they clip, what they refuse before training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.errors import UsageError
from lifelong.plasticity.operators import Freeze, Grow, Mark, Merge, Remove, Reset, Split, Unfreeze
from lifelong.plasticity.rule import Rule
from lifelong.plasticity.scores.base import UnitScore
from lifelong.plasticity.selection import Below, Lowest
from lifelong.plasticity.triggers import Every, Firing
from lifelong.structure import Copy, GradMax, freeze_units, frozen_units

WHEN = Every(steps=1)


class Given(UnitScore):
    """Returns the scores that a test gives."""

    def __init__(self, *values):
        super().__init__()
        self.values = torch.tensor(values)

    def __call__(self, *_):
        return self.values


def units(trainee, name="0"):
    return trainee.structure.layer(name).units


# Growth


@pytest.mark.parametrize(("amount", "count"), [(3, 3), (0.5, 3), (0.4, 3), (1.0, 6), (lambda *_: 2, 2)])
def test_growth_is_a_count_a_share_of_the_first_units_rounded_up_or_what_a_function_says(trainee, amount, count):
    made = trainee()
    rule = Rule(WHEN, Grow(amount), layers=["0"])
    for time in (1, 2):  # the share is of the first units, not of those that there are now
        before = made.outputs()
        (happening,) = made.act(rule)
        assert happening.outcome.count == count
        assert units(made) == 6 + time * count
        torch.testing.assert_close(made.outputs(), before)


def test_a_share_that_is_a_whole_number_of_units_is_not_rounded_up():
    assert Grow(0.07)._asked(None, "0", 100) == 7  # 0.07 * 100 = 7.000000000000001


def test_growth_reads_what_the_trigger_saw(trainee):
    made = trainee()
    rule = Rule(WHEN, Grow(lambda moment, name: int(moment.firing.layers[name])))
    happenings = made.act(rule, firing=Firing("saw", layers={"2": 4.0}))
    assert [(each.name, each.value, each.outcome.count) for each in happenings] == [("2", 4.0, 4)]
    assert (units(made), units(made, "2")) == (6, 9)


def test_growth_is_clipped_by_the_cap_and_says_so(trainee):
    made = trainee()
    rule = Rule(WHEN, Grow(2, cap=1.5), layers=["0"])
    counts = [[(each.outcome.count, each.outcome.note) for each in made.act(rule)] for _ in range(3)]
    assert counts[0] == [(2, None)]
    assert counts[1] == [(1, "clipped from 2 by the cap of 1.5 x 6 units")]
    assert counts[2] == [(0, "clipped from 2 by the cap of 1.5 x 6 units")]
    assert units(made) == 9


def test_growth_of_nothing_is_no_event(trainee):
    assert trainee().act(Rule(WHEN, Grow(lambda *_: 0))) == []


def test_growth_can_hold_the_units_that_are_there(trainee):
    made = trainee()
    made.act(Rule(WHEN, Grow(2, freeze=True), layers=["0"]))
    assert frozen_units(made.structure, "0") == (0, 1, 2, 3, 4, 5)


def test_units_may_start_by_a_closure_of_the_last_batch(trainee):
    made = trainee()
    made.update()
    made.act(Rule(WHEN, Grow(1, new=GradMax), layers=["0"]))
    assert made.network[0].weight[6].abs().sum() == 0
    assert made.network[2].weight[:, 6].abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"amount": 0}, "amount = 0; the least is 1"),
        ({"amount": 1.5}, r"amount = 1.5 is not in \(0, 1\]; the nearest is 1.0"),
        ({"amount": 0.0}, r"amount = 0.0 is not in \(0, 1\]; the nearest is 0.01"),
        ({"cap": 1.0}, "cap = 1.0 times the units that a layer has at first leaves no room to grow"),
        ({"amount": 0.5, "cap": 1.2}, "goes past the cap of 1.2 times as many at once; the nearest is 0.2"),
    ],
)
def test_growth_that_cannot_be_is_refused_at_once(arguments, message):
    with pytest.raises(UsageError, match=message):
        Grow(**arguments)


def test_growth_past_a_cap_in_every_layer_is_refused_before_training(trainee):
    made = trainee()
    with pytest.raises(
        UsageError, match=r"cap of 1.5 times the first units leaves room for 3 more in '0', which has 6"
    ):
        Rule(WHEN, Grow(4, cap=1.5)).check(made.structure)
    Rule(WHEN, Grow(3, cap=1.5)).check(made.structure)
    with pytest.raises(UsageError, match="leaves room for 0 more in '0'"):
        Rule(WHEN, Grow(0.1, cap=1.15)).check(made.structure)


class Narrow(nn.Module):
    """Cannot grow, because a size is written into its code."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        hidden = torch.relu(self.one(x))
        if hidden.shape[1] != 6:
            raise ValueError("six units, please")
        return self.two(hidden)


def test_what_does_not_work_on_a_copy_is_refused_before_training_and_nothing_is_changed(trainee):
    made = trainee(Narrow())
    state = torch.random.get_rng_state()
    for operator in (Grow(1), Remove(), Split(), Merge(by="fan-in")):
        with pytest.raises(UsageError, match=f"{type(operator).__name__} does not work on 'one'"):
            operator.check(made.structure, ("one",))
    Reset().check(made.structure, ("one",))
    with pytest.raises(UsageError, match=r"Reset does not work on 'one'.*Copy is for units that are created"):
        Reset(new=Copy()).check(made.structure, ("one",))
    assert made.network.one.out_features == 6
    assert torch.equal(torch.random.get_rng_state(), state)


# Removal, reset, split


def test_a_layer_keeps_the_unit_that_would_have_been_the_last_to_go(trainee):
    made = trainee()
    survivor = made.network[0].weight[2].clone()
    rule = Rule(WHEN, Remove(), Lowest(Given(3.0, 1.0, 9.0, 2.0, 5.0, 4.0), share=1.0), layers=["0"])
    (happening,) = made.act(rule)
    assert (happening.operator, happening.outcome.count) == ("remove", 5)
    assert happening.outcome.note == "clipped from 6: the layer's last unit stays"
    assert torch.equal(made.network[0].weight, survivor[None])
    rule.which.score = Given(1.0)
    (again,) = made.act(rule)
    assert (again.outcome.change, again.outcome.count) == (None, 0)


def test_where_nothing_is_chosen_nothing_happens(trainee):
    made = trainee()
    nobody = Below(Given(*[1.0] * 6), 0.5)
    for operator in (Remove(), Reset(), Split(), Freeze()):
        assert made.act(Rule(WHEN, operator, nobody, layers=["0"])) == []


def test_a_reset_unit_is_new_in_weights_and_in_optimizer_state(trainee):
    made = trainee()
    for _ in range(3):
        made.update()
    before = made.network[0].weight.detach().clone()
    (happening,) = made.act(Rule(WHEN, Reset(), Lowest(Given(0.0, 5.0, 1.0, 5.0, 5.0, 5.0), count=2), layers=["0"]))
    assert happening.outcome.change.units == (0, 2)
    weight, moments = made.network[0].weight, made.optimizer.state[made.network[0].weight]
    assert [bool((weight[unit] == before[unit]).all()) for unit in range(6)] == [False, True, False, True, True, True]
    for key in ("exp_avg", "exp_avg_sq"):
        assert moments[key][[0, 2]].abs().sum() == 0
        assert moments[key].abs().sum() > 0
    assert made.network[2].weight[:, [0, 2]].abs().sum() == 0


def test_protected_units_are_left_out_and_split_only_on_demand(trainee):
    made = trainee()
    freeze_units(made.structure, "0", [0, 1, 2, 3])
    everyone = Lowest(Given(*range(6)), share=1.0)
    for operator, left in ((Split(), (4, 5)), (Split(frozen=True), (0, 1, 2, 3, 4, 5)), (Remove(), (4, 5))):
        chosen = everyone.select(made.moment(), ["0"], operator)["0"]
        assert tuple(chosen.tolist()) == left, operator
    held = made.network[0].weight[:4].clone()
    made.act(Rule(WHEN, Split(noise=0, frozen=True), everyone, layers=["0"]))
    assert units(made) == 12
    assert torch.equal(made.network[0].weight[:4], held)


def test_a_split_without_noise_preserves_the_function(trainee):
    made = trainee()
    before = made.outputs()
    made.act(Rule(WHEN, Split(noise=0), Lowest(Given(*range(6)), count=2), layers=["0"]))
    torch.testing.assert_close(made.outputs(), before)
    with pytest.raises(UsageError, match="noise = -1"):
        Split(noise=-1)


# Freezing


def test_frozen_units_are_frozen_until_unfrozen(trainee):
    made = trainee()
    lowest = Lowest(Given(0.0, 9.0, 1.0, 9.0, 9.0, 9.0), count=2)
    made.act(Rule(WHEN, Freeze(), lowest, layers=["0"]))
    assert frozen_units(made.structure, "0") == (0, 2)
    assert Freeze().progress(made.moment(), "0") == (2, 6)
    (happening,) = made.act(Rule(WHEN, Unfreeze(), layers=["0"]))
    assert happening.outcome.count == 2
    assert frozen_units(made.structure, "0") == ()
    assert made.act(Rule(WHEN, Unfreeze(), layers=["0"])) == []


def test_a_mark_changes_nothing(trainee):
    made = trainee()
    assert [each.outcome.change for each in made.act(Rule(WHEN, Mark()))] == [None, None]


# Merging


def twinned(trainee):
    """Make units of which 1 and 4 have the same fan-in and bias, and 0 and 3 nearly the same."""
    made = trainee()
    with torch.no_grad():
        for tensor in (made.network[0].weight, made.network[0].bias):
            tensor[4] = tensor[1]
            tensor[3] = tensor[0] + 0.02
    return made


def test_duplicates_become_one_by_the_mean_of_fan_in_and_the_sum_of_fan_out(trainee):
    made = twinned(trainee)
    before, fan_in, fan_out = made.outputs(), made.network[0].weight.clone(), made.network[2].weight.clone()
    (happening,) = made.act(Rule(WHEN, Merge(least=0.99999, by="fan-in"), layers=["0"]))
    assert (happening.outcome.change.units, happening.outcome.count) == ((4,), 1)
    torch.testing.assert_close(made.outputs(), before)
    (happening,) = made.act(Rule(WHEN, Merge(least=0.99, by="fan-in"), layers=["0"]))
    assert happening.outcome.change.units == (3,)
    torch.testing.assert_close(made.network[0].weight[0], (fan_in[0] + fan_in[3]) / 2)
    torch.testing.assert_close(made.network[2].weight[:, 0], fan_out[:, 0] + fan_out[:, 3])
    assert made.act(Rule(WHEN, Merge(least=0.99, by="fan-in"), layers=["0"])) == []


def test_duplicates_are_found_by_what_they_say(trainee):
    made = twinned(trainee)
    with torch.no_grad():  # says what unit 1 says, by other weights: the inputs' last two features are the same
        made.inputs[:, 3] = made.inputs[:, 2]
        made.network[0].weight[4, 2:] += torch.tensor([1.0, -1.0])
    rule = Rule(WHEN, Merge(least=0.9999), layers=["0"])
    assert rule.watches
    (nothing,) = made.act(rule)
    assert "before the first update" in nothing.outcome.note
    rule.observe(made.update(), {"0": "0"})
    before = made.outputs()
    (happening,) = made.act(rule)
    assert happening.outcome.change.units == (4,)
    torch.testing.assert_close(made.outputs(), before, atol=0.05, rtol=0)  # the update has told them apart a little
    assert units(made) == 5


def test_protected_units_are_not_merged(trainee):
    made = twinned(trainee)
    freeze_units(made.structure, "0", [4])
    assert made.act(Rule(WHEN, Merge(least=0.99999, by="fan-in"), layers=["0"])) == []


def test_however_much_is_merged_one_unit_stays(trainee):
    made = trainee()
    with torch.no_grad():
        made.network[0].weight.copy_(made.network[0].weight[0].expand(6, 4))
        made.network[0].bias.fill_(0.5)
    before = made.outputs()
    rule = Rule(WHEN, Merge(by="fan-in"), layers=["0"])
    assert [sum(each.outcome.count for each in made.act(rule)) for _ in range(4)] == [3, 1, 1, 0]
    torch.testing.assert_close(made.outputs(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"least": 0.0}, "the nearest is 0.01"), ({"least": 1.1}, "the nearest is 1.0"), ({"by": "fan-on"}, "'fan-in'")],
)
def test_bad_arguments_of_a_merge(arguments, message):
    with pytest.raises(UsageError, match=message):
        Merge(**arguments)
