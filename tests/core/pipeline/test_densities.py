"""A model's error density is measured once, on train rows with a bad text, and kept with what made it."""

import pytest

from core.errors import MissingInput
from core.pipeline.densities import (
    DensitySpec,
    density_key,
    density_text,
    find_density,
    measure_density,
)
from core.repair.density import DensityParams
from core.values import Silent

SPEC = DensitySpec(pool="demo", params=DensityParams(rows=6), device="cpu")


class Counting(Silent):
    def __init__(self):
        self.done = 0

    def progress(self, done, total, what):
        self.done += 1


def test_it_is_measured_once_and_read_afterwards(demo):
    assert find_density(demo, SPEC) is None
    first, again = Counting(), Counting()
    found = measure_density(demo, SPEC, first)
    assert measure_density(demo, SPEC, again) == found == find_density(demo, SPEC)
    assert first.done > 0 == again.done
    assert found.rows == 6 and len(found.blocks) == len(found.of_mean) == 6
    assert all(b.low <= b.value <= b.high and b.n == 6 for b in found.blocks)
    assert not demo.path("partial", "densities", density_key(demo, SPEC)).exists()
    assert "top fifth (block" in density_text(found)


def test_other_rows_and_other_models_have_other_keys(demo):
    keys = {density_key(demo, SPEC)}
    keys.add(density_key(demo, SPEC.model_copy(update={"params": DensityParams(rows=7)})))
    keys.add(density_key(demo, SPEC.model_copy(update={"pool": "demo-behaviours"})))
    assert len(keys) == 3
    assert density_key(demo, SPEC.model_copy(update={"model": "demo"})) in keys, "the default, named"


def test_a_pool_without_bad_train_texts_is_a_sentence(demo):
    with pytest.raises(MissingInput, match="no train row of pool 'demo-normal' has a rejected text"):
        measure_density(demo, SPEC.model_copy(update={"pool": "demo-normal"}))


def test_a_killed_measurement_goes_on(demo):
    whole = measure_density(demo, SPEC)
    demo.path("densities", f"{density_key(demo, SPEC)}.json").unlink()

    class Killed(Silent):
        def progress(self, done, total, what):
            if "gradient is measured" in what and done == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_density(demo, SPEC, Killed())
    assert demo.path("partial", "densities", density_key(demo, SPEC)).is_dir()
    again = measure_density(demo, SPEC)
    assert again.blocks == whole.blocks
