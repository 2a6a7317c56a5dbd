# ===- families.py - Model families of transformers -----------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""The model families people have, from configurations of transformers.

Nothing is downloaded: every model is built from its configuration, with random
weights that a seed fixes.

    families.PROGRAMS["bert"].case()                 # reduced, static
    families.PROGRAMS["bert"].case("full")           # the default configuration
    families.PROGRAMS["bert"].case(dynamic=True)     # symbolic batch and length

`reduced` has two layers (stages of two blocks for vision) and small widths.
`full` is the configuration transformers gives by default, except Llama and Qwen,
which are shaped like a model of a billion parameters, and the mixtures of
experts, whose default sizes no small machine holds.

A program of a decoder with a cache takes it as inputs [layers, batch, heads,
length, width] and gives the logits and the new token's keys and values; keeping
the cache is the caller's business.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Callable

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import nn

import models

SIZES = ("reduced", "full")


@dataclasses.dataclass
class Example:
    """What a builder makes: a module and how to call it."""

    module: nn.Module
    #: The arguments for given sizes, by the names of `Program.sizes`.
    args: Callable[..., tuple]


@dataclasses.dataclass(frozen=True)
class Program:
    """One exported function of a family."""

    name: str
    build: Callable[[str], Example]
    #: Per argument, the symbolic dimensions: {dimension: name}.
    dims: tuple[dict[int, str], ...]
    #: The sizes exported with (statically), by name and by size of the model.
    sizes: dict[str, dict[str, int]]
    #: The range of each symbolic size.
    ranges: dict[str, tuple[int, int]] = dataclasses.field(
        default_factory=lambda: {"b": (1, 64), "s": (2, 512)})
    #: Why there is no dynamic form (of some dimensions), in words.
    static_because: str | None = None
    #: Names of sizes that stay constants in the dynamic form.
    fixed: tuple[str, ...] = ()
    #: Leave the sizes to torch.export, with Dim.AUTO: it does not believe that
    #: min(x, 2 * x) is x for every size, and refuses named ones for that.
    automatic: bool = False

    @property
    def dynamic_sizes(self) -> list[str]:
        names = {name for dims in self.dims for name in dims.values()}
        return sorted(names - set(self.fixed))

    def case(self, size: str = "reduced", dynamic: bool = False) -> FamilyCase:
        assert size in SIZES
        torch.manual_seed(0)
        example = self.build(size)
        example.module.eval()
        sizes = dict(self.sizes[size])
        shapes = None
        runs = []
        if dynamic:
            names = self.dynamic_sizes
            assert names, f"{self.name} is static: {self.static_because}"
            symbols = {}
            for n in names:
                least, largest = self.ranges[n]
                symbols[n] = (
                    torch.export.Dim.AUTO(min=least, max=largest)
                    if self.automatic
                    else torch.export.Dim(n, min=least, max=largest))
            shapes = tuple({d: symbols[n] for d, n in dims.items()
                            if n in symbols} or None for dims in self.dims)
            # The exporter takes a size of 1 for a constant, and equal sizes for
            # the same one.
            for place, name in enumerate(names):
                sizes[name] = max(sizes[name], 3) + place
            runs = [example.args(**{**sizes, **{n: self.ranges[n][0]
                                                for n in names}}),
                    example.args(**{**sizes, **{n: min(sizes[n] * 2 + 1,
                                                       self.ranges[n][1])
                                                for n in names}})]
        case = FamilyCase(self.name, example.module, example.args(**sizes),
                          shapes)
        case.runs = runs
        return case


@dataclasses.dataclass
class FamilyCase(models.Case):
    #: Arguments of other sizes, where the program is dynamic.
    runs: list[tuple] = dataclasses.field(default_factory=list)


PROGRAMS: dict[str, Program] = {}


def add(name: str, build: Callable[[str], Example], dims, reduced: dict,
        full: dict, **more: Any) -> None:
    PROGRAMS[name] = Program(name, build, tuple(dims),
                             {"reduced": reduced, "full": full}, **more)


class Text(nn.Module):
    """An encoder of text, giving its last hidden states."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids,
                          attention_mask=attention_mask).last_hidden_state


class Causal(nn.Module):
    """A causal model without a cache, giving logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


def create(config, model: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The model of the name with random weights, made in the dtype."""
    import transformers
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        made = getattr(transformers, model)(config).eval()
    finally:
        torch.set_default_dtype(default)
    for module in made.modules():
        # The initial statistics would make normalization do nothing.
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            # Zero biases and unit scales would hide that they are forgotten.
            if parameter.dim() == 1 or "bias" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


def config(name: str, **options: Any):
    import transformers
    return getattr(transformers, name + "Config")(**options)


def ids(vocabulary: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(10, vocabulary, shape, generator=generator)


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


def mask(b: int, s: int) -> torch.Tensor:
    """1 for what is there; a different tail of each row but the first is not."""
    value = torch.ones(b, s, dtype=torch.int64)
    for row in range(1, b):
        value[row, max(s - row, 1):] = 0
    return value


# ----------------------------------------------------------------- Encoders


def encoder(name: str, small: dict) -> Callable[[str], Example]:
    def build(size: str) -> Example:
        c = config(name, **(small if size == "reduced" else {}))
        model = create(c, name + "Model")
        return Example(Text(model), lambda b, s: (ids(c.vocab_size, b, s),
                                                  mask(b, s)))
    return build


SMALL_BERT = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                  intermediate_size=128, vocab_size=500)
TOKENS = ({0: "b", 1: "s"}, {0: "b", 1: "s"})
add("bert", encoder("Bert", SMALL_BERT), TOKENS, dict(b=2, s=9),
    dict(b=1, s=128))
add("roberta", encoder("Roberta", SMALL_BERT), TOKENS, dict(b=2, s=9),
    dict(b=1, s=128), ranges={"b": (1, 64), "s": (2, 500)})
add("distilbert", encoder("DistilBert", dict(
    dim=64, n_layers=2, n_heads=4, hidden_dim=128, vocab_size=500)), TOKENS,
    dict(b=2, s=9), dict(b=1, s=128))


# ----------------------------------------------------------------- Decoders


class Decode(nn.Module):
    """A token and the cache of what came before -> logits, new keys, values."""

    def __init__(self, model: nn.Module, layers: int):
        super().__init__()
        self.model = model
        self.layers = layers

    def forward(self, token, keys, values):
        from transformers import DynamicCache
        torch._check(keys.shape[3] == values.shape[3])
        cache = DynamicCache()
        for i in range(self.layers):
            cache.update(keys[i], values[i], i)
        length = keys.shape[3]
        at = torch.arange(length, length + 1)[None]
        logits = self.model(input_ids=token, past_key_values=cache,
                            position_ids=at, use_cache=True).logits
        keys = torch.stack([l.keys[:, :, -1:] for l in cache.layers])
        values = torch.stack([l.values[:, :, -1:] for l in cache.layers])
        return logits, keys, values


def add_decoder(name: str, make: Callable[[str], nn.Module],
                reduced: dict = dict(b=2, s=9), full: dict = dict(b=1, s=128),
                context: int = 512, grouped: bool = True, **more: Any) -> None:
    """`name`_prefill and `name`_decode of the causal model that `make` gives;
    `grouped` if several heads share keys."""
    def prefill(size: str) -> Example:
        model = make(size)
        return Example(Causal(model),
                       lambda b, s: (ids(model.config.vocab_size, b, s),))

    def decode(size: str) -> Example:
        model = make(size)
        c = model.config
        heads = getattr(c, "num_key_value_heads", None) or c.num_attention_heads
        width = getattr(c, "head_dim", None) or (
            c.hidden_size // c.num_attention_heads)

        def args(b, s):
            shape = (c.num_hidden_layers, b, heads, s, width)
            keys = noise(*shape, dtype=model.dtype)
            return ids(c.vocab_size, b, 1), keys, keys.flip(3).clone()
        return Example(Decode(model, c.num_hidden_layers), args)

    add(f"{name}_prefill", prefill, ({0: "b", 1: "s"},), reduced, full, **more)
    cache = {1: "b", 3: "s"}
    # A batch of one would be another program to an automatic dimension.
    if grouped:
        more = dict(more, automatic=True, ranges={"b": (2, 64), "s": (2, 512)})
    add(f"{name}_decode", decode, ({0: "b"}, cache, cache), reduced,
        dict(full, s=context), **more)


def gpt2(size: str) -> nn.Module:
    small = dict(n_embd=64, n_layer=2, n_head=4, vocab_size=500)
    return create(config("GPT2", **(small if size == "reduced" else {})),
                  "GPT2LMHeadModel")


SMALL_DECODER = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, intermediate_size=128,
                     vocab_size=500, tie_word_embeddings=True)
BILLION = dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32,
               num_key_value_heads=8, intermediate_size=8192,
               vocab_size=128256, tie_word_embeddings=True)


def decoder(name: str, dtype: torch.dtype, **more: Any):
    def make(size: str) -> nn.Module:
        sizes = SMALL_DECODER if size == "reduced" else BILLION
        return create(config(name, **{**sizes, **more}),
                      name + "ForCausalLM", dtype)
    return make


add_decoder("gpt2", gpt2, grouped=False)
for _name, _dtype in (("", torch.bfloat16), ("_f32", torch.float32)):
    add_decoder("llama" + _name, decoder("Llama", _dtype))
    add_decoder("qwen2" + _name, decoder("Qwen2", _dtype))
add_decoder("qwen3", decoder("Qwen3", torch.bfloat16, head_dim=64))


def experts(name: str, implementation: str):
    """Mixtures of experts, eight of them; `full` is a small model too."""
    def make(size: str) -> nn.Module:
        small = size == "reduced"
        width = 64 if small else 512
        c = config(name, hidden_size=width, num_hidden_layers=2 if small else 4,
                   num_attention_heads=4 if small else 8, num_key_value_heads=2,
                   intermediate_size=2 * width, vocab_size=500 if small else 32000)
        c.head_dim = width // c.num_attention_heads
        if name == "Mixtral":
            c.num_local_experts = 8
        else:
            c.num_experts, c.num_experts_per_tok = 8, 2
            c.moe_intermediate_size = width
            c.shared_expert_intermediate_size = width
        c._experts_implementation = implementation
        return create(c, name + "ForCausalLM")
    return make


for _kind in ("batched_mm", "grouped_mm"):
    _short = _kind.removesuffix("_mm")
    add_decoder(f"mixtral_{_short}", experts("Mixtral", _kind),
                full=dict(b=1, s=64), context=128)
    add_decoder(f"qwen2_moe_{_short}", experts("Qwen2Moe", _kind),
                full=dict(b=1, s=64), context=128)
add_decoder("qwen3_moe_batched", experts("Qwen3Moe", "batched_mm"),
            full=dict(b=1, s=64), context=128)


# ------------------------------------------------------ Encoders with decoders


class Translate(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          decoder_input_ids=decoder_input_ids,
                          use_cache=False).logits


def seq2seq(name: str, small: dict):
    def build(size: str) -> Example:
        c = config(name, **(small if size == "reduced" else {}))
        model = create(c, name + "ForConditionalGeneration")
        return Example(Translate(model), lambda b, s, t: (
            ids(c.vocab_size, b, s), mask(b, s), ids(c.vocab_size, b, t)))
    return build


def encoder_of(name: str, small: dict):
    def build(size: str) -> Example:
        c = config(name, **(small if size == "reduced" else {}))
        model = create(c, name + "Model").get_encoder()
        return Example(Text(model), lambda b, s: (ids(c.vocab_size, b, s),
                                                  mask(b, s)))
    return build


SMALL_T5 = dict(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4,
                vocab_size=500)
SMALL_BART = dict(d_model=64, encoder_layers=2, decoder_layers=2,
                  encoder_attention_heads=4, decoder_attention_heads=4,
                  encoder_ffn_dim=128, decoder_ffn_dim=128, vocab_size=500)
SEQUENCES = ({0: "b", 1: "s"}, {0: "b", 1: "s"}, {0: "b", 1: "t"})
LENGTHS = {"b": (1, 64), "s": (2, 512), "t": (2, 512)}
for _name, _small in (("T5", SMALL_T5), ("Bart", SMALL_BART)):
    add(_name.lower(), seq2seq(_name, _small), SEQUENCES, dict(b=2, s=9, t=6),
        dict(b=1, s=64, t=32), ranges=LENGTHS)
    add(f"{_name.lower()}_encoder", encoder_of(_name, _small), TOKENS,
        dict(b=2, s=9), dict(b=1, s=64))


# ------------------------------------------------------------- State spaces


def mamba(size: str) -> Example:
    small = dict(hidden_size=32, num_hidden_layers=2, state_size=8,
                 vocab_size=500, time_step_rank=4)
    c = config("Mamba", **(small if size == "reduced" else {}))
    model = create(c, "MambaForCausalLM")
    return Example(Causal(model), lambda b, s: (ids(c.vocab_size, b, s),))


add("mamba", mamba, ({0: "b", 1: "s"},), dict(b=2, s=5), dict(b=1, s=16),
    fixed=("s",),
    static_because="length: the exported recurrence is unrolled over time")


# ------------------------------------------------------------------- Vision


class Classifier(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


def vision(name: str, model: str, small: dict):
    def build(size: str) -> Example:
        options = small if size == "reduced" else {}
        c = config(name, num_labels=1000 if size == "full" else 10, **options)
        made = create(c, model)
        side = 64 if size == "reduced" else 224
        return Example(Classifier(made), lambda b: (noise(b, 3, side, side),))
    return build


IMAGES = ({0: "b"},)
BATCHES = dict(reduced=dict(b=2), full=dict(b=1), ranges={"b": (1, 32)})
add("resnet50", vision("ResNet", "ResNetForImageClassification", dict(
    embedding_size=16, hidden_sizes=[32, 64], depths=[1, 2])), IMAGES, **BATCHES)
add("mobilenet_v2", vision("MobileNetV2", "MobileNetV2ForImageClassification",
                           dict(depth_multiplier=0.25, image_size=64)),
    IMAGES, **BATCHES)
add("convnext", vision("ConvNext", "ConvNextForImageClassification", dict(
    hidden_sizes=[16, 32], depths=[1, 1], num_stages=2, image_size=64)), IMAGES,
    **BATCHES)
add("vit", vision("ViT", "ViTForImageClassification", dict(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=128, image_size=64)), IMAGES, **BATCHES)
add("swin", vision("Swin", "SwinForImageClassification", dict(
    embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4,
    image_size=64)), IMAGES, **BATCHES)


# ------------------------------------------------------------ Sound, and text


SMALL_WHISPER = dict(
    d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128,
    vocab_size=500, max_source_positions=50, max_target_positions=32,
    num_mel_bins=16, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    decoder_start_token_id=1)


def whisper(size: str):
    # The default configuration is that of the smallest Whisper.
    c = config("Whisper", **(SMALL_WHISPER if size == "reduced" else {}))
    return c, create(c, "WhisperForConditionalGeneration")


class Listen(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_features):
        return self.encoder(input_features=input_features).last_hidden_state


def whisper_encoder(size: str) -> Example:
    c, model = whisper(size)
    frames = 2 * c.max_source_positions
    return Example(Listen(model), lambda b: (noise(b, c.num_mel_bins, frames),))


class Transcribe(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.decoder = model.get_decoder()
        self.head = model.proj_out

    def forward(self, tokens, heard):
        return self.head(self.decoder(
            input_ids=tokens, encoder_hidden_states=heard,
            use_cache=False).last_hidden_state)


def whisper_decoder(size: str) -> Example:
    c, model = whisper(size)
    return Example(Transcribe(model), lambda b, s: (
        ids(c.vocab_size, b, s), noise(b, c.max_source_positions, c.d_model)))


add("whisper_encoder", whisper_encoder, ({0: "b"},), **BATCHES)
add("whisper_decoder", whisper_decoder, ({0: "b", 1: "s"}, {0: "b"}),
    dict(b=2, s=7), dict(b=1, s=32), ranges={"b": (1, 16), "s": (2, 32)})


class Match(nn.Module):
    """Every text with every image: both logits, both embeddings."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        o = self.model(input_ids=input_ids, pixel_values=pixel_values,
                       attention_mask=attention_mask)
        return (o.logits_per_image, o.logits_per_text, o.text_embeds,
                o.image_embeds)


def clip(size: str) -> Example:
    small = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                 intermediate_size=128)
    options = {}
    if size == "reduced":
        options = dict(
            text_config=dict(small, vocab_size=500, eos_token_id=2),
            vision_config=dict(small, image_size=64, patch_size=16),
            projection_dim=32)
    c = config("CLIP", **options)
    model = create(c, "CLIPModel")
    side = c.vision_config.image_size
    return Example(
        Match(model),
        lambda b, s, i: (ids(c.text_config.vocab_size, b, s),
                         noise(i, 3, side, side), mask(b, s)))


add("clip", clip, ({0: "b", 1: "s"}, {0: "i"}, {0: "b", 1: "s"}),
    # Enough of both that the largest error of the similarities, which cancel, is
    # not that of a handful of numbers.
    dict(b=9, s=9, i=11), dict(b=2, s=16, i=2),
    ranges={"b": (4, 32), "s": (2, 77), "i": (4, 32)})
