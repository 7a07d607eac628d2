"""Groups by one sort: the order of a stable sort, whatever the labels, and places inside each run."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.selection.grouping import by_label, turns

labels = st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**40), 2**40)), max_size=40).map(
    lambda values: np.array(values, dtype=np.int64)
)


@given(labels)
def test_rows_of_a_label_stand_together_in_their_old_order(given_labels):
    slow = sorted(range(len(given_labels)), key=lambda i: (given_labels[i], i))
    assert by_label(given_labels).tolist() == slow


@given(labels)
def test_turns_count_from_zero_inside_every_run(given_labels):
    sorted_labels = np.sort(given_labels)
    slow = [i - sorted_labels.tolist().index(label) for i, label in enumerate(sorted_labels)]
    assert turns(sorted_labels).tolist() == slow
