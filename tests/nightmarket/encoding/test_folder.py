import json
import shutil

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder, pool
from nightmarket.encoding.loading import load_encoder

TEXTS = ["whole milk", "rye bread of the dark chocolate", "green tea", "dark chocolate", "milk", "", "the rye bread"]
WORDS = ["whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate", "of", "the"]


@pytest.fixture(scope="module")
def tiny_decoder(tmp_path_factory):
    """A random Qwen3 with a word-level tokenizer that ends each text with a token, and that pads on the left."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    folder = tmp_path_factory.mktemp("decoder")
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", "<eos>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 2)])
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_object=words, padding_side="left", **special).save_pretrained(folder)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(5)
        Qwen3Model(Qwen3Config(vocab_size=len(vocabulary), intermediate_size=48, **sizes)).save_pretrained(folder)
    set_pooling(folder, {"pooling_mode": "lasttoken", "embedding_dimension": 32})
    types = (
        ("", "base.modules.transformer.Transformer"),
        ("1_Pooling", "sentence_transformer.modules.pooling.Pooling"),
    )
    modules = [{"name": path or "0", "path": path, "type": f"sentence_transformers.{kind}"} for path, kind in types]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def set_pooling(folder, content):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(content))


def set_prompts(folder, **content):
    (folder / "config_sentence_transformers.json").write_text(json.dumps(content))


def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


def theirs(folder, texts, role="document"):
    """Unit vectors that sentence-transformers gives."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    encode = model.encode_query if role == "query" else model.encode_document
    return encode(texts, normalize_embeddings=True, show_progress_bar=False)


@pytest.mark.parametrize(
    ("content", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
    ],
)
def test_pooling_is_read_as_old_and_new_folders_write_it(tiny_bert, tmp_path, content, pooling):
    folder = copied(tiny_bert, tmp_path)
    set_pooling(folder, content)
    assert Encoder.load(str(folder), "float32").pooling == pooling


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode": ["cls", "mean"]}, "cls, mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "only one of"),
        ({"pooling_mode": "mean", "include_prompt": False}, "include_prompt"),
    ],
)
def test_pooling_that_we_cannot_do_is_refused_by_name(tiny_bert, tmp_path, content, named):
    folder = copied(tiny_bert, tmp_path)
    set_pooling(folder, content)
    with pytest.raises(InputError, match=named):
        Encoder.load(str(folder))


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_mask_pools_a_padded_batch_as_each_text_alone(pooling):
    states = torch.arange(24.0).reshape(2, 3, 4) ** 2
    padded = pool(states, pooling, torch.tensor([[1, 1, 0], [1, 1, 1]]), cut=3)
    alone = torch.cat([pool(states[:1, :2], pooling, cut=3), pool(states[1:], pooling, cut=3)])
    assert torch.allclose(padded, alone)
    assert padded.shape == (2, 3)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_sentence_transformers_reads_a_saved_encoder_with_the_same_vectors(tiny_bert, tmp_path, pooling):
    encoder = Encoder.load(str(tiny_bert), "float32")
    encoder.pooling, encoder.prompt, encoder.query_prompt, encoder.cut = pooling, "the ", "green tea of ", 20
    encoder.save(tmp_path / "kept")
    for role in ("document", "query"):
        ours = encoder.encode(TEXTS, role=role)
        assert ours.shape == (len(TEXTS), 20)
        assert np.abs(theirs(tmp_path / "kept", TEXTS, role) - ours).max() < 1e-5
        assert np.array_equal(Encoder.load(str(tmp_path / "kept"), "float32").encode(TEXTS, role=role), ours)
    assert np.abs(encoder.encode(TEXTS, role="query") - encoder.encode(TEXTS)).max() > 1e-3


def test_what_sentence_transformers_saves_is_read_with_the_same_vectors(tiny_bert, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    network = Transformer(str(tiny_bert))
    prompts = {"query": "of the ", "document": "rye "}
    model = SentenceTransformer(modules=[network, Pooling(32, "cls")], prompts=prompts, truncate_dim=12, device="cpu")
    model.save(str(tmp_path / "theirs"))
    ours = Encoder.load(str(tmp_path / "theirs"), "float32")
    assert (ours.pooling, ours.prompt, ours.query_prompt, ours.dim) == ("cls", "rye ", "of the ", 12)
    for role in ("document", "query"):
        assert np.abs(theirs(tmp_path / "theirs", TEXTS, role) - ours.encode(TEXTS, role=role)).max() < 1e-5


def test_a_decoder_is_pooled_at_its_last_token_as_sentence_transformers_does(tiny_decoder, tmp_path):
    encoder = Encoder.load(str(tiny_decoder), "float32")
    assert encoder.pooling == "last"
    assert encoder.tokenize(["whole milk", ""]) == [[3, 4, 2], [2]]
    ours = encoder.encode(TEXTS)
    assert np.abs(theirs(tiny_decoder, TEXTS) - ours).max() < 1e-5
    encoder.save(tmp_path / "kept")
    assert np.abs(theirs(tmp_path / "kept", TEXTS) - ours).max() < 1e-5


def test_a_decoder_sees_no_later_token_and_a_cut_text_keeps_its_end_token(tiny_decoder):
    encoder = Encoder.load(str(tiny_decoder), "float32")
    states = [hidden for _, hidden in encoder.hidden_states([[3, 4, 5, 2], [3, 4, 5, 9]])]
    assert torch.allclose(states[0][0, :3], states[0][1, :3], atol=1e-6)
    encoder.max_length = 3
    assert encoder.tokenize(["whole milk rye bread"]) == [[3, 4, 2]]


def test_the_same_decoder_text_without_any_token_still_has_a_unit_vector(tiny_decoder, tmp_path):
    folder = copied(tiny_decoder, tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(content | {"post_processor": None}))
    assert np.linalg.norm(Encoder.load(str(folder), "float32").encode(["", "milk"]), axis=1) == pytest.approx(
        1, abs=1e-5
    )


def test_prompts_are_those_of_the_role_and_fall_back_on_the_default(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    set_prompts(folder, prompts={"query": "query: ", "passage": "passage: "})
    encoder = Encoder.load(str(folder), "float32")
    assert (encoder.prompt, encoder.query_prompt) == ("passage: ", "query: ")
    set_prompts(folder, prompts={"task": "find: "}, default_prompt_name="task")
    encoder = Encoder.load(str(folder), "float32")
    assert (encoder.prompt, encoder.query_prompt) == ("find: ", "find: ")


def test_what_the_user_says_comes_before_what_the_folder_says(tiny_bert, tmp_path):
    folder = copied(tiny_bert, tmp_path)
    set_prompts(folder, prompts={"query": "query: ", "document": "passage: "}, truncate_dim=16)
    assert load_encoder(str(folder), "float32").dim == 16
    encoder = load_encoder(str(folder), "float32", document_prompt="", query_prompt="tea: ", dim=8)
    assert (encoder.prompt, encoder.query_prompt, encoder.dim) == ("", "tea: ", 8)
    whole = load_encoder(str(folder), "float32", document_prompt="", dim=32)
    first = whole.encode(TEXTS)[:, :8]
    assert np.abs(encoder.encode(TEXTS) - first / np.linalg.norm(first, axis=1, keepdims=True)).max() < 1e-6


def test_more_numbers_than_a_vector_has_are_refused(tiny_bert):
    with pytest.raises(InputError, match="have 32 numbers, so 33"):
        load_encoder(str(tiny_bert), "float32", dim=33)


def test_a_folder_that_lowers_its_texts_is_read_so_and_saved_so(tiny_decoder, tmp_path):
    folder = copied(tiny_decoder, tmp_path)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"do_lower_case": True, "max_seq_length": 64}))
    encoder = Encoder.load(str(folder), "float32")
    assert encoder.tokenize(["WHOLE Milk"]) == [[3, 4, 2]]
    assert np.abs(theirs(folder, ["WHOLE Milk"]) - encoder.encode(["WHOLE Milk"])).max() < 1e-5
    encoder.save(tmp_path / "kept")
    assert Encoder.load(str(tmp_path / "kept"), "float32").tokenize(["WHOLE Milk"]) == [[3, 4, 2]]


def test_a_model_with_a_decoder_behind_its_encoder_is_refused(tiny_decoder, tmp_path):
    from transformers import T5Config, T5Model

    folder = copied(tiny_decoder, tmp_path)
    T5Model(T5Config(vocab_size=13, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).save_pretrained(folder)
    with pytest.raises(InputError, match="has a decoder behind its encoder"):
        Encoder.load(str(folder))
