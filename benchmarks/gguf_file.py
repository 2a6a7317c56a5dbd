"""A Llama of transformers as a GGUF file, which llama.cpp reads.

Names, order and types are those of llama.cpp's own converter: norms in f32,
matrices as they are, and the rows of the query and key projections in the order
of its rotary embedding, in which the two halves of a pair are neighbours.
"""

from __future__ import annotations

from typing import Any


def write(model: Any, path: str) -> None:
    """Writes a LlamaForCausalLM. It has no tokenizer: tokens go in as ids."""
    import gguf
    import torch
    config = model.config
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("none")

    def add(name: str, weight: Any, heads: int | None = None) -> None:
        weight = weight.detach()
        if heads is not None:
            rows, columns = weight.shape
            weight = weight.reshape(heads, 2, rows // heads // 2, columns) \
                .transpose(1, 2).reshape(rows, columns)
        if weight.dim() == 1 or weight.dtype == torch.float32:
            writer.add_tensor(name, weight.float().numpy())
        else:
            assert weight.dtype == torch.bfloat16, weight.dtype
            raw = weight.contiguous().view(torch.uint8).numpy()
            writer.add_tensor(name, raw,
                              raw_dtype=gguf.GGMLQuantizationType.BF16)

    inner = model.model
    add("token_embd.weight", inner.embed_tokens.weight)
    add("output_norm.weight", inner.norm.weight)
    if not config.tie_word_embeddings:
        add("output.weight", model.lm_head.weight)
    for number, layer in enumerate(inner.layers):
        prefix = f"blk.{number}."
        add(prefix + "attn_norm.weight", layer.input_layernorm.weight)
        attention = layer.self_attn
        add(prefix + "attn_q.weight", attention.q_proj.weight, heads)
        add(prefix + "attn_k.weight", attention.k_proj.weight, kv_heads)
        add(prefix + "attn_v.weight", attention.v_proj.weight)
        add(prefix + "attn_output.weight", attention.o_proj.weight)
        add(prefix + "ffn_norm.weight", layer.post_attention_layernorm.weight)
        add(prefix + "ffn_gate.weight", layer.mlp.gate_proj.weight)
        add(prefix + "ffn_up.weight", layer.mlp.up_proj.weight)
        add(prefix + "ffn_down.weight", layer.mlp.down_proj.weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
