"""The public pools come in as they are, in seconds."""

import time
from pathlib import Path

import pytest

from core.pool import Mapping, build_pool, eligible, guess_mapping, load_pool, read_table, save_pool
from core.workspace import Workspace

POOLS = Path(__file__).parents[4] / "shared" / "data" / "pools"
pytestmark = pytest.mark.skipif(not POOLS.is_dir(), reason=f"the public data sets are not at {POOLS}")
SIDES = ("prompt", "response", "rejected")


def built(name, rules=()):
    raw = read_table(POOLS / f"{name}.parquet")
    guess = guess_mapping(raw)
    return build_pool(raw, Mapping(columns=guess.columns, rules=rules), name=name), guess


def test_the_candidate_pool_is_imported_whole_within_seconds(tmp_path):
    start = time.perf_counter()
    rules = (
        "refusal:2_full_refusal=yes",
        "refusal:1_full_compliance=no",
        "harmful_request@harm_category:contrast_*=yes",
    )
    made, guess = built("candidate_pool", rules)
    ws = Workspace.open(tmp_path, None)
    save_pool(ws, made, guess, "candidate_pool.parquet")
    assert len(load_pool(ws, "candidate_pool")) == 19_172 and not made.bad
    assert time.perf_counter() - start < 10
    assert made.counts["moved_to_rejected"] == made.counts["blocked"] == 4_354 + 1_803
    assert made.counts["T1"] + made.counts["T2"] == 488 and made.counts["groups"] == 8_908


def test_empty_prompts_of_the_pairs_are_legal_and_eligible():
    made, _ = built("preference_pairs")
    assert len(made.pool) == 18_610 and made.counts["empty_prompt"] == 16_807 and not made.bad
    assert len(eligible(made.pool, SIDES).rows) > 14_000


def test_benign_rows_have_no_other_side_and_contrast_pairs_have_both():
    benign, _ = built("benign_pool")
    assert len(benign.pool) == 13_293 and len(eligible(benign.pool, SIDES).rows) == 0
    contrast, _ = built("label_contrast_pairs")
    assert contrast.counts["pairs"] == len(contrast.pool) == 1_209
