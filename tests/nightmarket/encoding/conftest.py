import pytest


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A random BERT of three layers with a word-level vocabulary, as a Hugging Face folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate", "of", "the"],
    ]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
        BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    # not vocab_file: transformers 5 passes over it, and every word would be unknown
    BertTokenizerFast(vocab={word: place for place, word in enumerate(words)}).save_pretrained(folder)
    return folder
