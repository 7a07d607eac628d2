"""Box and lasso: the same rows as a slow, obvious point-by-point rule, on any outline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.projection.polygon import box, select_by_polygon

grid = st.integers(-4, 4).map(float)  # few values: corners, edges and points coincide on purpose


def crossings(px, py, polygon):
    """Count edges crossed by the ray from (px, py) to the right, one point and one edge at a time."""
    count = 0
    for i, (x1, y1) in enumerate(polygon):
        x2, y2 = polygon[(i + 1) % len(polygon)]
        if (y1 > py) != (y2 > py) and px < x1 + (py - y1) * ((x2 - x1) / (y2 - y1)):
            count += 1
    return count


@settings(max_examples=200, deadline=None)
@given(
    points=st.lists(st.tuples(grid, grid), min_size=1, max_size=25),
    polygon=st.lists(st.tuples(grid, grid), min_size=3, max_size=12),
)
def test_agrees_with_the_ray_cast_one_point_at_a_time(points, polygon):
    slow = [i for i, (px, py) in enumerate(points) if crossings(px, py, polygon) % 2]
    assert select_by_polygon(points, polygon).tolist() == slow


@settings(max_examples=50, deadline=None)
@given(points=st.lists(st.tuples(grid, grid), min_size=1, max_size=40), cut=grid)
def test_two_boxes_side_by_side_share_no_row_and_lose_none(points, cut):
    left = select_by_polygon(points, box((-9, cut), (-9, 9)))
    right = select_by_polygon(points, box((cut, 9), (-9, 9)))
    assert sorted([*left, *right]) == list(range(len(points)))


def test_the_hole_of_a_self_crossing_outline_is_outside():
    outer, inner = box((0, 10), (0, 10)), box((3, 7), (3, 7))
    ring = np.vstack([outer, outer[:1], inner, inner[:1]])
    assert select_by_polygon([(1, 5), (5, 5), (9, 5)], ring).tolist() == [0, 2]


def test_a_point_without_a_position_is_never_inside():
    assert select_by_polygon([(np.nan, 1), (1, 1)], box((0, 2), (0, 2))).tolist() == [1]


def test_a_line_encloses_nothing_and_a_wrong_shape_is_a_sentence():
    assert select_by_polygon([(0, 0)], [(0, 0), (1, 1)]).tolist() == []
    with pytest.raises(BadInput, match=r"corners \(m, 2\)"):
        select_by_polygon([(0, 0)], [1, 2, 3])
