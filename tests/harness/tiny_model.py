"""A tiny Llama with random weights and a byte-level tokenizer, as `save_pretrained` writes it."""

from pathlib import Path

TEMPLATE = (
    "{%- for m in messages -%}{%- if m['role'] == 'forbidden' -%}{{ raise_exception('no') }}{%- endif -%}"
    "<|{{ m['role'] }}|>{{ m['content'] }}{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CONTEXT = 128


def save_tiny_model(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = ["refund accepted", "refund refused", "refunds", "shipping", "größer 🙂 naïve"] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=300, min_frequency=2, show_progress=False, initial_alphabet=alphabet, special_tokens=SPECIAL
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=SPECIAL[2:],
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.4,  # larger than usual, so that random answers differ from prompt to prompt
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
