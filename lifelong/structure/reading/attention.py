"""Multi-head attention whose heads can be removed and added, and the labels of any attention's heads.

torch's attention splits the stream's width among its heads, so that a head less would be a narrower stream. Here the
width of all heads together is independent of the stream's, as in Vaswani et al. 2017 (arXiv:1706.03762, section 3.2.2),
where heads of size d_v are projected back to the model's width.

A head is a unit. With 2 heads of size 3 in a stream of width 6, `in_proj_weight` has shape (18, 6): rows 0 to 5 make
the queries, 6 to 11 the keys, 12 to 17 the values. Head 0 has rows 0 to 2 of each of these three blocks, and the
columns 0 to 2 of `out_proj.weight`, of shape (6, 6). `follow` joins these as one component. The columns of
`in_proj_weight` and the rows of `out_proj.weight` belong to the units of the stream.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lifelong.structure.errors import StructureError
from lifelong.structure.reading.labels import Labels
from lifelong.structure.reading.layer import Role
from lifelong.structure.reading.rules import tensors_in


class HeadAttention(nn.MultiheadAttention):
    """Is `nn.MultiheadAttention` with any number of heads, under the same names of parameters.

    With H heads of size D in a stream of width E, `in_proj_weight` has shape (3 H D, E), `in_proj_bias` (3 H D,) and
    `out_proj.weight` (E, H D). `free_heads` makes one of an existing module.
    """

    @property
    def _qkv_same_embed_dim(self) -> bool:
        """Keep torch's encoder layer, which asks, off its fast path: that takes the heads' width for the stream's."""
        return False

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend, with the arguments, shapes and results of `nn.MultiheadAttention`.

        Args:
            query: (length, E), (length, n, E), or (n, length, E) with `batch_first`, and so are `key` and `value`.
            key: what the queries are compared with, of another length perhaps.
            value: what is averaged, of the keys' length.
            key_padding_mask: (n, keys), or (keys,) without a batch: True, or -inf, where a key is to be ignored.
            need_weights: whether to return the attention weights.
            attn_mask: (queries, keys) or (n H, queries, keys): True, or -inf, where a query may not attend.
            average_attn_weights: whether to return the mean of the heads' weights, not each head's.
            is_causal: says that `attn_mask` is causal, for a faster computation.

        Returns:
            The result, of the query's shape; and the weights, of shape (n, queries, keys), or (n, H, queries, keys)
            for each head, or None.

        Raises:
            RuntimeError: if `is_causal` is given without `attn_mask`.
        """
        if is_causal and attn_mask is None:
            raise RuntimeError("is_causal is a hint that attn_mask is causal, which is missing")
        if query.is_nested:
            return self._attend_nested(query, need_weights, average_attn_weights)
        # Self-attention needs one product for queries, keys and values, as in torch's own.
        same = query is key and key is value
        batched = query.dim() == 3
        streams = [self._batch_first(stream, batched) for stream in ([query] if same else [query, key, value])]
        if key_padding_mask is not None and not batched:
            key_padding_mask = key_padding_mask.unsqueeze(0)
        q, k, v = self._project(streams)
        # The kernel makes a causal mask itself, unless another is merged with it or the weights are wanted.
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None if causal else _merged(attn_mask, key_padding_mask, q)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            attended, weights = _attend(q, k, v, mask, dropout)
            weights = weights.mean(dim=1) if average_attn_weights else weights
        else:
            attended = functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)
        out = functional.linear(attended.transpose(1, 2).flatten(2), self.out_proj.weight, self.out_proj.bias)
        if not batched:
            return out.squeeze(0), None if weights is None else weights.squeeze(0)
        return out if self.batch_first else out.transpose(0, 1), weights

    def _batch_first(self, stream: Tensor, batched: bool) -> Tensor:
        if not batched:
            return stream.unsqueeze(0)
        return stream if self.batch_first else stream.transpose(0, 1)

    def _project(self, streams: list[Tensor]) -> list[Tensor]:
        """Return queries, keys and values, each of shape (batch, heads, length, head size)."""
        if len(streams) == 1:
            projected = functional.linear(streams[0], self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            weights = self.in_proj_weight.chunk(3)
            biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
            projected = tuple(map(functional.linear, streams, weights, biases))
        return [part.view(*part.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for part in projected]

    def _attend_nested(self, query: Tensor, *weights: bool) -> tuple[Tensor, Tensor | None]:
        """Attend to sequences that torch's encoder has nested for the fast path of its layers: pad them again."""
        padded = query.to_padded_tensor(0.0)
        lengths = torch.tensor([len(sequence) for sequence in query.unbind()], device=padded.device)
        padding = torch.arange(padded.shape[1], device=padded.device) >= lengths[:, None]
        need_weights, average = weights
        out, attention = self(padded, padded, padded, padding, need_weights, None, average)
        return torch._nested_tensor_from_mask(out, ~padding), attention


def reason_against(module: nn.MultiheadAttention) -> str | None:
    """Return why an attention's heads cannot change; None if they can."""
    if isinstance(module, HeadAttention):
        return None
    if type(module) is not nn.MultiheadAttention:
        return f"{type(module).__name__} may attend in a way of its own"
    if not module._qkv_same_embed_dim:
        return "its keys or values have a width of their own (kdim, vdim)"
    if module.bias_k is not None or module.add_zero_attn:
        return "it attends to keys that are not in the sequence (add_bias_kv, add_zero_attn)"
    return None


def free_heads(module: nn.MultiheadAttention) -> None:
    """Turn an attention into a `HeadAttention` in place.

    Raises:
        StructureError: with the reason, if it cannot be one.
    """
    if reason := reason_against(module):
        raise StructureError(f"the heads of an attention cannot be freed: {reason}")
    # The same object with another forward: its parents, hooks, optimizer and whoever else refers to it need not know.
    module.__class__ = HeadAttention


def _merged(attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor) -> Tensor | None:
    """Return one mask to add to the scores, which broadcasts to (batch, heads, queries, keys)."""
    masks = []
    if attn_mask is not None:
        masks.append(attn_mask if attn_mask.dim() == 2 else attn_mask.view(*q.shape[:2], *attn_mask.shape[1:]))
    if key_padding_mask is not None:
        masks.append(key_padding_mask[:, None, None, :])
    additive = [_additive(mask, q) for mask in masks]
    return additive[0] + additive[1] if len(additive) == 2 else next(iter(additive), None)


def _additive(mask: Tensor, q: Tensor) -> Tensor:
    if mask.dtype is not torch.bool:
        return mask.to(q.dtype)
    return torch.zeros_like(mask, dtype=q.dtype).masked_fill_(mask, float("-inf"))


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> tuple[Tensor, Tensor]:
    scores: Any = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    weights = functional.dropout((scores if mask is None else scores + mask).softmax(-1), dropout)
    return weights @ v, weights


def follow(labels: Labels, module: nn.MultiheadAttention, reads: list[Any], out: Tensor) -> None:
    """Label what an attention returned: its heads are its units; what it reads and returns belongs to the stream.

    Args:
        labels: the labels of the pass.
        module: the attention, which has just been called.
        reads: its query, key and value.
        out: its first result.
    """
    if reason := reason_against(module):
        for tensor in [*module.parameters(), *tensors_in(reads)]:
            labels.fix_all(tensor, reason)
        return
    projection, leaving = labels.of(module.in_proj_weight), labels.of(module.out_proj.weight)
    # The stream: all that is read is read by the same columns.
    for tensor in tensors_in(reads):
        stream = labels.of(tensor).get(tensor.dim() - 1)
        if stream is None:
            labels.fix(projection[1], "they read what cannot change")
        else:
            labels.join(stream, projection[1])
    labels.play(projection[1], Role.FAN_OUT)
    # The heads: (3 blocks, heads, head size). All rows of a head are joined with its first row of queries, and so are
    # the columns that read the head on the way out.
    heads = projection[0].view(3, -1, module.head_dim)
    labels.join(heads, heads[:1, :, :1].expand_as(heads))
    labels.join(heads[0].flatten(), leaving[1])
    labels.play(projection[0], Role.FAN_IN)
    # A new head's rows go to the end of each block, not to the end of the whole weight.
    labels.in_blocks(projection[0], 3)
    labels.play(leaving[1], Role.FAN_OUT)
    labels.play(leaving[0], Role.FAN_IN)
    labels.join(leaving[0], projection[1])  # torch's attention returns as many features as it reads
    for bias, owner in ((module.in_proj_bias, projection[0]), (module.out_proj.bias, leaving[0])):
        if bias is not None:
            labels.join(owner, labels.of(bias)[0])
            if owner is projection[0]:
                labels.in_blocks(labels.of(bias)[0], 3)
    labels.put(out, {out.dim() - 1: leaving[0]})
    labels.from_input(out)
