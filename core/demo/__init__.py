"""The embedded demo: grammar, pool, models, scorer and the runs, all made by this project from a seed."""
