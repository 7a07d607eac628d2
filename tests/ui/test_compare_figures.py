"""Figures of selections side by side: what is drawn where, in whose colour, and the numbers beside it."""

import numpy as np
import pytest

from core.pipeline.compare import Arm, Comparison
from core.pipeline.predict import Prediction
from core.selection.diagnostics import Balance
from ui import compare_figures
from ui.compare_views import summary

NAMES, COLOURS = ["first", "second", "third"], ["#0072B2", "#E69F00", "#009E73"]


@pytest.fixture
def overlap():
    jaccard = np.array([[1.0, 0.31, 0.9], [0.31, 1.0, 0.0], [0.9, 0.0, 1.0]])
    return compare_figures.overlap(NAMES, jaccard, np.full((3, 3), 0.05))


def test_every_two_show_their_overlap_beside_chance_and_none_is_compared_with_itself(overlap):
    figure, frame = overlap
    texts = {(a.x, a.y): a.text for a in figure.layout.annotations}
    assert len(texts) == 6 and texts["first", "second"] == "<b>0.31</b><br>chance 0.05"
    assert np.isnan(np.diag(np.array(figure.data[0].z, dtype=float))).all()
    assert frame.to_dict("records")[0] == {
        "left": "first",
        "right": "second",
        "jaccard": 0.31,
        "expected by chance": 0.05,
    }


def test_names_that_are_cut_to_the_same_are_told_apart():
    names = ["a very long name of a recipe, 10 %", "a very long name of a recipe, 20 %"]
    figure, _ = compare_figures.overlap(names, np.eye(2), np.eye(2))
    assert len(set(figure.data[0].x)) == 2


def test_rows_of_one_selection_alone_have_its_colour_and_the_dots_name_the_members():
    parts = [((1,), 40), ((0, 2), 7), ((0, 1, 2), 1)]
    figure, frame = compare_figures.upset(NAMES, COLOURS, [8, 41, 8], parts)
    bars, lines = figure.data[0], figure.data[2:]
    assert list(bars.y) == [40, 7, 1] and bars.marker.color[0] == COLOURS[1]
    assert bars.marker.color[1] == bars.marker.color[2] not in COLOURS
    assert [list(line.y) for line in lines] == [[1], [0, 2], [0, 1, 2]]
    assert list(lines[1].marker.color) == [COLOURS[0], COLOURS[2]]
    assert list(figure.layout.yaxis2.ticktext) == ["first (8)", "second (41)", "third (8)"]
    assert frame["in exactly"].tolist() == ["second", "first & third", "first & second & third"]


def test_an_upset_plot_draws_the_largest_twelve_and_lists_all():
    parts = [((i % 3,), 100 - i) for i in range(20)]
    figure, frame = compare_figures.upset(NAMES, COLOURS, [1, 1, 1], parts)
    assert len(figure.data[0].y) == 12 and len(frame) == 20


def test_balance_stands_largest_first_in_percent_of_each_selection():
    pool, arms = np.array([0.1, 0.6, 0.3]), [np.array([0.5, 0.25, 0.25]), np.array([0.0, 1.0, 0.0])]
    figure, frame = compare_figures.balance(["x", "y", "z"], pool, arms, NAMES[:2], COLOURS[:2])
    assert list(figure.layout.yaxis.ticktext) == ["y", "z", "x"] and list(figure.data[0].x) == [
        60.0,
        30.0,
        10.0,
    ]
    assert list(figure.data[1].x) == [25.0, 25.0, 50.0] and figure.data[1].marker.color == COLOURS[0]
    assert np.round(figure.data[1].y).tolist() == np.round(figure.data[2].y).tolist() == [0, 1, 2]
    assert not set(figure.data[1].y) & set(figure.data[2].y)  # equal shares hide nobody
    assert frame["first %"].tolist() == [50.0, 25.0, 25.0]


def test_steps_of_a_histogram_enclose_a_hundred_percent_and_end_at_zero():
    edges = np.array([0.0, 1.0, 2.0])
    pool, arms = np.array([30, 10]), np.array([[0, 4]])
    figure, frame = compare_figures.histogram(edges, pool, arms, ["first"], COLOURS[:1], "Loss (nats)")
    assert list(figure.data[0].x) == [0, 0, 1, 1, 2, 2]
    assert list(figure.data[0].y) == [0, 75, 75, 25, 25, 0]
    assert list(figure.data[1].y) == [0, 0, 0, 100, 100, 0]
    assert frame["first rows"].tolist() == [0, 4] and frame["eligible rows"].tolist() == [30, 10]


def test_a_selection_without_the_score_is_a_line_at_zero():
    figure, _ = compare_figures.histogram(
        np.array([0.0, 1.0]), np.array([1]), np.array([[0]]), ["first"], COLOURS[:1], "Loss"
    )
    assert set(figure.data[1].y) == {0.0}


def arm(name, radius):
    """An arm of which the summary reads the name, the rows and the radius."""
    nothing = Balance((), *(np.zeros(0) for _ in range(4)), 0.0)
    known = {"name": name, "rows": 5, "tokens": None, "radius": radius, "aucpr": None, "redundancy": None}
    cost = Prediction(None, None, None, 0, "no run yet")
    return Arm(**known, category=nothing, behaviour=nothing, shortfall=0, seconds=0.0, predicted=cost)


def test_the_summary_names_the_best_cover_and_the_two_that_share_more_than_chance():
    arms = (arm("first", 0.9), arm("second", 0.4), arm("third", 0.7))
    jaccard, expected = np.eye(3), np.full((3, 3), 0.1)
    jaccard[0, 2] = jaccard[2, 0] = 0.5
    said = summary(Comparison(arms, 50, "pca50", jaccard, expected, ()))
    assert "eligible rows: second (5 rows, radius 0.4 in PCA-50)" in said
    assert "first and third, 50 % of their rows (10 % by chance)" in said
    assert "No two share" in summary(Comparison(arms, 50, "pca50", expected, expected, ()))
    assert "Add a second recipe" in summary(Comparison(arms[:1], 50, "", np.eye(1), np.eye(1), ()))
