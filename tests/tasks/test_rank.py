"""rank: a second stage that is reproducible and says what it was made of."""

import hashlib
import json

import lightgbm as lgb
import yaml

from tasks import model
from tasks.__main__ import main


def test_the_folder_holds_text_and_json_only_and_both_agree_on_the_features(whole_night):
    folder = whole_night / "artifacts/rank"
    assert {p.suffix for p in folder.iterdir()} <= {".txt", ".json"}
    facts = json.loads((folder / "ranker.json").read_text())
    booster = lgb.Booster(model_file=str(folder / "ranker.txt"))
    assert booster.feature_name() == facts["features"]
    assert "score_text" in facts["features"]
    assert not any(name.startswith("plan_") for name in facts["features"])


def test_the_ranker_learns_from_weeks_before_the_test_window(whole_night):
    facts = json.loads((whole_night / "artifacts/rank/ranker.json").read_text())
    windows = json.loads((whole_night / "artifacts/prepare/windows.json").read_text())
    assert facts["trained_until"] == windows["test"]["fit_until"]


def test_the_same_inputs_give_the_same_bytes(copied_night):
    def digest():
        return [
            hashlib.sha256((copied_night / f"artifacts/rank/{n}.txt").read_bytes()).digest()
            for n in ("ranker", "launch")
        ]

    before = digest()
    assert main("rank") == 0
    assert digest() == before


def test_without_text_the_towers_are_not_touched(copied_night):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["rank"]["use_text"] = False
    path.write_text(yaml.safe_dump(params))
    (copied_night / "artifacts/finetune/tower.safetensors").unlink()
    assert main("rank") == 0
    assert "score_text" not in json.loads((copied_night / "artifacts/rank/ranker.json").read_text())["features"]
    assert not model.load(copied_night / "artifacts/rank").use_text


def test_an_override_out_of_range_is_one_line(copied_night, capsys):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["rank"]["num_leaves"] = "many"
    path.write_text(yaml.safe_dump(params))
    assert main("rank") == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert "rank.num_leaves" in err
