import numpy as np
import pytest

from nightmarket.reviews.sentiment import fit, labels
from nightmarket.reviews.sentiment.choosing import platt
from nightmarket.reviews.sentiment.kinds import Kinds
from nightmarket.reviews.sentiment.kinds import counts as counts_of
from nightmarket.reviews.sentiment.learners import ratios

GOOD = {"zh": ["很好", "喜欢", "新鲜", "推荐", "满意"], "en": ["great", "love it", "fresh", "recommend", "happy"]}
BAD = {"zh": ["很差", "退货", "不新鲜", "失望", "难吃"], "en": ["awful", "return it", "stale", "never again", "broken"]}
FILLER = {"zh": list("的一是在我有这个们中来上大为和国地到以说时要就出会可也你对生能"), "en": [*"abcdefghijklmnopqrst"]}


def reviews(locale: str, num: int, seed: int = 0, noise: float = 0.0) -> tuple[list[str], np.ndarray]:
    """Texts with one telling phrase in filler, and labels, of which a share `noise` is turned around."""
    rng = np.random.default_rng(seed)
    positive = rng.random(num) < 0.6
    texts = []
    for side in positive:
        words = [*rng.choice(FILLER[locale], 12), str(rng.choice((GOOD if side else BAD)[locale]))]
        texts.append((" " if locale == "en" else "").join(rng.permutation(words)))
    return texts, positive ^ (rng.random(num) < noise)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_praise_is_told_from_complaint_in_either_language(locale):
    sentiment = fit(*reviews(locale, 300), seed=1)
    texts, positive = reviews(locale, 200, seed=9)
    assert ((sentiment.probability(texts) > 0.5) == positive).mean() > 0.95


def test_probabilities_are_true_where_labels_are_noisy():
    """A fifth of the labels is turned around: whoever is sure of 99% would be wrong one time in five."""
    texts, positive = reviews("zh", 1200, noise=0.2)
    sentiment = fit(texts[:600], positive[:600], seed=1)
    probability, praised = sentiment.probability(texts[600:]), positive[600:]
    for side in (probability > 0.5, probability < 0.5):
        assert abs(probability[side].mean() - praised[side].mean()) < 0.08
    assert 0.70 < sentiment.figures["candidates"][sentiment.figures["chosen"]]["accuracy"] < 0.86


def test_one_seed_gives_one_sentiment():
    texts, positive = reviews("zh", 150, noise=0.1)
    first, other = (fit(texts, positive, seed=3) for _ in range(2))
    assert first.figures == other.figures
    assert np.array_equal(first.probability(texts), other.probability(texts))


def test_vectors_that_know_the_answer_win_over_characters_that_do_not():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(FILLER["zh"], 10)) for _ in range(200)]
    known = {text: bool(rng.random() < 0.5) for text in texts}
    positive = np.array([known[text] for text in texts])

    def encode(given):
        return np.array([[1.0, -1.0] if known[text] else [-1.0, 1.0] for text in given]) * 3

    sentiment = fit(texts, positive, seed=0, encode=encode)
    assert sentiment.figures["chosen"] == "encoder"
    assert ((sentiment.probability(texts) > 0.5) == positive).all()
    assert fit(texts, positive, seed=0).figures["candidates"]["characters"]["accuracy"] < 0.65


def goods(num: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts about one of three kinds of goods, each in words of its own, where 轻 praises two kinds and damns one."""
    rng = np.random.default_rng(seed)
    kind, positive = rng.integers(0, 3, num), rng.random(num) < 0.5
    own = [FILLER["zh"][start : start + 10] for start in (0, 10, 20)]
    telling = np.where(positive == (kind > 0), "轻", "重")
    texts = ["".join(rng.permutation([*rng.choice(own[k], 9), word])) for k, word in zip(kind, telling, strict=True)]
    return texts, positive, kind


def test_a_word_may_praise_one_kind_of_product_and_damn_another():
    """One weight per character is right for two kinds out of three at best; per kind, the word says all."""
    texts, positive, _ = goods(900, 0)
    counts = counts_of(texts, 1)
    right = {}
    for num_kinds in (1, 3):
        score = ratios(counts[:600], positive[:600], 0, num_kinds=num_kinds)
        right[num_kinds] = ((score(counts[600:]) > 0) == positive[600:]).mean()
    assert right[3] > 0.97
    assert right[1] < 0.75


def test_kinds_are_found_without_labels():
    texts, _, kind = goods(400, 1)
    counts = counts_of(texts, 2)
    labels = Kinds.fit(counts, 3, seed=0).of(counts)
    pairs = {(int(true), int(other)) for true, other in zip(kind, labels, strict=True)}
    assert len(pairs) == 3


def test_a_handful_of_texts_is_one_kind():
    counts = counts_of(["很好", "很差", "还行"], 2)
    kinds = Kinds.fit(counts, 3, seed=0)
    assert kinds.of(counts).tolist() == [0, 0, 0]
    assert kinds.features(counts).shape == (3, 2)  # the two ends alone stand in three texts


def test_figures_come_from_texts_that_the_model_has_not_seen():
    """Without anything to learn, a model that had seen its texts would be right; cross-validation finds chance."""
    rng = np.random.default_rng(5)
    texts = ["".join(rng.choice(FILLER["zh"], 10)) for _ in range(300)]
    figures = fit(texts, rng.random(300) < 0.5, seed=0).figures
    for of_one in figures["candidates"].values():
        assert 0.36 < of_one["accuracy"] < 0.64
        assert of_one["low"] < of_one["accuracy"] < of_one["high"]
        assert of_one["log_loss"] > 0.65


@pytest.mark.parametrize("num_bad", [0, 19])
def test_too_few_of_one_class_is_said_in_a_sentence_and_nothing_is_guessed(num_bad):
    texts, _ = reviews("zh", 100 + num_bad)
    sentiment = fit(texts, np.arange(len(texts)) < 100, seed=0)
    assert sentiment.figures["chosen"] is None
    assert f"100 distinct texts of praise and {num_bad} of complaint" in sentiment.figures["words"]
    assert np.isnan(sentiment.probability(texts)).all()


def test_no_text_at_all_is_no_error():
    sentiment = fit([], np.zeros(0, np.bool_), seed=0)
    assert sentiment.figures["num_rated"] == 0
    assert sentiment.probability([]).shape == (0,)


def test_copies_count_once_and_texts_in_both_classes_not_at_all():
    texts, positive = reviews("en", 120)
    doubled = fit([*texts, *(text.upper() for text in texts)], np.concatenate([positive, positive]), seed=0)
    assert doubled.figures == fit(texts, positive, seed=0).figures
    assert doubled.figures["num_rated"] == 120
    turned = fit([*texts, texts[0]], np.append(positive, not positive[0]), seed=0)
    assert turned.figures["num_rated"] == 119


def test_an_empty_text_has_no_probability():
    sentiment = fit(*reviews("zh", 120), seed=0)
    probability = sentiment.probability(["", "很好", " \u200b"])
    assert np.isnan(probability).tolist() == [True, False, True]


def test_grams_are_counted_as_by_hand():
    """ "aab" between its ends s and e: s aab e; single characters s a a b e, then pairs sa aa ab be."""
    counts = counts_of(["aab", "b"], 2)
    assert sorted(counts[0].data.tolist()) == [1, 1, 1, 1, 1, 1, 1, 2]
    assert sorted(counts[1].data.tolist()) == [1, 1, 1, 1, 1]  # s b e sb be
    shared = set(counts[0].indices) & set(counts[1].indices)
    assert len(shared) == 4  # s b e be


def test_a_text_has_the_same_grams_in_any_company():
    alone, among = counts_of(["不错"], 3), counts_of(["很差", "不错", "好"], 3)
    assert (alone[0] != among[1]).nnz == 0


@pytest.mark.parametrize(
    ("ratings", "scale", "rated", "positive"),
    [
        ([1, 3, 4, np.nan, 5, 2.5], (1, 5), [1, 0, 1, 0, 1, 1], [0, 0, 1, 0, 1, 0]),
        ([4, 5, 5], (1, 5), [1, 1, 1], [1, 1, 1]),
        ([0, 1, 1], (0, 1), [1, 1, 1], [0, 1, 1]),
        ([-1, 1, 0], (-1, 1), [1, 1, 0], [0, 1, 0]),
        ([2, 10, 6, 5.5], (1, 10), [1, 1, 1, 0], [0, 1, 1, 0]),
        ([-7, 3], (-7, 3), [1, 1], [0, 1]),
    ],
)
def test_labels_lie_above_and_below_the_middle_of_the_scale(ratings, scale, rated, positive):
    labelled = labels(np.array(ratings, np.float64))
    assert (labelled.lowest, labelled.highest) == scale
    assert labelled.rated.tolist() == [bool(flag) for flag in rated]
    assert labelled.positive.tolist() == [bool(flag) for flag in positive]


def test_no_rating_is_no_label():
    labelled = labels(np.full(3, np.nan))
    assert not labelled.rated.any()
    assert np.isnan(labelled.lowest)


def test_platt_finds_the_map_that_made_the_labels():
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, 40_000)
    slope, level = platt(scores, rng.random(scores.size) < 1 / (1 + np.exp(-(0.7 * scores - 1.0))))
    assert slope == pytest.approx(0.7, abs=0.03)
    assert level == pytest.approx(-1.0, abs=0.06)
