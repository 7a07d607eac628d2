"""Words that tell a cluster from the others: class-based TF-IDF.

Grootendorst, "BERTopic", 2022 (arXiv:2203.05794), section 3.3: W(t, c) = tf(t, c) log(1 + A / f(t)), with tf
the word's share of the cluster's words, f its count in all clusters and A the mean number of words per
cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# whole words of at least two letters; "don't" is left out whole instead of leaving "don"
WORD = r"(?u)(?<!\w)(?<!\w['\u2019])[^\W\d_]{2,}(?!['\u2019]?\w)"


def keywords(texts: Sequence[str], labels: NDArray[np.int64], top: int = 8) -> dict[int, list[str]]:
    """Cluster -> its `top` words, strongest first; noise (-1) is left out, a cluster without words has [].

    Stop words are English ones. The words come from the texts as they are: whoever shows them masks them.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    rows = np.flatnonzero(labels >= 0)
    names, place = np.unique(labels[rows], return_inverse=True)
    clustered = [texts[int(row)] for row in rows]
    counter = CountVectorizer(stop_words="english", token_pattern=WORD)
    analyse = counter.build_analyzer()
    if not any(map(analyse, clustered)):  # an empty vocabulary is an error to scikit-learn
        return {int(name): [] for name in names}
    counts = counter.fit_transform(clustered)
    member = csr_matrix((np.ones(len(rows)), (place, np.arange(len(rows)))), shape=(len(names), len(rows)))
    weights = class_tfidf((member @ counts).toarray())
    words = counter.get_feature_names_out()
    return {int(name): _strongest(weights[c], words, top) for c, name in enumerate(names)}


def class_tfidf(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, v) weights of (C, v) word counts per cluster; every word occurs at least once."""
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return np.asarray(share * np.log1p(total.mean() / counts.sum(axis=0)))


def _strongest(weights: NDArray[np.float64], words: NDArray[np.object_], top: int) -> list[str]:
    order = np.lexsort((words.astype(str), -weights))[:top]  # ties by the alphabet
    return [str(words[i]) for i in order if weights[i] > 0]
