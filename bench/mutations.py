"""Whether the tests notice: every sort of every selection strategy is reversed once, and tests must go red.

`python -m bench.mutations [--only NAME ...]`. One mutant per call that sorts or picks an extreme (argsort,
lexsort, argmax, argmin, argpartition, sorted, max, min) in a strategy's file, in a copy of the project; the
strategy's tests run on it. A mutant that survives is a claim no test makes, or a sort whose direction does
not matter.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = Path("core/selection/strategies")
TESTS = Path("tests/core/selection/strategies")
SWAPPED = {"argmax": "argmin", "argmin": "argmax", "max": "min", "min": "max"}
KEYED = ("argsort", "argpartition", "sort", "sorted", "lexsort")


def sorts(tree: ast.Module) -> list[ast.Call]:
    """Every call that sorts or picks an extreme, in the order of the file."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n) in (*SWAPPED, *KEYED)]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, what was reversed, the mutated source), one per sort."""
    tree = ast.parse(source)
    for place in range(len(sorts(tree))):
        changed = copy.deepcopy(tree)
        call = sorts(changed)[place]
        shown = ast.unparse(call)
        if reverse(call):
            yield call.lineno, shown, ast.unparse(ast.fix_missing_locations(changed))


def reverse(call: ast.Call) -> bool:
    """Turn the call's order round; False where there is nothing to turn."""
    name, func = _name(call), call.func
    if name in SWAPPED and isinstance(func, ast.Attribute):
        func.attr = SWAPPED[name]
        return True
    if name in SWAPPED and isinstance(func, ast.Name) and (len(call.args) == 1 or call.keywords):
        func.id = SWAPPED[name]
        return True
    if name == "sorted":
        call.keywords.append(ast.keyword("reverse", ast.Constant(True)))
        return not any(k.arg == "reverse" for k in call.keywords[:-1])
    if name == "lexsort" and isinstance(call.args[0], ast.Tuple):
        keys = call.args[0].elts
        keys[-1] = ast.UnaryOp(
            ast.USub(), ast.BinOp(ast.Constant(1), ast.Mult(), keys[-1])
        )  # 1 *: a bool may be a key
        return True
    if name in ("argsort", "argpartition") and isinstance(func, ast.Attribute):
        on_module = isinstance(func.value, ast.Name) and func.value.id == "np"
        if on_module:
            call.args[0] = ast.UnaryOp(ast.USub(), call.args[0])
        else:
            func.value = ast.UnaryOp(ast.USub(), func.value)
        return True
    return False


def run(folder: Path, name: str) -> tuple[bool, float]:
    """(whether the strategy's tests go red, seconds)."""
    started = time.perf_counter()
    tests = [
        str(TESTS / f"test_{name}.py"),
        "tests/core/selection/test_contract.py",
        "-k",
        f"{name} or test_{name}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        capture_output=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    return done.returncode not in (0, 5), time.perf_counter() - started


def main() -> int:
    """Print one line per mutant; the exit code is 1 where a strategy has a survivor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="strategies; default: all")
    asked = parser.parse_args()
    names = asked.only or sorted(p.stem for p in (ROOT / STRATEGIES).glob("[!_]*.py"))
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "winnow"
        folder.mkdir()
        for part in ("core", "tests", "pyproject.toml"):
            source = ROOT / part
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignore) if source.is_dir() else shutil.copy(
                source, folder
            )
        (folder / "assets").symlink_to(ROOT / "assets")
        for name in names:
            path = folder / STRATEGIES / f"{name}.py"
            source_text = path.read_text()
            for line, what, text in mutants(source_text):
                path.write_text(text)
                red, seconds = run(folder, name)
                survivors += not red
                print(
                    f"{name:26}{line:5}  {'red' if red else 'SURVIVED':10}{seconds:5.1f} s  {what[:70]}",
                    flush=True,
                )
            path.write_text(source_text)
    print(f"{survivors} mutants survived")
    return int(survivors > 0)


if __name__ == "__main__":
    raise SystemExit(main())
