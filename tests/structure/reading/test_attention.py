"""Attention with any number of heads, against torch's own."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lifelong.structure.errors import StructureError
from lifelong.structure.reading.attention import HeadAttention, free_heads, reason_against
from lifelong.structure.sizes import sync_attributes

EMBED, HEADS, SIZE = 12, 3, 4


def freed(module: nn.MultiheadAttention) -> nn.MultiheadAttention:
    """Return a copy whose heads are freed, if they are not yet."""
    copy = deepcopy(module)
    free_heads(copy)
    return copy


def without_head(module: nn.MultiheadAttention, head: int) -> nn.MultiheadAttention:
    """Return a copy that lacks a head."""
    copy = freed(module)
    size = copy.head_dim
    keep = torch.tensor([row for row in range(copy.num_heads * size) if row // size != head])
    rows = torch.cat([keep + part * copy.num_heads * size for part in range(3)])
    copy.in_proj_weight = nn.Parameter(copy.in_proj_weight.detach()[rows])
    if copy.in_proj_bias is not None:
        copy.in_proj_bias = nn.Parameter(copy.in_proj_bias.detach()[rows])
    copy.out_proj.weight = nn.Parameter(copy.out_proj.weight.detach()[:, keep])
    sync_attributes(copy)
    sync_attributes(copy.out_proj)
    return copy


def silenced(module: nn.MultiheadAttention, head: int) -> nn.MultiheadAttention:
    """torch's own attention, where nothing reads a head."""
    copy = deepcopy(module)
    with torch.no_grad():
        copy.out_proj.weight[:, head * copy.head_dim : (head + 1) * copy.head_dim] = 0.0
    return copy


def masks(kind: str, keys: int, batched: bool) -> dict[str, Tensor | bool]:
    """Masks that leave each query a key to attend to."""
    padding = torch.zeros(2, keys, dtype=torch.bool)
    padding[0, -2:] = True
    padding = padding if batched else padding[0]
    boolean = torch.rand(5, keys) < 0.3
    boolean[:, 0] = False
    each = torch.rand((2 if batched else 1) * HEADS, 5, keys) < 0.3
    each[:, :, 0] = False
    additive = torch.randn(5, keys)
    causal = torch.ones(5, keys).triu(1).bool()
    found: dict[str, dict[str, Tensor | bool]] = {
        "none": {},
        "padding": {"key_padding_mask": padding},
        "boolean": {"attn_mask": boolean},
        "additive": {"attn_mask": additive},
        "each head": {"attn_mask": each},
        "boolean and padding": {"attn_mask": boolean, "key_padding_mask": padding},
        "additive and padding": {"attn_mask": additive, "key_padding_mask": torch.zeros(padding.shape) - 3.0 * padding},
        "causal": {"attn_mask": causal, "is_causal": True},
        "causal and padding": {"attn_mask": causal, "is_causal": True, "key_padding_mask": padding},
    }
    return found[kind]


KINDS = ("none", "padding", "boolean", "additive", "each head", "boolean and padding", "additive and padding")
CAUSAL = ("causal", "causal and padding")


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(KINDS + CAUSAL),
    batch_first=st.booleans(),
    bias=st.booleans(),
    batched=st.booleans(),
    same=st.booleans(),
    training=st.booleans(),
    grad=st.booleans(),
    need_weights=st.booleans(),
    average=st.booleans(),
)
def test_freed_heads_attend_as_torchs(
    kind: str,
    batch_first: bool,
    bias: bool,
    batched: bool,
    same: bool,
    training: bool,
    grad: bool,
    need_weights: bool,
    average: bool,
) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(EMBED, HEADS, dropout=0.3, bias=bias, batch_first=batch_first).train(training)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    keys = 5 if same else 7
    shapes = [(length, EMBED) for length in (5, keys, keys)]
    if batched:
        shapes = [(2, length, EMBED) if batch_first else (length, 2, EMBED) for length in (5, keys, keys)]
    query, key, value = (torch.randn(shape) for shape in shapes)
    if same:
        key = value = query
    options = {**masks(kind, keys, batched), "need_weights": need_weights, "average_attn_weights": average}
    results = []
    for module in (attention, freed(attention)):
        torch.manual_seed(1)  # both drop the same
        with torch.set_grad_enabled(grad):
            results.append(module(query, key, value, **options))
    (expected, weights), (out, own_weights) = results
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    assert (own_weights is None) == (weights is None)
    if weights is not None:
        torch.testing.assert_close(own_weights, weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", range(HEADS))
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_head_less_is_a_head_that_nothing_reads(head: int, need_weights: bool, bias: bool) -> None:
    torch.manual_seed(head)
    attention = nn.MultiheadAttention(EMBED, HEADS, bias=bias, batch_first=True)
    x = torch.randn(2, 5, EMBED)
    smaller = without_head(attention, head)
    assert (smaller.num_heads, smaller.head_dim, smaller.embed_dim) == (HEADS - 1, SIZE, EMBED)
    assert (smaller.out_proj.in_features, smaller.out_proj.out_features) == ((HEADS - 1) * SIZE, EMBED)
    out, weights = smaller(x, x, x, need_weights=need_weights, average_attn_weights=False)
    expected, all_weights = silenced(attention, head)(x, x, x, need_weights=need_weights, average_attn_weights=False)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    if need_weights:
        others = [other for other in range(HEADS) if other != head]
        torch.testing.assert_close(weights, all_weights[:, others], rtol=1e-5, atol=1e-6)


def test_gradients_are_torchs() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(EMBED, HEADS, batch_first=True)
    other = freed(attention)
    x = torch.randn(2, 5, EMBED)
    for module in (attention, other):
        module(x, x, x, need_weights=False)[0].square().sum().backward()
    for one, two in zip(attention.parameters(), other.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("removed", [(), (1,), (2, 1)])  # an even number of heads is what torch's fast path takes
def test_torchs_encoder_takes_it_in_eval_mode(grad: bool, padded: bool, removed: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    changed = deepcopy(encoder)
    for mine, torchs in zip(changed.layers, encoder.layers, strict=True):
        free_heads(mine.self_attn)
        for head in removed:
            mine.self_attn = without_head(mine.self_attn, head)
            torchs.self_attn = silenced(torchs.self_attn, head)
    x = torch.randn(3, 6, 16)
    padding = torch.zeros(3, 6, dtype=torch.bool)
    padding[0, 4:] = padding[1, 3:] = True
    with torch.set_grad_enabled(grad), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The PyTorch API of nested tensors")
        expected = encoder(x, src_key_padding_mask=padding if padded else None)
        out = changed(x, src_key_padding_mask=padding if padded else None)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_it_is_the_same_module() -> None:
    attention = nn.MultiheadAttention(EMBED, HEADS)
    calls: list[nn.Module] = []
    attention.register_forward_hook(lambda module, *_: calls.append(module))
    keys, parameters = list(attention.state_dict()), list(attention.parameters())
    free_heads(attention)
    x = torch.randn(5, EMBED)
    attention(x, x, x)
    assert isinstance(attention, HeadAttention)
    assert calls == [attention]
    assert list(attention.state_dict()) == keys
    assert all(one is two for one, two in zip(attention.parameters(), parameters, strict=True))
    free_heads(attention)
    assert isinstance(attention, HeadAttention)


@pytest.mark.parametrize("copied", [deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_alike(copied: object) -> None:
    attention = without_head(nn.MultiheadAttention(EMBED, HEADS), 0)
    copy = copied(attention)
    x = torch.randn(5, 2, EMBED)
    assert type(copy) is HeadAttention
    assert torch.equal(copy(x, x, x)[0], attention(x, x, x)[0])


class Own(nn.MultiheadAttention):
    """Attends in a way that nobody knows."""


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.MultiheadAttention(EMBED, HEADS, kdim=8), "kdim"),
        (nn.MultiheadAttention(EMBED, HEADS, vdim=8), "vdim"),
        (nn.MultiheadAttention(EMBED, HEADS, add_bias_kv=True), "add_bias_kv"),
        (nn.MultiheadAttention(EMBED, HEADS, add_zero_attn=True), "add_zero_attn"),
        (Own(EMBED, HEADS), "Own"),
    ],
)
def test_others_are_refused(module: nn.MultiheadAttention, reason: str) -> None:
    kind = type(module)
    assert reason in (reason_against(module) or "")
    with pytest.raises(StructureError, match=reason):
        free_heads(module)
    assert type(module) is kind
    assert reason_against(nn.MultiheadAttention(EMBED, HEADS)) is None


def test_a_causal_hint_without_a_mask_is_an_error_as_in_torch() -> None:
    attention = nn.MultiheadAttention(EMBED, HEADS)
    x = torch.randn(5, EMBED)
    for module in (attention, freed(attention)):
        with pytest.raises(RuntimeError, match="attn_mask"):
            module(x, x, x, is_causal=True)
