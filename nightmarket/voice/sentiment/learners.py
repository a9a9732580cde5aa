"""Ways to tell praise from complaint, each a function of features and labels.

Shapes: N texts, F features (columns of n-grams, or dimensions of a vector).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Features: TypeAlias = Any
"""A scipy CSR matrix of counts, or a dense float32 array."""
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Scorer = Callable[[Features], Doubles]
Learner = Callable[[Features, Bools], Scorer]
"""(N, F) features and (N,) positive -> what gives (N,) scores, above 0 for praise."""
LEAST_TEXTS = 2
"""A column of fewer training texts is left out: it stands for one text, or for a slip of the pen."""


def tf_idf(features: sp.csr_matrix, positive: Bools) -> Scorer:
    """Logistic regression on TF-IDF (1 + log counts, unit rows)."""
    from sklearn.feature_extraction.text import TfidfTransformer

    columns = _frequent(features)
    weights = TfidfTransformer(sublinear_tf=True)
    model = _logistic(weights.fit_transform(features[:, columns]), positive, strength=5.0)
    return lambda given: model(weights.transform(given[:, columns]))


def ratios(features: sp.csr_matrix, positive: Bools) -> Scorer:
    """Logistic regression on binary n-grams, each times its log-count ratio r (Wang & Manning, 2012: NB-SVM).

    r = log((1 + p) / |1 + p|) - log((1 + q) / |1 + q|), with p and q in how many texts of praise and of complaint.
    """
    columns = _frequent(features)
    seen = _binary(features[:, columns])
    praise, complaint = (1.0 + np.asarray(seen[side].sum(axis=0)).ravel() for side in (positive, ~positive))
    scale = sp.diags((np.log(praise / praise.sum()) - np.log(complaint / complaint.sum())).astype(np.float32))
    model = _logistic((seen @ scale).tocsr(), positive, strength=0.1)
    return lambda given: model((_binary(given[:, columns]) @ scale).tocsr())


def vectors(features: NDArray[np.float32], positive: Bools) -> Scorer:
    """Logistic regression on a text's vector, each dimension standardised."""
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = _logistic((features - centre) / spread, positive, strength=0.01)
    return lambda given: model((given - centre) / spread)


def _logistic(features: Features, positive: Bools, strength: float) -> Scorer:
    """strength: inverse of the L2 penalty (sklearn's C)."""
    from sklearn.linear_model import LogisticRegression

    sparse = sp.issparse(features)
    model = LogisticRegression(
        C=strength, solver="liblinear" if sparse else "lbfgs", dual=sparse, max_iter=1000, random_state=0
    )
    model.fit(features, positive)
    return lambda given: model.decision_function(given).astype(np.float64)


def _frequent(features: sp.csr_matrix) -> NDArray[np.int64]:
    return np.flatnonzero(np.bincount(features.indices, minlength=features.shape[1]) >= LEAST_TEXTS)


def _binary(features: sp.csr_matrix) -> sp.csr_matrix:
    seen = features.copy()
    seen.data = np.ones_like(seen.data)
    return seen
