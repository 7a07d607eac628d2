"""A fresh workspace over the shipped demo, and a workspace of its own with a tiny pool."""

import pytest

from core.workspace import Workspace
from core.workspace.store import SHIPPED


@pytest.fixture
def demo(tmp_path):
    assert SHIPPED.is_dir(), "the demo's artefacts are part of the project: python -m core demo build"
    return Workspace.open(tmp_path / "ws")
