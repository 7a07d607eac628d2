"""The bars say what was measured: shares of the largest block, the worst fifth marked."""

from core.pipeline.densities import BlockDensity
from core.repair.density import DensityParams
from core.values import Measure
from ui.density_view import density_figure, density_frame

MEANS = (10.0, 8.0, 6.0, 4.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.5)  # F-10


def found():
    return BlockDensity(
        model="m",
        model_hash="h",
        pool="p",
        pool_fingerprint="f",
        split_hash="s",
        params=DensityParams(),
        rows=5,
        blocks=tuple(Measure(value=v, low=0.9 * v, high=1.2 * v, n=5) for v in MEANS),
        of_mean=MEANS,
        seconds=1.0,
        versions={},
    )


def test_f10_two_of_ten_blocks_are_marked_and_shares_are_of_the_largest():
    frame = density_frame(found())
    assert frame["relative %"].tolist() == [100, 80, 60, 40, 20, 10, 10, 10, 5, 5]
    assert frame["top fifth"].tolist() == [True, True] + [False] * 8
    assert frame["low %"].tolist()[:2] == [90, 72] and frame["high %"].iloc[0] == 120


def test_the_figure_draws_the_frame_in_its_order():
    frame = density_frame(found()).sort_values("relative %", kind="stable")
    [bar] = density_figure(frame).data
    assert list(bar.x) == [str(b) for b in frame["block"]]
    assert bar.marker.color[-1] != bar.marker.color[0]
