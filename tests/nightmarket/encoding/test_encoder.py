import json
import shutil

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder, equal_length_batches
from nightmarket.encoding.layers import TopLayers, re_encode
from nightmarket.encoding.models import PACKAGED, resolve_model

TEXTS = ["whole milk", "rye bread of the dark chocolate", "green tea", "dark chocolate", "milk", "rye bread"]


@pytest.fixture(scope="module")
def minilm():
    return Encoder.load(PACKAGED, "float32")


def by_hand(folder, texts, pooling):
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    vectors = (hidden * mask).sum(1) / mask.sum(1) if pooling == "mean" else hidden[:, 0]
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_vectors_are_the_mean_of_the_token_states_that_transformers_gives(precision):
    ours = Encoder.load(PACKAGED, precision).encode(TEXTS)
    cosine = (ours * by_hand(resolve_model(PACKAGED), TEXTS, "mean")).sum(axis=1)
    assert cosine.min() >= (0.999999 if precision == "float32" else 0.9995)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_folder_that_says_cls_is_pooled_by_its_first_token(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "cls")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    ours = Encoder.load(str(folder), "float32").encode(TEXTS)
    assert (ours * by_hand(folder, TEXTS, "cls")).sum(axis=1).min() >= 0.99999
    assert (ours * by_hand(folder, TEXTS, "mean")).sum(axis=1).min() < 0.99


@pytest.mark.parametrize("precision", ["float32", "auto", "int8"])
def test_a_vector_does_not_depend_on_the_texts_beside_it_nor_on_their_order(precision):
    encoder = Encoder.load(PACKAGED, precision)
    texts = TEXTS + [f"rye bread {number}" for number in range(10, 80)]
    together = encoder.encode(texts)
    assert np.array_equal(encoder.encode(texts[::-1]), together[::-1])
    assert np.array_equal(np.concatenate([encoder.encode([text]) for text in texts[:9]]), together[:9])
    assert np.array_equal(encoder.encode(texts[:30]), together[:30])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nor_does_that_of_a_network_that_transformers_runs(tiny_bert, dtype):
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(vocab_size=15, dim=384, n_heads=6, n_layers=1, hidden_dim=1536)
    tokenizer = Encoder.load(str(tiny_bert), "float32").tokenizer
    encoder = Encoder(DistilBertModel(config).to(dtype), tokenizer, "mean", 32)
    together = encoder.encode(TEXTS)
    assert np.array_equal(np.concatenate([encoder.encode([text]) for text in TEXTS]), together)


def test_batches_hold_equal_lengths_within_the_budget_and_follow_from_the_set_of_texts():
    ids = [[1, 2], [3], [1, 1], [4], [5, 6, 7], [9, 9]]
    batches = [[ids[row] for row in rows] for rows in equal_length_batches(ids, budget=4)]
    assert batches == [[[5, 6, 7]], [[1, 1], [1, 2]], [[9, 9]], [[3], [4]]]
    backwards = ids[::-1]
    assert [[backwards[row] for row in rows] for rows in equal_length_batches(backwards, budget=4)] == batches


def test_progress_ends_at_the_number_of_texts(minilm):
    seen = []
    minilm.encode(TEXTS, lambda done, total, seconds: seen.append((done, total)))
    assert seen[-1] == (len(TEXTS), len(TEXTS))


def test_no_texts_give_no_vectors(minilm):
    assert minilm.encode([]).shape == (0, 384)


def test_an_empty_text_and_a_very_long_one_have_unit_vectors(minilm):
    assert np.linalg.norm(minilm.encode(["", "milk " * 2000]), axis=1) == pytest.approx(1, abs=1e-5)


def test_a_saved_encoder_gives_the_same_vectors(tiny_bert, tmp_path):
    encoder = Encoder.load(str(tiny_bert), "float32")
    encoder.prompt = "the"
    encoder.save(tmp_path / "kept")
    again = Encoder.load(str(tmp_path / "kept"), "float32")
    assert again.prompt == "the"
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_top_layers_on_kept_states_give_what_the_whole_encoder_gives(tiny_bert):
    encoder = Encoder.load(str(tiny_bert), "float32")
    top = TopLayers(encoder, 2)
    hidden = top.hidden(TEXTS)
    with torch.no_grad():
        split = top.encode(hidden, np.array([3, 0, 1]), torch.device("cpu")).numpy()
    assert split == pytest.approx(encoder.encode(TEXTS)[[3, 0, 1]], abs=1e-5)
    with torch.no_grad():
        for parameter in top.parameters():
            parameter.add_(0.05)
    changed = re_encode(top.merged(), hidden, top.num_frozen)
    assert changed == pytest.approx(encoder.encode(TEXTS), abs=1e-5)
    assert np.abs(changed[[3, 0, 1]] - split).max() > 1e-3


def test_more_layers_than_the_encoder_has_are_refused_with_the_number_it_has(tiny_bert):
    with pytest.raises(InputError, match="trained_layers is 9, but 3 layers"):
        TopLayers(Encoder.load(str(tiny_bert), "float32"), 9)


def test_a_model_without_some_of_its_tensors_is_refused(tiny_bert, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_bert, tmp_path / "torn")
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: value for name, value in tensors.items() if "layer.1.output" not in name}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 4 of its tensors, first 'encoder\.layer\.1\."):
        Encoder.load(str(folder))


def test_a_model_with_a_value_that_is_not_finite_is_refused(tiny_bert, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_bert, tmp_path / "nan")
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="not finite, first in 'embeddings"):
        Encoder.load(str(folder))


def test_an_unknown_pooling_is_refused_by_name(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "max")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(InputError, match="pooling_mode_max_tokens"):
        Encoder.load(str(folder))


def test_an_unknown_precision_is_refused(tiny_bert):
    with pytest.raises(InputError, match="float16"):
        Encoder.load(str(tiny_bert), "float16")
