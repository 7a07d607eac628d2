"""Uploads and typed paths: names made harmless, nothing read outside the allowed folders."""

from pathlib import Path

import pytest

from core.errors import BadInput
from core.workspace import Workspace
from ui import imports


@pytest.fixture
def ws(tmp_path):
    """An empty workspace."""
    return Workspace.open(tmp_path / "ws", None)


@pytest.mark.parametrize("name", ["../../etc/x.csv", "a b?.csv", ".hidden.csv", "x" * 200 + ".csv"])
def test_an_upload_keeps_its_type_but_cannot_choose_its_place(name, ws):
    path = Path(imports.keep_upload(ws, name, b"prompt\nhello\n"))
    assert path.is_relative_to(ws.root) and path.suffix == ".csv" and path.read_bytes() == b"prompt\nhello\n"


def test_the_same_bytes_are_stored_once(ws):
    assert imports.keep_upload(ws, "a.csv", b"x") == imports.keep_upload(ws, "a.csv", b"x")
    assert imports.keep_upload(ws, "a.csv", b"x") != imports.keep_upload(ws, "a.csv", b"y")


def test_a_path_outside_the_allowed_folders_is_refused_until_its_folder_is_named(ws, monkeypatch):
    with pytest.raises(BadInput, match="outside the folders"):
        imports.check_path(ws, "/etc/hostname")
    monkeypatch.setenv(imports.ROOTS_VARIABLE, "/etc")
    assert imports.check_path(ws, "/etc/hostname") == "/etc/hostname"


def test_a_link_out_of_an_allowed_folder_is_refused(ws):
    link = ws.root / "innocent.csv"
    link.symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="outside the folders"):
        imports.check_path(ws, str(link))


def test_a_data_set_name_is_no_path_and_passes(ws):
    assert imports.check_path(ws, "someone/data-set") == "someone/data-set"
    assert imports.suggested_name("someone/data-set.v2") == "data-set"
