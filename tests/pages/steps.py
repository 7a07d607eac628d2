"""What tests of the Selection page do and read again and again."""

from core import pipeline
from core.pool import load_pool

METHOD = "dpo"


def pool_of(ws):
    return load_pool(ws, "small")


def eligible_ids(ws):
    pool = pool_of(ws)
    return [pool.ids[r] for r in pipeline.eligibility(pool, METHOD).rows]


def chosen(at):
    return at.session_state["choice"]


def words(at):
    """All sentences of the page."""
    parts = [*at.markdown, *at.caption, *at.warning, *at.error, *at.info, *at.success]
    return " ".join(str(p.value) for p in parts).replace("\\", "")


def healthy(at):
    assert not at.exception, at.exception
    return at


def view(at, name):
    return healthy(at.segmented_control(key="selection.view").set_value(name).run())


def add(at, strategy):
    at.selectbox(key="strategy").set_value(strategy).run()
    return healthy(at.button(key="selection.add").click().run())
