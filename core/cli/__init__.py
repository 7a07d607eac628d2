"""The command line, a file per group of commands; `core/__main__.py` puts them together."""
