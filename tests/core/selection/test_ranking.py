"""The largest values without a full sort: as a full stable sort would give them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.selection.ranking import best


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, -0.0, 2.5, np.inf]), max_size=30), st.integers(0, 35))
def test_is_the_head_of_a_sort_by_value_then_row(values, count):
    rows = np.arange(len(values)) * 3 + 1
    plain = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert best(rows, np.array(values), count).tolist() == [3 * i + 1 for i in plain[:count]]
