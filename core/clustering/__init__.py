"""Group vectors into clusters, and name the clusters by their words."""

from core.clustering.base import METHODS, ClusteringSpec, Clusters, cluster
from core.clustering.keywords import keywords

__all__ = ["METHODS", "ClusteringSpec", "Clusters", "cluster", "keywords"]
