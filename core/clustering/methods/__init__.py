"""One file per clustering."""
