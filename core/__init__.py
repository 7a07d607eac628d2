"""Winnow's engine: which few training examples repair a language model, and what does the repair cost."""
