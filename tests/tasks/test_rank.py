"""rank: a second stage that is reproducible and says what it was made of."""

import hashlib
import json

import lightgbm as lgb
import numpy as np
import yaml

from tasks import rank
from tasks.__main__ import main
from tasks.files import storage
from tasks.models import recommender


def test_the_folder_holds_text_and_json_only_and_both_agree_on_the_features(whole_night):
    folder = whole_night / "artifacts/rank"
    assert {p.suffix for p in folder.iterdir()} <= {".txt", ".json"}
    facts = json.loads((folder / "ranker.json").read_text())
    booster = lgb.Booster(model_file=str(folder / "ranker.txt"))
    assert booster.feature_name() == facts["features"]
    assert "score_tower" in facts["features"]
    assert not any(name.startswith("plan_") for name in facts["features"])


def test_the_ranker_learns_from_days_before_the_test_window(whole_night):
    facts = json.loads((whole_night / "artifacts/rank/ranker.json").read_text())
    windows = json.loads((whole_night / "artifacts/prepare/windows.json").read_text())
    assert facts["trained_until"] == windows["test"]["cut"]


def test_the_same_inputs_give_the_same_bytes(copied_night):
    def digest():
        return [
            hashlib.sha256((copied_night / f"artifacts/rank/{n}.txt").read_bytes()).digest()
            for n in ("ranker", "ranker_plan", "launch", "launch_plan")
        ]

    before = digest()
    assert main("rank") == 0
    assert digest() == before


def test_the_order_is_chosen_by_a_forest_that_knows_nothing_of_the_days_that_judge(copied_night, monkeypatch):
    chosen, judged = [], []
    of, choose = rank.Examples.of, rank.choose
    monkeypatch.setattr(rank.Examples, "of", lambda self, past, *rest: chosen.append(past) or of(self, past, *rest))
    monkeypatch.setattr(rank, "choose", lambda task, held, *rest: judged.append(held) or choose(task, held, *rest))
    path = copied_night / "artifacts/prepare/windows.json"
    windows = json.loads(path.read_text())
    newest = windows["train"][0]
    days = newest["last_target"] - newest["cut"]
    ended = {name: day - days for name, day in newest.items()}
    path.write_text(json.dumps(windows | {"train": [*windows["train"], ended]}))
    assert main("rank") == 0
    assert chosen == [[False] * len(windows["train"]) + [True]]
    assert {len(held) for held in judged} == {1}


def test_without_text_the_towers_are_not_touched(copied_night):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["rank"]["use_text"] = False
    path.write_text(yaml.safe_dump(params))
    (copied_night / "artifacts/finetune/tower.safetensors").unlink()
    assert main("rank") == 0
    assert "score_tower" not in json.loads((copied_night / "artifacts/rank/ranker.json").read_text())["features"]
    assert not recommender.load(copied_night / "artifacts/rank").use_text


def test_a_plan_is_learned_from_only_where_one_is_known(whole_night, copied_night):
    """The made-up shop has promotions for every week; without them there is one forest of each kind."""
    facts = json.loads((whole_night / "artifacts/rank/ranker.json").read_text())
    assert {"plan_display", "plan_mailer"} <= set(facts["forests"]["ranker_plan"])
    assert {"plan_display", "plan_weeks"} <= set(facts["forests"]["launch_plan"])
    assert not any(name.startswith("plan_") for name in facts["forests"]["launch"])
    path = copied_night / "artifacts/prepare/promotions.parquet"
    storage.write_table(storage.read_table(path).slice(0, 0), path)
    assert main("rank") == 0
    facts = json.loads((copied_night / "artifacts/rank/ranker.json").read_text())
    assert set(facts["forests"]) == {"ranker", "launch"}
    assert not facts["promotion_plan"]


def test_probabilities_are_calibrated_on_customers_that_did_not_train(whole_night):
    loaded = recommender.load(whole_night / "artifacts/rank")
    assert loaded.calibration is not None
    scores = np.linspace(-6, 2, 50)
    for own in (True, False):
        chance = loaded.calibration.probability(scores, np.full(50, own))
        assert (np.diff(chance) >= 0).all()
        assert (chance > 0).all()
        assert (chance < 1).all()


def test_an_override_out_of_range_is_one_line(copied_night, capsys):
    path = copied_night / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["rank"]["num_leaves"] = "many"
    path.write_text(yaml.safe_dump(params))
    assert main("rank") == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert "rank.num_leaves" in err
