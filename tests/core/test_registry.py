"""The registry: names are files, and a wrong name gets a hint."""

import sys

import pytest

from core.errors import UnknownName
from core.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "toys"
    for name in [m for m in sys.modules if m.startswith("toys")]:
        del sys.modules[name]


def test_a_wrong_name_gets_the_nearest_one(package):
    (package / "ball.py").write_text("")
    registry = Registry("toy", "toys")
    registry.add("toys.ball", 1)
    assert registry["ball"] == 1
    assert list(registry) == ["ball"]
    with pytest.raises(UnknownName, match="no toy named 'bal'; did you mean 'ball'"):
        registry["bal"]
    with pytest.raises(UnknownName, match="known: ball"):
        registry["zzz"]


def test_two_plugins_of_one_name_are_refused(package):
    registry = Registry("toy", "toys")
    registry.add("toys.ball", 1)
    with pytest.raises(ValueError, match="registered twice"):
        registry.add("other.ball", 2)


def test_a_plugin_that_cannot_be_imported_is_named_each_time(package):
    (package / "broken.py").write_text("raise ImportError('no such wheel')")
    registry = Registry("toy", "toys")
    for _ in range(2):
        with pytest.raises(ImportError, match="no such wheel"):
            list(registry)
