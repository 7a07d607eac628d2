"""One file per projection."""
