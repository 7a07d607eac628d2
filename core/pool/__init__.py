"""The pool: tables of examples, read from any common file, checked row by row, split once, kept under a name.

`read_table` -> `guess_mapping` (shown, edited) -> `build_pool` -> `save_pool`; later stages use
`load_pool` and `eligible`.
"""

from core.pool.behaviour import add_flags
from core.pool.build import Built, build_pool
from core.pool.eligibility import Eligibility, eligible
from core.pool.mapping import FIELDS, Mapping, guess_mapping
from core.pool.read import BadRow, RawTable, read_table
from core.pool.rules import Rule, parse_rule
from core.pool.store import PoolSummary, bad_rows, list_pools, load_pool, read_manifest, save_pool

__all__ = [
    "FIELDS",
    "BadRow",
    "Built",
    "Eligibility",
    "Mapping",
    "PoolSummary",
    "RawTable",
    "Rule",
    "add_flags",
    "bad_rows",
    "build_pool",
    "eligible",
    "guess_mapping",
    "list_pools",
    "load_pool",
    "parse_rule",
    "read_manifest",
    "read_table",
    "save_pool",
]
