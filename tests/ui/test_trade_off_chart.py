"""The plane: up-right is better, the staircase is one, small dots are seeds, at most eight colours."""

import pytest

from core.values import Measure
from ui import theme
from ui.study_data import _times
from ui.study_looks import Looks
from ui.trade_off_chart import _steps, plane_figure
from ui.trade_off_marks import Axes, Dot, Mark, numbers

AXES = Axes("Reduction", "Perplexity: increase")


def dot(run, gain, loss, spread=1.0):
    def around(v):
        return Measure(value=v, low=v - spread, high=v + 2 * spread)

    return Dot(run, run, 0, around(gain), around(loss))


def mark(strategy, method, rows, places, *, full=False):
    dots = tuple(dot(f"{strategy}{method}{rows}-{i}", *p) for i, p in enumerate(places))
    gain, loss = (sum(p[k] for p in places) / len(places) for k in (0, 1))
    mean = dot(dots[0].run, gain, loss)
    return Mark(f"{method} · {strategy}", strategy, method, rows, full, mean, dots)


MARKS = [
    mark("uniform", "dpo", 10, [(20, 2), (30, 4)]),
    mark("uniform", "dpo", 100, [(40, 6), (50, 8)]),
    mark("all rows", "dpo", 500, [(60, 20)], full=True),
]


def draw(marks=MARKS, **more):
    looks = Looks.of([m.strategy for m in marks], [m.method for m in marks])
    stairs = [(0.0, 0.0), (3.0, 25.0), (7.0, 45.0), (20.0, 60.0)]
    return plane_figure(marks, stairs, looks, AXES, **more)


def points(figure):
    return [t for t in figure.data if t.mode == "markers" and t.customdata is not None]


def test_loss_is_drawn_reversed_and_the_staircase_steps():
    figure = draw()
    assert figure.layout.xaxis.autorange == "reversed"
    front = next(t for t in figure.data if t.name and t.name.startswith("Pareto"))
    assert front.line.shape == "hv" and list(front.x) == [0, 3, 7, 20]


def test_the_shaded_area_never_leaves_what_the_staircase_rules():
    assert _steps([(0, 0), (3, 25), (7, 45)]) == [(0, 0), (3, 0), (3, 25), (7, 25), (7, 45)]
    area = next(t for t in draw(reference=(20.0, 0.0)).data if t.fill == "toself")
    assert max(area.x) == 20 and min(area.y) == 0 and max(area.y) == 60


def test_every_point_names_its_run_so_that_a_click_finds_it():
    assert {run for t in points(draw()) for run in t.customdata} == {d.run for m in MARKS for d in m.dots}


def test_marks_grow_with_the_budget_and_seeds_are_smaller():
    traces = points(draw())
    means = [t for t in traces if len(t.x) == 1]
    assert [t.marker.size for t in means] == sorted(t.marker.size for t in means)
    assert max(t.marker.size for t in traces if len(t.x) == 2) < min(t.marker.size for t in means)


def test_error_bars_reach_from_the_value_to_its_bounds():
    mean = next(t for t in points(draw()) if len(t.x) == 1)
    assert list(mean.error_y.array) == [2.0] and list(mean.error_y.arrayminus) == [1.0]


def test_a_point_without_a_value_is_not_drawn_at_zero():
    lost = mark("saps", "dpo", 10, [(1, 1)])
    empty = Dot("gone", "gone", 0, Measure(value=None), Measure(value=1.0))
    figure = draw([*MARKS, Mark(lost.label, "saps", "dpo", 10, False, empty, (empty,))])
    assert "gone" not in {run for t in points(figure) for run in t.customdata}


def test_the_chosen_run_alone_is_ringed():
    ring = [
        t for t in draw(chosen=MARKS[1].dots[1].run).data if t.marker and t.marker.symbol == "circle-open"
    ]
    assert [list(t.x) for t in ring] == [[8]]


def test_a_legend_never_has_more_than_eight_strategies():
    marks = [mark(f"own {i}", "dpo", 10, [(i, i)]) for i in range(12)]
    names = [t.name for t in draw(marks).data if t.showlegend is not False and t.name]
    assert sum(n.startswith("own") for n in names) == 8 and "other (4)" in names
    grey = [t for t in points(draw(marks)) if t.marker.color == theme.grey("other")]
    assert len(grey) == 4


def test_the_numbers_hold_every_seed_with_bounds():
    frame = numbers(MARKS, AXES)
    assert len(frame) == 5 and {"Reduction, % (low)", "Perplexity: increase, % (high)"} <= set(frame)


def test_turning_a_measure_around_turns_its_bounds_around():
    turned = _times(Measure(value=-0.1, low=-0.3, high=0.2), -100.0)
    assert (turned.value, turned.low, turned.high) == pytest.approx((10.0, -20.0, 30.0))
