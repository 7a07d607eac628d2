"""What the live view reads out of a run's rows: no void row, no hidden gap, no false alarm."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.live_rows_made import blocks, panel, preference, step, validation
from ui import live_rows

EMPTY = live_rows.read([], "")


def read(rows):
    return live_rows.read(rows, live_rows.phases(rows)[-1])


def test_a_run_that_has_told_nothing_has_empty_tables():
    assert live_rows.phases([]) == [""] and len(EMPTY.steps) == len(EMPTY.validation) == len(EMPTY.panel) == 0
    assert len(live_rows.side_by_side(EMPTY)) == 0 and len(live_rows.blocks(EMPTY)) == 0
    assert live_rows.gaps(EMPTY.steps) == live_rows.alarm(EMPTY.steps, 0.1) == ""
    assert live_rows.patience(EMPTY.validation) == live_rows.first_moves(EMPTY.steps) == ""


def test_what_a_kill_undid_is_dropped_and_told_again_only_once():
    rows = [step(1), step(2), step(3, 9.0), validation(3, 5.0, 5.0, 3, 0), step(4, 9.0)]
    rows += [{"resumed": 2}, step(3, 1.5), step(4, 1.4)]
    live = read(rows)
    assert live.steps["step"].tolist() == [1, 2, 3, 4] and live.steps["loss"].tolist() == [1, 1, 1.5, 1.4]
    assert len(live.validation) == 0


def test_a_look_at_the_very_step_of_the_checkpoint_stays():
    rows = [panel(0, 0.5), step(1), panel(1, 0.4), validation(1, 2.0, 2.0, 1, 0), step(2), {"resumed": 1}]
    live = read(rows)
    assert live.panel["step"].tolist() == [0, 1] and live.steps["step"].tolist() == [1]
    assert len(live.validation) == 1


def test_a_resumed_second_phase_leaves_the_first_one_whole():
    rows = [step(n, phase="anti") for n in (1, 2, 3)] + [step(n, phase="expert") for n in (1, 2)]
    rows += [{"resumed": 1, "phase": "expert"}, step(2, 7.0, phase="expert")]
    assert live_rows.phases(rows) == ["anti", "expert"]
    assert live_rows.read(rows, "anti").steps["step"].tolist() == [1, 2, 3]
    assert live_rows.read(rows, "expert").steps["loss"].tolist() == [1, 7]
    nameless = [*rows[:5], {"resumed": 1}]  # a marker without a phase means the latest
    assert len(live_rows.read(nameless, "anti").steps) == 3 and len(read(nameless).steps) == 1


@given(st.lists(st.integers(0, 12), max_size=4))
def test_however_often_a_run_is_killed_its_steps_are_each_told_once(stops):
    rows, at = [], 0
    for stop in [*stops, 12]:
        back = min(stop, at)
        rows += [{"resumed": back}] if rows else []
        rows += [step(n, n + len(rows)) for n in range(back + 1, 13)]
        at = 12
    assert read(rows).steps["step"].tolist() == list(range(1, 13))


def test_a_step_that_was_not_finite_is_a_gap_and_a_sentence():
    live = read([step(1), step(2, parts={"nll": None, "kl": 0.1}, loss=None), step(3)])
    assert math.isnan(live.steps["loss"][1]) and "step 2:" in live_rows.gaps(live.steps)
    assert "step 3" in live_rows.gaps(read([step(1), step(3, grad_norm=None)]).steps)
    assert live_rows.gaps(read([step(1), step(2)]).steps) == ""


def test_parts_that_are_no_loss_and_parts_that_are_all_of_it_are_no_terms():
    assert read([step(1)]).terms == ("nll",)  # kl has a chart of its own
    assert read([preference(1, 0.0)]).terms == ()  # dpo is the loss itself


def test_thinned_lines_are_means_of_neighbours_and_keep_their_gaps():
    frame = pd.DataFrame({"step": range(1, 11), "loss": [1.0, 3, 5, 7, np.nan, 9, 1, 1, 2, 4]})
    thin = live_rows.thin(frame, ["loss"], limit=5)
    assert thin["step"].tolist() == [2, 4, 6, 8, 10]
    assert thin["loss"].fillna(-1).tolist() == [2, 6, -1, 1, 3]
    assert live_rows.thin(frame, ["loss"], limit=10)["loss"].equals(frame["loss"])


@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 20), st.integers(0, 99))
def test_the_heat_map_is_as_narrow_as_asked_and_keeps_every_maximum(n, b, limit, seed):
    rng = np.random.default_rng(seed)
    given_s = np.where(rng.random((n, b)) < 0.1, np.nan, rng.random((n, b)))
    given_s[:, 0] = rng.random(n)
    live = read([blocks(i + 1, row.tolist()) for i, row in enumerate(given_s)])
    at, largest = live_rows.columns(live, limit)
    width = math.ceil(n / limit)
    assert len(at) == len(largest) <= limit
    for column, begin in enumerate(range(0, n, width)):
        part = given_s[begin : begin + width]
        told = [np.nanmax(v) if np.isfinite(v).any() else np.nan for v in part.T]
        assert np.array_equal(largest[column], told, equal_nan=True)
        assert at[column] == pytest.approx(np.mean(range(begin + 1, min(begin + width, n) + 1)))
    column, block = live_rows.chosen(live, limit)
    expected = {(i // width, int(c)) for i, c in enumerate(live.steps["block"])}
    assert set(zip(column.tolist(), block.tolist(), strict=True)) == expected and len(column) == len(expected)
    assert live_rows.blocks(live).tolist() == [int((live.steps["block"] == i).sum()) for i in range(b)]


def test_the_margin_is_the_lead_of_the_first_block_in_percent_of_it():
    s = np.array([[100.0, 80.0, 60.0], [5, 10, 0], [3, 3, 1], [np.nan, 2, 1], [0, 0, 0]])
    assert np.nan_to_num(live_rows.margins(s), nan=-1).tolist() == [20, 50, 0, -1, -1]  # F-10: 20 %
    assert np.isnan(live_rows.margins(np.ones((2, 1)))).all()


def test_both_sides_falling_while_accuracy_rises_is_an_alarm():
    falling = [preference(n, -n / 4, accuracy=min(0.4 + n / 50, 1)) for n in range(1, 41)]
    words = live_rows.alarm(read(falling).steps, 0.1)
    assert "fell by 18 %" in words and "from 51 % to 100 %" in words  # mean of 7.75 .. 10 of 50 nats


def test_no_alarm_while_the_chosen_side_holds_or_the_accuracy_does_not_rise():
    def words(rows):
        return live_rows.alarm(read(rows).steps, 0.1)

    assert words([preference(n, -n / 40, accuracy=n / 40) for n in range(1, 41)]) == ""  # 2 %
    assert words([preference(n, n / 4, accuracy=n / 40) for n in range(1, 41)]) == ""  # it rises
    assert words([preference(n, -n / 4, accuracy=1 - n / 80) for n in range(1, 41)]) == ""
    assert words([step(n) for n in range(1, 41)]) == "" and words([preference(1, -30.0)]) == ""


def test_a_batch_of_longer_texts_alone_is_no_alarm():
    """The raw log-probability jumps with the batch; the change is measured on the same texts."""
    rows = [preference(n, 0.0, size=-50.0 - 10 * n, accuracy=n / 40) for n in range(1, 41)]
    assert live_rows.alarm(read(rows).steps, 0.1) == ""


def test_shifts_are_rewards_over_beta():
    moved = live_rows.shifts(read([preference(1, -2.0, beta=0.5)]).steps, 0.5)
    assert moved[["chosen", "rejected"]].values.tolist() == [[-2.0, -6.0]]


def test_patience_says_how_many_of_how_many():
    live = read([validation(10, 2.0, 2.0, 10, 0), validation(20, 2.1, 2.0, 10, 1)])
    assert live_rows.patience(live.validation) == "1 of 30"
    assert live_rows.patience(live.validation.drop(columns="patience_of")) == "1"


def test_samples_stand_side_by_side_from_the_first_and_the_latest_look():
    live = read([panel(0, 0.9, "old"), panel(10, 0.5, "middle"), panel(20, 0.1, "new", note="no scorer")])
    assert live_rows.side_by_side(live).iloc[0].tolist() == ["the dreadful visitors", "old", 0.9, "new", 0.1]
    assert live.note == "no scorer" and "samples" not in live.panel and "note" not in live.panel
    two = panel(0, 0.1, "mild")
    two["panel"]["samples"] += panel(0, 0.9, "worst")["panel"]["samples"]
    assert live_rows.side_by_side(read([two]))["before"].tolist() == ["worst", "mild"]
    alone = live_rows.side_by_side(read([panel(0, 0.9, "old")]))
    assert alone["now"].tolist() == [""] and alone["toxicity now"].isna().all()


def test_the_first_move_of_each_block_is_told():
    rows = [blocks(1, [2.0, 1.0]) | {"cold": True}, blocks(2, [2.0, 1.0]) | {"cold": False}]
    rows += [blocks(3, [1.0, 2.0]) | {"cold": True}]
    assert "block 0 at step 1, 1 at step 3." in live_rows.first_moves(read(rows).steps)
    assert live_rows.first_moves(read([step(1, cold=True)]).steps) == ""


def test_speed_is_the_median_of_the_latest_steps():
    live = read([step(n) for n in range(1, 31)])
    assert live_rows.recent(live.steps, "tokens_per_second") == 5020.5
    assert live_rows.recent(live.steps, "nothing") is None
