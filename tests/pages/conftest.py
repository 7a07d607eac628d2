"""Opening one page as Streamlit would, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def opened():
    """Opens a page by its name on a workspace and runs it."""

    def run(page, ws, **state):
        at = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=30)
        at.session_state["workspace"] = ws
        for name, value in state.items():
            at.session_state[name] = value
        return at.run()

    return run
