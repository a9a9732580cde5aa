import pytest

from nightmarket.testing.models import write_bert


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A random BERT of three layers with a word-level vocabulary, as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("bert")
    write_bert(folder, ["whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate", "of", "the"], layers=3)
    return folder
