"""Small charts: gaps stay gaps, the best is marked, and no text of a user is inside."""

import math

import numpy as np

from tests.ui.live_rows_made import blocks, panel, step, validation
from ui import live_figures, live_rows, theme


def read(rows):
    return live_rows.read(rows, live_rows.phases(rows)[-1])


def test_a_missing_value_is_a_gap_and_never_zero_or_bridged():
    live = read([step(1), step(2, loss=None), step(3)])
    figure = live_figures.lines(live.steps, live_figures.colours(["loss"]), "Loss")
    assert figure.data[0].connectgaps is False
    assert math.isnan(figure.data[0].y[1]) and list(figure.data[0].x) == [1, 2, 3]


def test_the_value_before_training_is_dashed_and_an_unknown_one_is_not_drawn():
    frame = read([panel(0, 0.5), panel(5, 0.2)]).panel
    figure = live_figures.lines(frame, {"toxicity": "#000000"}, "Toxicity", dashed=0.5)
    assert [(s.y0, s.line.dash) for s in figure.layout.shapes] == [(0.5, "dash")]
    assert not live_figures.lines(frame, {"kl": "#000000"}, "KL", dashed=math.nan).layout.shapes


def test_one_line_needs_no_legend_and_two_have_one():
    live = read([step(1), step(2)])
    one = live_figures.lines(live.steps, live_figures.colours(["loss"]), "Loss")
    two = live_figures.lines(live.steps, live_figures.colours(["loss", "nll"]), "Loss")
    assert not one.layout.showlegend and two.layout.showlegend
    assert two.data[0].line.color == theme.grey("text") and two.data[1].line.color == theme.PALETTE[0]


def test_many_terms_have_a_colour_each_time():
    assert len(live_figures.colours([f"part{i}" for i in range(20)])) == 20


def test_the_best_validation_is_ringed():
    told = [validation(0, 3.0, 3.0, 0, 0), validation(5, 2.0, 2.0, 5, 0), validation(10, 2.5, 2.0, 5, 1)]
    dots, ring = live_figures.validation(read(told).validation).data
    assert list(dots.y) == [3.0, 2.0, 2.5] and (list(ring.x), list(ring.y)) == ([5], [2.0])


def test_the_heat_map_shows_the_logarithm_and_marks_the_chosen_blocks():
    rows = [blocks(n, [10.0**-n, 1.0, 0.0]) for n in range(1, 5)] + [blocks(5, [100.0, 1.0, math.nan])]
    heat, marks, bars = live_figures.heat_map(read(rows)).data
    assert np.allclose(heat.z[0], [-1, -2, -3, -4, 2]) and np.isnan(heat.z[2]).all()  # 0 has no logarithm
    assert list(zip(marks.x, marks.y, strict=True)) == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 0)]
    assert list(bars.x) == [1, 4, 0]


def test_a_long_run_of_many_blocks_is_four_hundred_columns():
    rng = np.random.default_rng(0)
    rows = [blocks(n, rng.random(48).tolist()) for n in range(1, 1000)]
    heat = live_figures.heat_map(read(rows)).data[0]
    assert heat.z.shape[0] == 48 and 300 < heat.z.shape[1] <= 400


def test_no_sample_reaches_a_figure():
    live = read([panel(0, 0.5), panel(5, 0.2)])
    for name in ("toxicity", "perplexity", "kl"):
        assert "turnip" not in live_figures.lines(live.panel, {name: "#000000"}, name).to_json()
