"""The rows of the table: what is computed, and what limits it.

A row is a module in eval mode with example arguments. Weights are random but
fixed by a seed, except MiniLM's, which are the real ones.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    ``limit`` says what the row cannot be faster than: "f32" and "bf16", its
    operations at the rate of the fastest instruction for such numbers; "read",
    weights and inputs from memory once; "copy", inputs read and outputs
    written, past the caches. ``goal`` is the share of it to reach.
    """

    name: str
    group: str
    #: Of weights and activations.
    dtype: str
    limit: str
    goal: float
    function: Callable[..., tuple[Any, tuple[Any, ...]]]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self) -> tuple[Any, tuple[Any, ...]]:
        """The module and its arguments."""
        return self.function(**self.options)


def _dtype(name: str) -> Any:
    import torch
    return {"f32": torch.float32, "bf16": torch.bfloat16}[name]


def _module(function: Callable[..., Any]) -> Any:
    from torch import nn

    class Function(nn.Module):
        def forward(self, *args: Any) -> Any:
            return function(*args)
    return Function().eval()


# ------------------------------------------------------------------- kernels

def matmul(size: int, dtype: str = "f32") -> Any:
    """Two matrices that both come from outside."""
    import torch
    return _module(lambda x, y: x @ y), tuple(
        torch.randn(size, size).to(_dtype(dtype)) for _ in range(2))


def linear(size: int, dtype: str = "f32") -> Any:
    """A constant weight, so that it can be packed ahead."""
    import torch
    module = torch.nn.Linear(size, size, bias=False).to(_dtype(dtype))
    return module.eval(), (torch.randn(size, size).to(_dtype(dtype)),)


def conv3x3(channels: int, size: int) -> Any:
    import torch
    module = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    return module.eval(), (torch.randn(1, channels, size, size),)


def sdpa(length: int, dtype: str = "f32") -> Any:
    """Twelve heads of size 64, not causal."""
    import torch
    from torch.nn import functional as F
    return _module(F.scaled_dot_product_attention), tuple(
        torch.randn(1, 12, length, 64).to(_dtype(dtype)) for _ in range(3))


def ln_gelu_res() -> Any:
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(1024)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + F.gelu(self.norm(x))
    return Chain().eval(), (torch.randn(4096, 1024),)


def softmax() -> Any:
    import torch
    return _module(lambda x: torch.softmax(x, -1)), (torch.randn(4096, 4096),)


# -------------------------------------------------------------------- models

def minilm(batch: int, length: int) -> Any:
    import models
    case = models.minilm(batch, length)
    return case.module, case.args


def _field(model: Any, name: str) -> Any:
    """A module whose result is one field of another's."""
    from torch import nn

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any) -> Any:
            return getattr(self.model(x), name)
    return Field().eval()


def _tokens(vocabulary: int, length: int) -> Any:
    import torch
    return torch.randint(0, vocabulary, (1, length))


def bert_base() -> Any:
    from transformers import BertConfig, BertModel
    config = BertConfig()
    return (_field(BertModel(config), "last_hidden_state"),
            (_tokens(config.vocab_size, 128),))


def resnet50() -> Any:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification
    model = ResNetForImageClassification(ResNetConfig(num_labels=1000))
    return _field(_settle(model), "logits"), (torch.randn(1, 3, 224, 224),)


def vit_b16() -> Any:
    import torch
    from transformers import ViTConfig, ViTForImageClassification
    model = ViTForImageClassification(ViTConfig(num_labels=1000))
    return _field(model, "logits"), (torch.randn(1, 3, 224, 224),)


def mobilenet_v2() -> Any:
    import torch
    from transformers import (MobileNetV2Config,
                              MobileNetV2ForImageClassification)
    model = MobileNetV2ForImageClassification(
        MobileNetV2Config(num_labels=1000))
    return _field(_settle(model), "logits"), (torch.randn(1, 3, 224, 224),)


def _settle(model: Any) -> Any:
    """Statistics of batch norms that are not the initial ones."""
    import torch
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.25)
    return model


def whisper_tiny_encoder() -> Any:
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder
    encoder = WhisperEncoder(WhisperConfig())
    return (_field(encoder, "last_hidden_state"),
            (torch.randn(1, encoder.config.num_mel_bins, 3000),))


def _decode(model: Any) -> Any:
    """One token with an explicit cache: token ids [B, 1], keys and values
    [L, B, H, S, D] -> logits, and keys and values [L, B, H, 1, D] of the new
    token."""
    import torch
    from torch import nn
    from transformers.cache_utils import DynamicCache

    class Decode(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, keys: Any, values: Any) -> Any:
            cache = DynamicCache(list(zip(keys.unbind(0),
                                          values.unbind(0))))
            result = self.model(ids, past_key_values=cache,
                                use_cache=True)
            new = [(layer.keys[:, :, -1:], layer.values[:, :, -1:])
                   for layer in result.past_key_values.layers]
            return (result.logits, torch.stack([k for k, _ in new]),
                    torch.stack([v for _, v in new]))
    return Decode().eval()


def _prefill(model: Any) -> Any:
    """The tokens of a prompt, without a cache -> logits."""
    from torch import nn

    class Prefill(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            return self.model(ids, use_cache=False).logits
    return Prefill().eval()


def gpt2(decode: bool) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config()
    model = GPT2LMHeadModel(config)
    if not decode:
        return _prefill(model), (_tokens(config.vocab_size, 128),)
    shape = (config.n_layer, 1, config.n_head, 512,
             config.n_embd // config.n_head)
    return _decode(model), (_tokens(config.vocab_size, 1), torch.randn(shape),
                            torch.randn(shape))


def llama1b(decode: bool) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, vocab_size=128256,
        tie_word_embeddings=True, max_position_embeddings=131072)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    if not decode:
        return _prefill(model), (_tokens(config.vocab_size, 128),)
    shape = (16, 1, 8, 512, 64)
    return _decode(model), (_tokens(config.vocab_size, 1), *(
        torch.randn(shape, dtype=torch.bfloat16) for _ in range(2)))


# ----------------------------------------------------------------- the table

ROWS: dict[str, Row] = {entry.name: entry for entry in (
    Row("matmul_f32_1024", "kernels", "f32", "f32", 0.90, matmul,
        {"size": 1024}),
    Row("matmul_f32_2048", "kernels", "f32", "f32", 0.90, matmul,
        {"size": 2048}),
    Row("linear_f32_2048", "kernels", "f32", "f32", 0.92, linear,
        {"size": 2048}),
    Row("matmul_bf16_2048", "kernels", "bf16", "bf16", 0.50, matmul,
        {"size": 2048, "dtype": "bf16"}),
    Row("linear_bf16_2048", "kernels", "bf16", "bf16", 0.55, linear,
        {"size": 2048, "dtype": "bf16"}),
    Row("conv3x3_f32_64x56", "kernels", "f32", "f32", 0.88, conv3x3,
        {"channels": 64, "size": 56}),
    Row("conv3x3_f32_256x14", "kernels", "f32", "f32", 0.92, conv3x3,
        {"channels": 256, "size": 14}),
    Row("sdpa_f32_s512", "kernels", "f32", "f32", 0.74, sdpa,
        {"length": 512}),
    Row("sdpa_bf16_s2048", "kernels", "bf16", "bf16", 0.22, sdpa,
        {"length": 2048, "dtype": "bf16"}),
    Row("ln_gelu_res_f32", "kernels", "f32", "copy", 0.70, ln_gelu_res),
    Row("softmax_f32_4096", "kernels", "f32", "copy", 0.90, softmax),
    Row("minilm_b1_s16", "minilm", "f32", "f32", 0.52, minilm,
        {"batch": 1, "length": 16}),
    Row("minilm_b1_s128", "minilm", "f32", "f32", 0.75, minilm,
        {"batch": 1, "length": 128}),
    Row("minilm_b32_s128", "minilm", "f32", "f32", 0.82, minilm,
        {"batch": 32, "length": 128}),
    Row("bert_base_b1_s128", "encoders", "f32", "f32", 0.80, bert_base),
    Row("resnet50_b1", "vision", "f32", "f32", 0.75, resnet50),
    Row("vit_b16_b1", "vision", "f32", "f32", 0.80, vit_b16),
    Row("mobilenet_v2_b1", "vision", "f32", "f32", 0.60, mobilenet_v2),
    Row("whisper_tiny_enc_b1", "encoders", "f32", "f32", 0.70,
        whisper_tiny_encoder),
    Row("gpt2_prefill_s128", "gpt2", "f32", "f32", 0.80, gpt2,
        {"decode": False}),
    Row("gpt2_decode_c512", "gpt2", "f32", "read", 0.90, gpt2,
        {"decode": True}),
    Row("llama1b_decode_c512", "llama1b", "bf16", "read", 0.90, llama1b,
        {"decode": True}),
    Row("llama1b_prefill_s128", "llama1b", "bf16", "bf16", 0.35, llama1b,
        {"decode": False}),
)}


def select(names: list[str]) -> list[Row]:
    """The rows of these names or groups, in the order of the table; all rows
    for no names. Raises ValueError for a name that is neither."""
    if not names:
        return list(ROWS.values())
    groups = {entry.group for entry in ROWS.values()}
    for name in names:
        if name not in ROWS and name not in groups:
            raise ValueError(
                f"unknown row {name!r}; there are the groups "
                f"{', '.join(sorted(groups))} and the rows {', '.join(ROWS)}")
    return [entry for entry in ROWS.values()
            if entry.name in names or entry.group in names]
