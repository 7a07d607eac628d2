"""One file per selection strategy; the file's name is the strategy's name."""
