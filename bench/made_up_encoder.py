"""A random little BERT that knows a few words, for tests: a network and a tokenizer, or a folder with both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def bert(words: Sequence[str], *, layers: int = 2, width: int = 32, heads: int = 4, seed: int = 3) -> tuple[Any, Any]:
    """Network and tokenizer; the MLP is twice as wide as the states."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    known = [*SPECIAL, *words]
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BertModel(BertConfig(vocab_size=len(known), intermediate_size=2 * width, **sizes))
    # Not vocab_file: transformers 5 passes over it, and every word would be unknown.
    return network, BertTokenizerFast(vocab={word: place for place, word in enumerate(known)})


def write_bert(folder: Path, words: Sequence[str], **sizes: int) -> None:
    """A Hugging Face folder with both."""
    for part in bert(words, **sizes):
        part.save_pretrained(folder)
