"""What the commands share: common options, settings, json inputs and outputs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from core.errors import BadInput
from core.evaluation import PROTOCOLS
from core.workspace import finite, plain

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder for all Winnow stores (default: WINNOW_WORKSPACE, else workspace/ beside the code).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as json, for machines.")]
ExampleOption = Annotated[
    bool, typer.Option("--print-example", help="Print an example of the json input and stop.", is_eager=True)
]
PoolOption = Annotated[str, typer.Option(help="Name of the pool (replaces the recipe's).")]
MethodOption = Annotated[
    str, typer.Option(help="Repair method whose rows are eligible (replaces the recipe's; default: dpo).")
]
PercentOption = Annotated[
    float | None, typer.Option(help="Budget in percent of the eligible rows (replaces the recipe's).")
]
RowsOption = Annotated[int | None, typer.Option(help="Budget in rows (replaces the recipe's).")]
SETTING = "NAME=VALUE; VALUE is read as json if it can be, else as text"


def show(value: Any, as_json: bool, text: str) -> None:
    """The result on standard output: as strict json (null for what is not finite), or as text."""
    typer.echo(json.dumps(finite(plain(value)), ensure_ascii=False) if as_json else text)


def pairs(given: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise BadInput(f"{option} {item!r} cannot be read; write it as NAME=VALUE")
        pairs[name] = value
    return pairs


def read_settings(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in pairs(given, "--set").items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def read_input(path: Path) -> dict[str, Any]:
    """The json object in the file, or on standard input for "-"."""
    piped = str(path) == "-"
    if not piped and not os.path.isfile(path):
        raise BadInput(
            f"there is no file {path}; give a json file, '-' for standard input, or see --print-example"
        )
    name = "standard input" if piped else str(path)
    try:
        value = json.loads(sys.stdin.buffer.read() if piped else path.read_bytes())
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is json, but no text
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is no json in UTF-8 ({error}); see --print-example") from error
    except OSError as error:
        raise BadInput(f"{name} cannot be read ({error.strerror}); check the file") from error
    if not isinstance(value, dict):
        raise BadInput("the json input must be an object {...}; see --print-example")
    return value


def protocol_of(name: str, numbers: Mapping[str, float | None]) -> dict[str, Any]:
    """The named protocol with the numbers that were given in place of its own."""
    if name not in PROTOCOLS:
        raise BadInput(f"there is no protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name].model_dump() | {k: v for k, v in numbers.items() if v is not None}


def example(value: Any) -> NoReturn:
    typer.echo(json.dumps(plain(value), indent=1))
    raise typer.Exit
