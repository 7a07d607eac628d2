"""Bring vectors down to few dimensions: two for a picture, ten or fifty for clustering."""

from core.projection.base import METHODS, ProjectionSpec, project
from core.projection.neighbours import place
from core.projection.quality import frame_fill, trustworthiness

__all__ = ["METHODS", "ProjectionSpec", "frame_fill", "place", "project", "trustworthiness"]
