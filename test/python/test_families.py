"""The reduced programs of families.py keep the contract, end to end.

Each at the oracle level and optimized, with symbolic sizes where it has them,
at three bindings. The full sizes are benchmarks/correctness.py's.
"""

import pytest

import contract
import families

#: Programs that differ from a tested one in dtype only, or in the half that the
#: other kind of experts is tested with.
ALIKE = {"llama_f32_prefill", "llama_f32_decode", "qwen2_prefill",
         "qwen2_decode", "mixtral_grouped_decode", "qwen2_moe_batched_prefill",
         "qwen2_moe_batched_decode", "qwen2_moe_grouped_decode",
         "qwen3_moe_batched_prefill", "mixtral_batched_decode",
         "qwen3_moe_batched_decode", "t5_encoder", "bart_encoder"}
TESTED = [name for name in families.PROGRAMS if name not in ALIKE]
#: What constants change: tables, masks and windows that are folded.
STATIC = ["bert", "gpt2_decode", "llama_prefill", "t5", "swin", "vit", "clip",
          "mobilenet_v2", *sorted(ALIKE)]


def check(name: str, dynamic: bool, opts: tuple[int, ...]) -> None:
    case = families.PROGRAMS[name].case("reduced", dynamic)
    contract.check(contract.Case(name, case.module, case.args,
                                 dynamic_shapes=case.dynamic_shapes,
                                 runs=case.runs, decomposed=False), opts=opts)


@pytest.mark.parametrize("name", TESTED)
def test_symbolic_sizes(name):
    check(name, True, (0, 2))


@pytest.mark.parametrize("name", STATIC)
def test_known_sizes(name):
    check(name, False, (0, 2) if name in ALIKE else (2,))
