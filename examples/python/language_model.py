"""A language model: prefill and decode in one artifact, weights stored once.

The prompt goes through ``prefill``, which returns the scores of the next token
and the keys and values of all tokens so far; ``decode`` takes one token and
those, and returns them longer by one. (A random model, so random words.)

    python language_model.py
"""

import torch

import headrace

WORDS, WIDTH, HEADS, LAYERS, LONGEST = 100, 64, 4, 2, 64
Cache = tuple[torch.Tensor, torch.Tensor]


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.qkv = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)
        self.mlp = torch.nn.Sequential(
            torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, 4 * WIDTH),
            torch.nn.GELU(), torch.nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor, cache: Cache | None
                ) -> tuple[torch.Tensor, Cache]:
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(
            batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
        seen = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=cache is None)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.mlp(x), (k, v)


class LanguageModel(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(WORDS, WIDTH)
        self.places = torch.nn.Embedding(LONGEST, WIDTH)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.scores = torch.nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens: torch.Tensor,
                caches: list[Cache] | None = None
                ) -> tuple[torch.Tensor, list[Cache]]:
        before = 0 if caches is None else caches[0][0].shape[2]
        places = torch.arange(before, before + tokens.shape[1])
        x = self.words(tokens) + self.places(places)
        new = []
        for number, layer in enumerate(self.layers):
            x, cache = layer(x, caches[number] if caches else None)
            new.append(cache)
        return self.scores(x[:, -1]), new


def compile_model(model: LanguageModel) -> headrace.Model:
    prompt = torch.export.Dim("prompt", min=2, max=LONGEST)
    prefill = torch.export.export(
        model, (torch.zeros(1, 8, dtype=torch.int64),),
        dynamic_shapes=({1: prompt},))
    past = torch.export.Dim("past", min=2, max=LONGEST - 1)
    cache = torch.zeros(1, HEADS, 8, WIDTH // HEADS)
    caches = [(cache, cache.clone()) for _ in range(LAYERS)]
    decode = torch.export.export(
        model, (torch.zeros(1, 1, dtype=torch.int64), caches),
        dynamic_shapes=({}, [({2: past}, {2: past})] * LAYERS))
    return headrace.compile({"prefill": prefill, "decode": decode})


def generate(model: headrace.Model, prompt: list[int], count: int) -> list[int]:
    """The likeliest next tokens, one after the other."""
    tokens = list(prompt)
    scores, caches = model.prefill(torch.tensor([tokens]))
    for _ in range(count):
        tokens.append(int(scores.argmax()))
        scores, caches = model.decode(torch.tensor([tokens[-1:]]), caches)
    return tokens


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    model = LanguageModel().eval()
    fast = compile_model(model)

    prompt = [11, 22, 33, 44, 55]
    tokens = generate(fast, prompt, 12)
    print("tokens", tokens)

    expected = list(prompt)  # without a cache, by PyTorch
    for _ in range(12):
        expected.append(int(model(torch.tensor([expected]))[0].argmax()))
    assert tokens == expected, expected


if __name__ == "__main__":
    main()
