"""Writes a tiny GGUF with random weights: enough for a real llama.cpp server to answer, too small to say anything.

In: the path to write. Out: a llama of two layers of 64 dimensions over bytes, the same for the same seed.
"""

import sys

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT = 2, 64, 4, 128, 512
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def write(path, seed=1):
    """Writes the model."""
    rng = np.random.default_rng(seed)

    def weights(rows, columns):
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    gguf_file = gguf.GGUFWriter(path, "llama")
    gguf_file.add_name("tiny")
    gguf_file.add_context_length(CONTEXT)
    gguf_file.add_embedding_length(WIDTH)
    gguf_file.add_block_count(LAYERS)
    gguf_file.add_feed_forward_length(HIDDEN)
    gguf_file.add_head_count(HEADS)
    gguf_file.add_head_count_kv(HEADS)
    gguf_file.add_layer_norm_rms_eps(1e-5)
    gguf_file.add_rope_dimension_count(WIDTH // HEADS)
    gguf_file.add_file_type(gguf.LlamaFileType.ALL_F32)

    gguf_file.add_tokenizer_model("llama")
    gguf_file.add_token_list(SPECIAL + BYTES)
    gguf_file.add_token_scores([0.0] * (len(SPECIAL) + len(BYTES)))
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    gguf_file.add_token_types(kinds + [gguf.TokenType.BYTE] * len(BYTES))
    gguf_file.add_unk_token_id(0)
    gguf_file.add_bos_token_id(1)
    gguf_file.add_eos_token_id(2)
    gguf_file.add_chat_template(TEMPLATE)

    words = len(SPECIAL) + len(BYTES)
    output = weights(words, WIDTH)
    # What can't be printed, and the end, are never the likeliest: every answer is text of full length.
    printable = np.zeros(words, dtype=bool)
    printable[len(SPECIAL) + 0x20 : len(SPECIAL) + 0x7F] = True
    output[~printable] = 0
    gguf_file.add_tensor("token_embd.weight", weights(words, WIDTH))
    gguf_file.add_tensor("output.weight", output)
    gguf_file.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        gguf_file.add_tensor(f"{block}.attn_norm.weight", np.ones(WIDTH, dtype=np.float32))
        gguf_file.add_tensor(f"{block}.ffn_norm.weight", np.ones(WIDTH, dtype=np.float32))
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
            gguf_file.add_tensor(f"{block}.{name}.weight", weights(WIDTH, WIDTH))
        gguf_file.add_tensor(f"{block}.ffn_gate.weight", weights(HIDDEN, WIDTH))
        gguf_file.add_tensor(f"{block}.ffn_up.weight", weights(HIDDEN, WIDTH))
        gguf_file.add_tensor(f"{block}.ffn_down.weight", weights(WIDTH, HIDDEN))

    gguf_file.write_header_to_file()
    gguf_file.write_kv_data_to_file()
    gguf_file.write_tensors_to_file()
    gguf_file.close()


if __name__ == "__main__":
    write(sys.argv[1])
