"""Undo and redo: every step can be taken back and made again; a new change forgets what was undone."""

from hypothesis import given
from hypothesis import strategies as st

from ui.history import DEPTH, History


def after(*states):
    history = History()
    for state in states:
        history = history.then(state)
    return history


def test_undo_gives_the_state_before_and_redo_the_one_after():
    history = after("a", "b", "c")
    assert history.undo().present == "b" and history.undo().undo().present == "a"
    assert history.undo().undo().redo().present == "b"
    assert history.undo().redo() == history


def test_a_new_change_forgets_what_was_undone():
    history = after("a", "b").undo().then("c")
    assert history.future == () and history.redo() is history
    assert history.undo().present == "a"


def test_the_same_state_again_is_no_change_and_keeps_what_can_be_redone():
    history = after("a", "b").undo()
    assert history.then("a") is history and history.redo().present == "b"


def test_nothing_happens_at_either_end():
    assert History().undo() == History() == History().redo()
    history = after("a")
    assert history.undo() is history and history.redo() is history


def test_the_oldest_steps_are_forgotten_beyond_the_depth():
    history = after(*range(DEPTH + 50))
    for _ in range(DEPTH + 50):
        history = history.undo()
    assert history.present == 49


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["undo", "redo"]))))
def test_it_does_what_a_list_with_a_cursor_does(steps):
    history, line, place = History(), [], -1
    for step in steps:
        if step == "undo":
            history, place = history.undo(), max(place - 1, min(place, 0))
        elif step == "redo":
            history, place = history.redo(), min(place + 1, len(line) - 1)
        elif place < 0 or line[place] != step:
            line, place = [*line[: place + 1], step], place + 1
            history = history.then(step)
        else:
            history = history.then(step)
    assert history.present == (line[place] if line else None)
    assert [*history.past, *([] if not line else [history.present]), *history.future] == line
