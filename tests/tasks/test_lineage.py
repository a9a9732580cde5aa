import hashlib
import json

import pytest
import yaml

from nightmarket.contracts import InputError
from tasks.registry.lineage import lock_hash, phase_of, retraining

DAG = {
    "stages": {
        "train": {"cmd": "x", "outs": ["model"]},
        "report": {"cmd": "y", "meta": {"phase": "deliver"}},
    }
}


@pytest.fixture
def lock(tmp_path):
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(DAG))
    return tmp_path / "dvc.lock"


def write(path, **stages):
    path.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def test_the_hash_is_sha256_of_the_retraining_entries_as_canonical_json(lock):
    write(lock, train={"outs": [{"path": "model", "md5": "ab"}], "cmd": "x"}, report={"cmd": "y"})
    canonical = '{"train":{"cmd":"x","outs":[{"md5":"ab","path":"model"}]}}'
    assert lock_hash(lock) == hashlib.sha256(canonical.encode()).hexdigest()
    assert json.loads(canonical)


def test_the_hash_is_the_same_before_and_after_delivery(lock):
    write(lock, train={"cmd": "x"})
    before = lock_hash(lock)
    write(lock, train={"cmd": "x"}, report={"cmd": "y"})
    assert lock_hash(lock) == before


def test_another_output_makes_another_hash(lock):
    write(lock, train={"outs": [{"md5": "ab"}]})
    before = lock_hash(lock)
    write(lock, train={"outs": [{"md5": "ac"}]})
    assert lock_hash(lock) != before


def test_a_side_stage_is_no_part_of_what_a_version_is(lock):
    dag = {"stages": {**DAG["stages"], "segment": {"cmd": "z", "meta": {"side": True}}}}
    lock.with_name("dvc.yaml").write_text(yaml.safe_dump(dag))
    write(lock, train={"cmd": "x"})
    before = lock_hash(lock)
    write(lock, train={"cmd": "x"}, segment={"outs": [{"md5": "ab"}]})
    assert lock_hash(lock) == before
    assert set(retraining(lock)) == {"train", "segment"}  # a rebuild makes it all the same


def test_a_lock_without_a_retraining_stage_is_refused_by_name(lock):
    write(lock, report={"cmd": "y"})
    with pytest.raises(InputError, match="knows nothing of train"):
        lock_hash(lock)


def test_a_missing_lock_says_what_to_run(lock):
    with pytest.raises(InputError, match="is missing: nothing was trained here yet"):
        lock_hash(lock)


def test_the_phase_of_a_foreach_stage_stands_in_its_do_part():
    assert phase_of({"foreach": ["a"], "do": {"meta": {"phase": "deliver"}}}) == "deliver"
    assert phase_of({"cmd": "x"}) == "retrain"
