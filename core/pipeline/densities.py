"""Error density of a model: which blocks the bad texts of a pool point at, measured once and kept."""

from __future__ import annotations

import shutil
import time

from pydantic import Field

from core.errors import MissingInput
from core.pipeline.evaluations import open_model, versions
from core.pipeline.names import default_model, identity, resolve_model
from core.pool import eligible, load_pool
from core.repair.density import DensityParams, block_sensitivities
from core.statistics import bootstrap_mean
from core.values import Asked, Frozen, Measure, Pool, Reporter, Silent, examples
from core.workspace import Workspace, content_key, read_as, write_json

VERSION = 1  # raised when the same inputs would give other numbers
UNIT = "gradient norm"


class DensitySpec(Asked):
    """Whose blocks are measured, and with which bad texts."""

    pool: str
    model: str = Field("", description="Model to look into; empty = the pool's default.")
    params: DensityParams = DensityParams()
    device: str = "auto"


class BlockDensity(Frozen):
    """What was measured, block by block in order of depth, and with what."""

    model: str
    model_hash: str
    pool: str
    pool_fingerprint: str
    split_hash: str
    params: DensityParams
    rows: int  # bad texts measured
    blocks: tuple[Measure, ...]  # mean over texts of each text's gradient norm, with its interval
    of_mean: tuple[float, ...]  # norm of the averaged gradient
    seconds: float
    versions: dict[str, str]


def density_key(ws: Workspace, spec: DensitySpec) -> str:
    """Where it is stored: a hash of all that could change a number."""
    pool = load_pool(ws, spec.pool)
    return content_key(
        {
            "model": identity(ws, resolve_model(ws, spec.model or default_model(ws, spec.pool))),
            "pool": (pool.fingerprint, pool.split_hash),
            "params": spec.params,
            "version": VERSION,
        }
    )


def find_density(ws: Workspace, spec: DensitySpec) -> BlockDensity | None:
    """The stored measurement, or None; looks, never computes."""
    path = ws.find("densities", f"{density_key(ws, spec)}.json")
    return None if path is None else read_as(BlockDensity, path)


def measure_density(ws: Workspace, spec: DensitySpec, reporter: Reporter | None = None) -> BlockDensity:
    """Measure, or read what was measured before; a killed measurement goes on where it was.

    Raises MissingInput where no train row has a rejected text.
    """
    key = density_key(ws, spec)
    with ws.lock(f"density-{key}", timeout=24 * 3600):
        if (stored := find_density(ws, spec)) is not None:
            return stored
        scratch = ws.path("partial", "densities", key)
        found = _measure(ws, load_pool(ws, spec.pool), spec, key, reporter or Silent())
        write_json(ws.path("densities", f"{key}.json"), found)
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _measure(ws: Workspace, pool: Pool, spec: DensitySpec, key: str, reporter: Reporter) -> BlockDensity:
    started = time.perf_counter()
    rows = eligible(pool, ("rejected",)).rows
    if not len(rows):
        raise MissingInput(
            f"no train row of pool {pool.name!r} has a rejected text, whose gradient would be measured; "
            "take a pool of pairs"
        )
    model = spec.model or default_model(ws, spec.pool)
    lm = open_model(resolve_model(ws, model), spec.device)
    scratch = ws.path("partial", "densities", key)
    done = block_sensitivities(lm, examples(pool, rows), spec.params, reporter, folder=scratch)
    blocks = []
    for column in done.each.T:
        value, low, high = bootstrap_mean(column)
        blocks.append(Measure(value=value, low=low, high=high, n=len(column), unit=UNIT))
    return BlockDensity(
        model=model,
        model_hash=lm.hash,
        pool=pool.name,
        pool_fingerprint=pool.fingerprint,
        split_hash=pool.split_hash,
        params=spec.params,
        rows=len(done.each),
        blocks=tuple(blocks),
        of_mean=tuple(float(v) for v in done.of_mean),
        seconds=round(time.perf_counter() - started, 2),
        versions=versions(),
    )


def density_text(found: BlockDensity) -> str:
    """The measurement as a table of plain text, and the three numbers that sum it up."""
    from core.repair.density import density, relative

    means = [block.value or 0.0 for block in found.blocks]
    summed = density(means)
    lines = [
        f"{found.model} on {found.rows:,} bad texts of {found.pool}",
        "block  relative %  mean norm [95 %]",
    ]
    lines += [
        f"{number:5}  {share:10.1f}  {m.value:.4g} [{m.low:.4g}, {m.high:.4g}]"
        for number, (share, m) in enumerate(zip(relative(means), found.blocks, strict=True))
    ]
    lines.append(
        f"top fifth ({', '.join(f'block {b}' for b in summed.blocks)}): {summed.top:.1f} against "
        f"{summed.rest:.1f} elsewhere, {summed.percent:+.1f} %; the second is {summed.margin:.1f} % behind"
    )
    return "\n".join(lines)
