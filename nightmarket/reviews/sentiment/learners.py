"""Ways to tell praise from complaint, each a function of features and labels.

Shapes: N texts, F features (columns of n-grams, or dimensions of a vector).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from nightmarket.contracts.arrays import Bools, Float32s, Float64s
from nightmarket.reviews.sentiment.kinds import Kinds

Features: TypeAlias = Any
"""A scipy CSR matrix of counts, or a dense float32 array."""
Scorer = Callable[[Features], Float64s]
Learner = Callable[[Features, Bools, int], Scorer]
"""(N, F) features, (N,) positive and a seed -> what gives (N,) scores, above 0 for praise."""
NUM_KINDS = 3
SMOOTHING = 0.1


def tf_idf(counts: sp.csr_matrix, positive: Bools, seed: int) -> Scorer:
    """Logistic regression on TF-IDF (1 + log counts, unit rows) of what stands in two texts or more."""
    from sklearn.feature_extraction.text import TfidfTransformer

    columns = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= 2)
    weights = TfidfTransformer(sublinear_tf=True)
    model = _logistic(weights.fit_transform(counts[:, columns]), positive, 5.0, seed)
    return lambda given: model(weights.transform(given[:, columns]))


def ratios(counts: sp.csr_matrix, positive: Bools, seed: int, num_kinds: int = 1) -> Scorer:
    """Logistic regression on TF-IDF x log-count ratio (Wang & Manning, 2012: NB-SVM, with TF-IDF for their counts).

    Ratio of a column: log((a + p) / |a + p|) - log((a + q) / |a + q|), p and q its sums of TF-IDF over texts of praise
    and of complaint, a = SMOOTHING. With several kinds, an n-gram has a ratio in all texts and one in each kind.
    """
    kinds = Kinds.fit(counts, num_kinds, seed)
    features = kinds.features(counts)
    praise, complaint = (SMOOTHING + np.asarray(features[side].sum(axis=0)).ravel() for side in (positive, ~positive))
    ratio = sp.diags((np.log(praise / praise.sum()) - np.log(complaint / complaint.sum())).astype(np.float32))
    model = _logistic((features @ ratio).tocsr(), positive, 10.0, seed)
    return lambda given: model((kinds.features(given) @ ratio).tocsr())


def network(counts: sp.csr_matrix, positive: Bools, seed: int) -> Scorer:
    """A small network of embeddings on the n-grams and those per kind."""
    from nightmarket.reviews.sentiment.network import scores, train

    kinds = Kinds.fit(counts, NUM_KINDS, seed)
    model = train(kinds.features(counts), positive, seed)
    return lambda given: scores(model, kinds.features(given))


def vectors(texts: Float32s, positive: Bools, seed: int) -> Scorer:
    """Logistic regression on a text's vector, each dimension standardised."""
    centre, spread = texts.mean(axis=0), texts.std(axis=0) + 1e-6
    model = _logistic((texts - centre) / spread, positive, 0.01, seed)
    return lambda given: model((given - centre) / spread)


def _logistic(features: Features, positive: Bools, strength: float, seed: int) -> Scorer:
    """strength: inverse of the L2 penalty (sklearn's C)."""
    from sklearn.linear_model import LogisticRegression

    sparse = sp.issparse(features)
    solver = "liblinear" if sparse else "lbfgs"
    model = LogisticRegression(C=strength, solver=solver, dual=sparse, max_iter=1000, random_state=seed)
    model.fit(features, positive)
    return lambda given: model.decision_function(given).astype(np.float64)
