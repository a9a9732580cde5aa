"""Tiny random models for tests: a BERT that knows a few words and a GPT-2, each with its tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

END = "<end>"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def bert(
    words: Sequence[str], *, layers: int = 2, width: int = 32, heads: int = 4, inner: int = 0, seed: int = 3
) -> tuple[Any, Any]:
    """Network and tokenizer; the MLP is `inner` wide, or twice as wide as the states."""
    import torch
    import transformers

    made: Any = transformers  # its types name no fast tokenizer
    known = [*SPECIAL, *words]
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = made.BertModel(made.BertConfig(vocab_size=len(known), intermediate_size=inner or 2 * width, **sizes))
    # Not vocab_file: transformers 5 passes over it, and every word would be unknown.
    return network, made.BertTokenizerFast(vocab={word: place for place, word in enumerate(known)})


def write_bert(folder: Path, words: Sequence[str], **sizes: int) -> None:
    """A Hugging Face folder with both."""
    for part in bert(words, **sizes):
        part.save_pretrained(folder)


def words_tokenizer(texts: Sequence[str], chat: str | None = None) -> Any:
    """One token per word of `texts`, with the space before it, and an end."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast as Wrapped

    split = pre_tokenizers.Split(Regex(r" ?[^\s]+|\s"), "isolated")
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {word: number for number, word in enumerate([END, "<unknown>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.Fuse()
    wrapped: Any = Wrapped(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=END, unk_token="<unknown>"
    )
    wrapped.chat_template = chat
    return wrapped


def gpt(num_tokens: int, positions: int = 640) -> Any:
    """A random GPT-2 of two layers."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.random.fork_rng():
        torch.manual_seed(5)
        sizes: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": positions}
        sizes |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return GPT2LMHeadModel(GPT2Config(vocab_size=num_tokens, bos_token_id=0, eos_token_id=0, **sizes))


def save_gpt(folder: Path, tokenizer: Any, model: Any) -> str:
    """The folder's name, with both in it."""
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)
