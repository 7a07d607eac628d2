"""One file per labeller."""
