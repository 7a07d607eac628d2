"""Reads decoder.json, which stands in a model's folder and says how its text is decoded; needs no torch."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from core.errors import BadModel, StorageError
from core.values import Asked
from core.workspace import read_json

DECODER = "decoder.json"


class DExpertsFile(Asked):
    """Settings of DExperts; expert and anti are folders beside the file, "" = the model itself stands in."""

    kind: Literal["dexperts"] = "dexperts"
    alpha: float = Field(2.0, ge=0)
    top_p: float = Field(0.9, gt=0, le=1)
    expert: str = ""
    anti: str = ""

    @field_validator("expert", "anti")
    @classmethod
    def _inside(cls, name: str) -> str:
        if name and (_leads_away(name) or not PurePosixPath(name).parts):
            raise ValueError(f"{name!r} is no folder below the model's own")
        return name

    @model_validator(mode="after")
    def _any(self) -> DExpertsFile:
        if not (self.expert or self.anti):
            raise ValueError("it names neither an expert nor an anti-expert, so it would change nothing")
        return self

    @property
    def sides(self) -> tuple[str, ...]:
        """The side models' folders."""
        return tuple(dict.fromkeys(name for name in (self.expert, self.anti) if name))


class RADFile(Asked):
    """Settings of reward-augmented decoding; `scorer` is a name as a person gives it, "" = the default."""

    kind: Literal["rad"] = "rad"
    beta: float = Field(30.0, ge=0)
    k: int = Field(20, ge=1)
    inverse: bool = True
    scorer: str = ""

    @field_validator("scorer")
    @classmethod
    def _plain(cls, name: str) -> str:
        if ".." in PureWindowsPath(name).parts:
            raise ValueError(f"{name!r} leads out of its folder by '..'")
        return name

    @property
    def sides(self) -> tuple[str, ...]:
        """None: the scorer is found, and named, by those who attach it."""
        return ()


DecoderFile = DExpertsFile | RADFile
_ANY: TypeAdapter[DecoderFile] = TypeAdapter(Annotated[DecoderFile, Field(discriminator="kind")])


def read_decoder(folder: Path) -> DecoderFile | None:
    """What FOLDER/decoder.json says, None where there is none; BadModel where it cannot be used."""
    path = folder / DECODER
    if not path.is_file():
        return None
    try:
        return _ANY.validate_python(read_json(path))
    except StorageError as error:
        raise BadModel(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("dexperts", "rad"))
        said = first["msg"].removeprefix("Value error, ")
        raise BadModel(
            f"{path} cannot be used ({f'{where}: ' if where else ''}{said}); repair again with method "
            "'dexperts' or 'rad', or correct the file"
        ) from error


def side_folder(folder: Path, name: str) -> Path:
    """The folder of a side model; BadModel where it is missing or lies, by a link, outside `folder`."""
    place, own = (folder / name).resolve(), folder.resolve()
    if place == own or not place.is_relative_to(own):
        raise BadModel(f"{folder / DECODER} names {name!r}, which lies outside its folder; repair again")
    if not place.is_dir():
        raise BadModel(
            f"{folder / DECODER} names the side model {name!r}, which is not there; restore it or "
            "repair again"
        )
    return folder / name


def _leads_away(name: str) -> bool:
    """Whether the name is absolute or climbs, on any system."""
    return any(kind(name).anchor or ".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath))
