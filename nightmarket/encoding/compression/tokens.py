"""A static student: one vector per token, solved so that a text's mean of them points where the teacher's vector does.

Shapes: N texts, V tokens of the vocabulary, D width of a vector.
Teacher vectors y_n on means of token vectors are a sparse least-squares problem, but for this: only the direction of a
mean counts. So each pass divides a text's row by the length that its mean had in the pass before (iteratively
reweighted least squares):

    min over E  sum_n |x_n E / |x_n E_before| - y_n|^2 + ridge |E - E_0|^2        x_n: shares of the tokens in text n

solved by conjugate gradients (Hestenes and Stiefel, 1952) with the diagonal as preconditioner, all D columns at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s
from nightmarket.encoding.compression.prune import vectors_of
from nightmarket.encoding.encoder import Encoder, Progress, Ticker
from nightmarket.encoding.static import StaticEncoder

_CHUNK = 4096
_ITERATIONS = 25


def static(
    encoder: Encoder,
    texts: Sequence[str],
    vectors: Float32s,
    *,
    ridge: float = 0.01,
    passes: int = 4,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> StaticEncoder:
    """The static student of a teacher.

    texts     N distinct texts;  vectors  [N, D] the teacher's, of unit length
    ridge     pull towards the start, which counts most for rare tokens
    progress  called with tokens that the teacher encoded;  tell  called with a line per pass

    The start E_0 is the teacher's own vector of each token alone, turned by the linear map that fits the texts best: so
    a token that no text holds has a vector too. The student wants no prompts. Raises InputError for a tokenizer without
    a fast version, and where no text has a token.
    """
    student = StaticEncoder(_tokenizer(encoder), torch.zeros(1, 1))
    of_tokens = alone(encoder, student.tokenizer.get_vocab_size(), progress)
    shares = bags(student.tokenize(texts), len(of_tokens))
    full = np.diff(shares.indptr) > 0
    if not full.any():
        raise InputError("no text has a token of the model's vocabulary; choose another model")
    solved = solve(shares[full], vectors[full], mapped(of_tokens, shares[full], vectors[full]), ridge, passes, tell)
    return StaticEncoder(student.tokenizer, torch.from_numpy(solved))


def alone(encoder: Encoder, num_tokens: int, progress: Progress | None = None) -> Float32s:
    """[V, D] unit vectors of each token as a text of its own, special tokens around it."""
    empty, letter = (encoder.tokenizer(encoder.prompt + text)["input_ids"] for text in ("", "a"))
    before = next(
        (place for place, pair in enumerate(zip(empty, letter, strict=False)) if pair[0] != pair[1]), len(empty)
    )
    vectors = np.zeros((num_tokens, encoder.dim), dtype=np.float32)
    ticker = Ticker(num_tokens, progress)
    for start in range(0, num_tokens, _CHUNK):
        tokens = range(start, min(num_tokens, start + _CHUNK))
        vectors[start : start + len(tokens)] = vectors_of(
            encoder, [[*empty[:before], token, *empty[before:]] for token in tokens]
        )
        ticker.add(len(tokens))
    return vectors


def bags(ids: Sequence[Sequence[int]], num_tokens: int) -> Any:
    """Sparse [N, V], float32: the share of each token in each text; a row without tokens is empty."""
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
    tokens = np.array([token for row in ids for token in row], dtype=np.int64)
    share = np.repeat(1 / np.maximum(np.diff(indptr), 1), np.diff(indptr)).astype(np.float32)
    table = sparse.csr_array((share, tokens, indptr), shape=(len(ids), num_tokens))
    table.sum_duplicates()
    return table


def mapped(of_tokens: Float32s, shares: Any, vectors: Float32s) -> Float32s:
    """Token vectors [V, D] turned by the D x D map whose means come nearest to the teacher's vectors."""
    means = (shares @ of_tokens).astype(np.float64)
    gram = means.T @ means
    gram[np.diag_indices_from(gram)] += 1e-4 * np.trace(gram) / len(gram) + 1e-12
    turn = np.linalg.solve(gram, means.T @ vectors)
    return (of_tokens @ turn).astype(np.float32)


def solve(
    shares: Any,
    vectors: Float32s,
    start: Float32s,
    ridge: float,
    passes: int,
    tell: Callable[[str], None] | None = None,
) -> Float32s:
    """Token vectors [V, D] near `start` whose means point where `vectors` [N, D] do; see the module's text."""
    used = np.unique(shares.indices)
    shares = shares[:, used]
    begin = start[used]
    token_vectors = begin
    for number in range(1, passes + 1):
        length = np.linalg.norm(shares @ token_vectors, axis=1)
        rows = sparse.diags_array((1 / np.maximum(length, 1e-3)).astype(np.float32)) @ shares
        token_vectors = begin + _conjugate(rows.tocsr(), vectors - rows @ begin, ridge, token_vectors - begin)
        if tell is not None:
            mean = shares @ token_vectors
            cosine = (mean * vectors).sum(axis=1) / np.maximum(np.linalg.norm(mean, axis=1), 1e-9)
            tell(f"pass {number} of {passes}: mean cosine {cosine.mean():.4f}")
    whole = start.copy()
    whole[used] = token_vectors
    return whole


def _conjugate(rows: Any, wanted: Float32s, ridge: float, begin: Float32s) -> Float32s:
    """min over X of |rows X - wanted|^2 + ridge |X|^2, from `begin` on, each column by itself."""
    across = rows.T.tocsr()
    diagonal = (rows.multiply(rows).sum(axis=0) + ridge)[:, None].astype(np.float32)
    solution = begin.copy()
    left = across @ (wanted - rows @ solution) - ridge * solution
    scaled = left / diagonal
    way, size = scaled.copy(), (left * scaled).sum(axis=0)
    for _ in range(_ITERATIONS):
        pushed = across @ (rows @ way) + ridge * way
        step = size / np.maximum((way * pushed).sum(axis=0), 1e-30)
        solution += step * way
        left -= step * pushed
        scaled = left / diagonal
        before, size = size, (left * scaled).sum(axis=0)
        way = scaled + (size / np.maximum(before, 1e-30)) * way
    return solution


def _tokenizer(encoder: Encoder) -> Any:
    from tokenizers import Tokenizer

    fast = getattr(encoder.tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise InputError("this encoder's tokenizer has no fast version, which a static student needs; leave static out")
    twin = Tokenizer.from_str(fast.to_str())
    twin.no_padding()
    twin.enable_truncation(encoder.max_length)
    return twin
