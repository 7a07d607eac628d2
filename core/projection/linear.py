"""Principal components, exact and repeatable; shared by the projections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096  # rows that are held in double precision at once


def principal(vectors: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """(n, min(n, d, k)) coordinates on the directions of largest variance, largest first.

    Each direction's largest loading is positive, so that repeats agree in sign (selection.md, section 4).
    """
    n, d = vectors.shape
    mean = vectors.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((d, d))
    for start in range(0, n, CHUNK):
        part = vectors[start : start + CHUNK] - mean
        covariance += part.T @ part
    variance, loadings = np.linalg.eigh(covariance)  # ascending
    keep = np.argsort(-variance, kind="stable")[: min(n, d, k)]
    loadings = loadings[:, keep]
    largest = np.abs(loadings).argmax(axis=0)
    loadings *= np.where(loadings[largest, np.arange(len(keep))] < 0, -1.0, 1.0)
    coordinates = np.empty((n, loadings.shape[1]), dtype=np.float32)
    for start in range(0, n, CHUNK):
        coordinates[start : start + CHUNK] = (vectors[start : start + CHUNK] - mean) @ loadings
    return coordinates


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length one; rows of zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))
