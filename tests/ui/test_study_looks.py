"""Colours and shapes stay with their strategy and method, whatever else a study compares."""

from core.repair import METHODS
from core.selection import STRATEGIES
from ui import theme
from ui.study_looks import FIRST, FULL, OTHER, SYMBOLS, Looks, slots


def test_a_strategy_keeps_its_colour_when_another_joins():
    for other in ("ccs", "herding", "zcore"):
        alone, joined = Looks.of(["saps"], []), Looks.of(["uniform", "saps", other], [])
        assert alone.colour("saps") == joined.colour("saps")


def test_eight_strategies_have_eight_colours_and_the_ninth_is_grey():
    names = list(STRATEGIES)[:9]
    looks = Looks.of(names, [])
    colours = [looks.colour(n) for n in names]
    assert len(set(colours)) == 9 and colours.count(theme.grey("other")) == 1
    assert set(colours) - {theme.grey("other")} == set(theme.PALETTE)


def test_all_rows_take_no_colour_from_a_strategy():
    looks = Looks.of([FULL, "uniform"], [])
    assert FULL not in looks.strategies and looks.colour(FULL) not in theme.PALETTE


def test_methods_have_shapes_of_their_own_and_a_ninth_a_cross():
    names = list(METHODS)[:9]
    shapes = [Looks.of([], names).symbol(n) for n in names]
    assert set(shapes) == {*SYMBOLS, OTHER} if len(names) > 8 else len(set(shapes)) == len(names)


def test_labels_of_ones_own_never_push_a_registered_name_aside():
    assert slots(["saps", "saps, half", "a"], list(STRATEGIES), 8)["saps"] == FIRST.index("saps")
    assert len(set(slots(["saps", "saps, half", "a"], list(STRATEGIES), 8).values())) == 3
