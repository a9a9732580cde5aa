"""compose: every text of a plan follows from the offer's terms, whoever wrote it; what does not is replaced."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

from tasks.__main__ import main
from tasks.files import manifest

OFFERS = [
    {"name": "a fifth off", "kind": "discount", "category": None, "discount": 0.2},
    {"name": "5 off 40", "kind": "threshold", "category": None, "threshold": 40.0, "amount": 5.0},
]


@pytest.fixture(scope="module")
def planned(whole_night, tmp_path_factory):
    """The night in a folder of its own, with a champion and a plan of two named offers."""
    folder = tmp_path_factory.mktemp("compose") / "night"
    shutil.copytree(whole_night, folder)
    for part in ("finetune", "rank"):
        shutil.copytree(folder / "artifacts" / part, folder / "data/champion" / part)
    manifest.write(folder / "data/champion")
    products = pd.read_parquet(folder / "artifacts/prepare/products.parquet")
    department = products.loc[products.recommendable, "department"].mode()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        change(folder, plan={"offers": [offer | {"category": department} for offer in OFFERS], "margin": 0.9})
        assert main("plan") == 0
    return folder


@pytest.fixture
def night(planned, monkeypatch):
    """The current folder; what is changed in params.yaml is put back."""
    monkeypatch.chdir(planned)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    before = (planned / "params.yaml").read_text(encoding="utf-8")
    yield planned
    (planned / "params.yaml").write_text(before, encoding="utf-8")


def change(folder, **sections):
    """Change settings."""
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for name, settings in sections.items():
        params[name] = (params.get(name) or {}) | settings
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def composed(folder, **settings):
    """The stage with changed settings: copy, decisions, summary."""
    change(folder, compose=settings)
    assert main("compose") == 0
    out = folder / "artifacts/compose"
    read = [pd.read_parquet(out / f"{name}.parquet") for name in ("copy", "decisions")]
    return *read, json.loads((out / "summary.json").read_text(encoding="utf-8"))


def test_every_text_states_the_terms_of_its_offer(night):
    copy, decisions, summary = composed(night, channels=["push", "email"], locales=["en", "zh"])
    assert len(copy)
    assert summary["num_briefs"] >= 4
    assert set(copy.locale) == {"en", "zh"}
    for text in copy[(copy.offer == "a fifth off") & (copy.form == "push")].text:
        assert re.search(r"20%|8折", text), text
    spend = copy[(copy.offer == "5 off 40") & (copy.form != "subject")]
    for text in spend.text:
        assert re.search(r"40\D", text), text
        assert re.search(r"\b5\b|5美元", text), text
    assert (copy[copy.form == "push"].text.str.len() <= 60).all()
    kept = copy[copy.form != "body"].groupby("brief").place.max()
    assert kept.max() <= 3
    assert set(decisions.fate) <= {"passed", "repaired"}, decisions[decisions.fate == "stopped"].to_string()
    assert summary["rules"] == {}


def test_what_reviews_praise_is_said_by_the_name_of_the_product(night):
    copy, _, summary = composed(night, channels=["email"], locales=["en", "zh"])
    assert not any("praised_for" in facts for facts in summary["facts"].values())
    products = pd.read_parquet(night / "artifacts/prepare/products.parquet")
    praise = night / "artifacts/reviews/praise.parquet"
    praise.parent.mkdir(exist_ok=True)
    kept = praise.read_bytes() if praise.exists() else None
    columns = {"aspect": "fresh", "en": "freshness", "zh": "新鲜", "num_mentions": 40, "positive": 0.9}
    pd.DataFrame({"product_id": products.product_id, **columns, "low": 0.8, "high": 0.95}).to_parquet(praise)
    copy, decisions, summary = composed(night, channels=["email"], locales=["en", "zh"], num_kept=12)
    told = {key: facts.get("praised_for") for key, facts in summary["facts"].items()}
    assert {str(words) for words in told.values()} == {"['freshness']", "['新鲜']"}
    assert "stopped" not in set(decisions.fate)
    bodies = copy[copy.form == "body"]
    said = bodies[bodies.text.str.contains("freshness|新鲜")]
    assert len(said)
    assert all(summary["facts"][row.brief]["product"]["name"] in row.text for row in said.itertuples())
    praise.write_bytes(kept) if kept is not None else praise.unlink()


def test_the_same_night_gives_the_same_texts(night):
    first = composed(night)[0]
    assert composed(night)[0].equals(first)


def test_a_contact_can_have_a_text_of_its_own(night):
    composed(night, per_customer=True)
    theirs = pd.read_parquet(night / "artifacts/compose/customers.parquet")
    plan = pd.read_parquet(night / "artifacts/plan/plan.parquet")
    sent = plan[plan.arm == "send"]
    assert set(theirs.customer_id) == set(sent.customer_id)
    assert len(theirs.drop_duplicates(["customer_id", "offer"])) == len(sent)


def test_a_plan_that_sends_nothing_has_no_texts_and_says_why(night):
    shutil.copytree(night / "artifacts/plan", night / "kept-plan")
    change(night, plan={"budget": 0})
    assert main("plan") == 0
    copy, _, summary = composed(night)
    assert copy.empty
    assert "budget" in summary["words"]
    shutil.rmtree(night / "artifacts/plan")
    (night / "kept-plan").rename(night / "artifacts/plan")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"writer": "openai"}, "compose.server"),
        ({"writer": "transformers"}, "compose.model"),
        ({"locales": ["fr"]}, "compose.locales"),
        ({"writer": "openai", "server": {"url": "nowhere", "model": "m"}}, "compose.server.url"),
    ],
)
def test_wrong_settings_are_told_by_their_key(night, capsys, settings, said):
    change(night, compose=settings)
    assert main("compose") == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert "\n" not in err


def test_texts_are_in_the_customers_language_and_the_shops_for_those_who_have_none(copied_night):
    for part in ("finetune", "rank"):
        shutil.copytree(copied_night / "artifacts" / part, copied_night / "data/champion" / part)
    manifest.write(copied_night / "data/champion")
    path = copied_night / "artifacts/prepare/customers.parquet"
    customers = pd.read_parquet(path)
    customers.assign(language=["zh-CN" if at % 2 else "English" for at in range(len(customers))]).to_parquet(path)
    assert main("plan") == 0
    copy, _, _ = composed(copied_night, channels=["push"], per_customer=True)
    assert set(copy.locale) == {"en", "zh"}, "compose.locales is en alone"
    theirs = pd.read_parquet(copied_night / "artifacts/compose/customers.parquet")
    plan = pd.read_parquet(copied_night / "artifacts/plan/plan.parquet").set_index("customer_id")["language"]
    assert set(plan) == {"en", "zh"}
    assert len(theirs)
    assert (theirs.locale == theirs.customer_id.map(plan[~plan.index.duplicated()])).all()
    customers.assign(language="Suomi").to_parquet(path)
    assert main("plan") == 0
    assert set(composed(copied_night, channels=["push"])[0].locale) == {"en"}


def test_plan_and_text_call_an_offer_by_one_name(night):
    copy, _, summary = composed(night, channels=["push", "email"])
    plan = json.loads((night / "artifacts/plan/summary.json").read_text(encoding="utf-8"))
    called = {offer["name"]: offer["called"]["en"] for offer in plan["offers"]}
    assert len(called) == 2
    assert {facts["offer"]["applies to"] for facts in summary["facts"].values()} <= set(called.values())
    pushes = copy[copy.form == "push"]
    assert len(pushes)
    assert all(called[row.offer].lower() in row.text.lower() for row in pushes.itertuples())
