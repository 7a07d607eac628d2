"""Principal component analysis: the linear view, and the space that k-means and UMAP read.

Pearson, "On lines and planes of closest fit", Philosophical Magazine 2 (1901); defaults of selection.md,
section 4.
"""

from __future__ import annotations

from pydantic import Field

from core.projection.base import Matrix, projection
from core.projection.linear import principal, unit_rows
from core.values import Params, Reporter


class PCAParams(Params):
    """How many directions, and whether lengths are kept."""

    n_components: int = Field(
        50, ge=1, description="Directions kept; at most the rows or dimensions there are."
    )
    normalise: bool = Field(
        False,
        description="Bring each row to length one afterwards: for neighbours and clusters, not for pictures.",
    )


@projection(title="PCA", source="Pearson 1901")
def pca(vectors: Matrix, params: PCAParams, seed: int, reporter: Reporter) -> Matrix:
    """(n, min(n, d, n_components)), largest variance first; exact, so the seed changes nothing."""
    found = principal(vectors, params.n_components)
    reporter.progress(len(vectors), len(vectors), "rows projected")
    return unit_rows(found) if params.normalise else found
