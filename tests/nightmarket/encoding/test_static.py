import json
import shutil

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.loading import load_encoder
from nightmarket.encoding.static import StaticEncoder

TEXTS = ["milk", "tea milk", "", "milk milk tea", "unknown"]


@pytest.fixture
def encoder():
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "milk": 1, "tea": 2, "green": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = torch.tensor([[0, 0, 1, 0], [3, 0, 0, 4], [0, 2, 0, 0], [1, 1, 1, 1]], dtype=torch.float32)
    return StaticEncoder(words, weights)


def test_a_text_is_the_mean_of_its_tokens_at_unit_length(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors[0] == pytest.approx([0.6, 0, 0, 0.8])
    assert vectors[1] == pytest.approx(np.array([3, 2, 0, 4]) / np.sqrt(29))
    assert not vectors[2].any()
    assert encoder.encode([]).shape == (0, 4)
    assert encoder.tokenize(TEXTS) == [[1], [2, 1], [], [1, 1, 2], [0]]


def test_a_saved_one_is_chosen_by_its_folder_and_read_by_sentence_transformers(encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    encoder.prompt, encoder.query_prompt, encoder.cut = "green ", "tea ", 3
    encoder.save(tmp_path / "kept")
    again = load_encoder(str(tmp_path / "kept"), "float32")
    assert isinstance(again, StaticEncoder)
    model = SentenceTransformer(str(tmp_path / "kept"), device="cpu")
    for role, encode in (("document", model.encode_document), ("query", model.encode_query)):
        ours = encoder.encode(TEXTS, role=role)
        assert ours.shape == (5, 3)
        assert np.array_equal(again.encode(TEXTS, role=role), ours)
        assert np.abs(encode(TEXTS, normalize_embeddings=True, show_progress_bar=False) - ours).max() < 1e-6


def test_what_sentence_transformers_saves_is_read(encoder, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    SentenceTransformer(modules=[StaticEmbedding(encoder.tokenizer, encoder.weights)]).save(str(tmp_path / "theirs"))
    assert np.array_equal(load_encoder(str(tmp_path / "theirs")).encode(TEXTS), encoder.encode(TEXTS))


def test_progress_ends_at_the_number_of_texts(encoder):
    seen = []
    encoder.encode(["milk"] * 5000, lambda done, total, seconds: seen.append((done, total)))
    assert seen[-1] == (5000, 5000)


def test_a_torn_folder_is_refused(encoder, tmp_path):
    encoder.save(tmp_path / "kept")
    torn = shutil.copytree(tmp_path / "kept", tmp_path / "torn")
    (torn / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"lacks its model\.safetensors or tokenizer\.json"):
        load_encoder(str(torn))
    encoder.weights[0, 0] = float("nan")
    encoder.save(tmp_path / "kept")
    with pytest.raises(InputError, match="not finite"):
        load_encoder(str(tmp_path / "kept"))


def test_a_further_module_is_refused_by_name(encoder, tmp_path):
    encoder.save(tmp_path / "kept")
    modules = json.loads((tmp_path / "kept" / "modules.json").read_text())
    modules[1]["type"] = "sentence_transformers.models.Dense"
    (tmp_path / "kept" / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match="Dense"):
        load_encoder(str(tmp_path / "kept"))
