"""The static student: what is solved, against the closed form; what it does for tokens that no text holds."""

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.encoding.compression import tokens


def test_one_pass_is_the_ridge_regression_of_the_closed_form():
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 7, size).tolist() for size in rng.integers(1, 5, 40)]
    shares = tokens.bags(ids, 9)
    wanted = rng.normal(size=(40, 3)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    start = rng.normal(size=(9, 3)).astype(np.float32)
    solved = tokens.solve(shares, wanted, start, ridge=0.3, passes=1)
    dense = shares.toarray()
    dense /= np.linalg.norm(dense @ start, axis=1, keepdims=True)
    exact = start + np.linalg.solve(dense.T @ dense + 0.3 * np.eye(9), dense.T @ (wanted - dense @ start))
    assert np.allclose(solved, exact, atol=1e-4)
    assert np.array_equal(solved[7:], start[7:])  # no text holds these tokens


def test_shares_of_tokens_add_up_and_repeated_tokens_count_twice():
    shares = tokens.bags([[2, 2, 5], [], [1]], 6).toarray()
    assert shares.tolist() == [pytest.approx([0, 0, 2 / 3, 0, 0, 1 / 3]), [0] * 6, [0, 1, 0, 0, 0, 0]]


def test_what_a_static_encoder_gave_is_found_again():
    """Vectors that are means of token vectors are reproduced, whatever lengths the means have."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(20, 6)).astype(np.float32)
    shares = tokens.bags([rng.integers(0, 20, 4).tolist() for _ in range(400)], 20)
    wanted = shares @ truth
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    lines = []
    start = rng.normal(size=(20, 6)).astype(np.float32)
    vectors = shares @ tokens.solve(shares, wanted, start, ridge=1e-4, passes=8, tell=lines.append)
    cosine = (vectors * wanted).sum(axis=1) / np.linalg.norm(vectors, axis=1)
    assert cosine.mean() > 0.995
    assert len(lines) == 8


def test_the_map_gives_tokens_of_no_text_the_place_that_others_suggest():
    """Teacher vectors turned by a known map: the map is found, so a token that no text holds lands where it should."""
    rng = np.random.default_rng(2)
    of_tokens = rng.normal(size=(30, 5)).astype(np.float32)
    turn = rng.normal(size=(5, 5)).astype(np.float32)
    shares = tokens.bags([rng.integers(0, 25, 3).tolist() for _ in range(200)], 30)
    mapped = tokens.mapped(of_tokens, shares, shares @ of_tokens @ turn)
    assert np.allclose(mapped[25:], of_tokens[25:] @ turn, atol=0.05)


def test_the_student_is_nearer_to_the_teacher_than_its_start_and_reads_texts_of_unknown_words(teacher, texts, vectors):
    student = tokens.static(teacher, texts[::2], vectors[::2])
    alone = tokens.alone(teacher, 15)
    shares = tokens.bags(student.tokenize(texts[1::2]), 15)
    start = shares @ alone
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    cosine = (student.encode(texts[1::2]) * vectors[1::2]).sum(axis=1).mean()
    assert cosine > (start * vectors[1::2]).sum(axis=1).mean()
    assert np.isfinite(student.encode(["", "never seen", "of the"])).all()


def test_a_token_alone_is_what_the_teacher_says_of_it_as_a_text(teacher):
    of_tokens = tokens.alone(teacher, 15)
    (row,) = [row[1] for row in teacher.tokenize(["milk"])]
    assert np.allclose(of_tokens[row], teacher.encode(["milk"])[0], atol=0.02)  # bfloat16 on some machines


def test_texts_without_a_token_are_an_error(teacher):
    with pytest.raises(InputError, match="no text has a token"):
        tokens.static(teacher, ["", " "], np.zeros((2, 32), np.float32))
