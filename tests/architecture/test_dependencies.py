"""What is installed: the pinned versions, one torch, no torchvision."""

import re
from importlib.metadata import distributions, version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_installed_versions_are_the_pinned_ones():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {"streamlit", "torch", "transformers", "detoxify"} <= set(pins)
    found = {name: version(name).partition("+")[0] for name in pins}  # "+cpu" is torch's build
    assert found == pins


def test_nothing_pulls_in_torchvision():
    names = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower() for d in distributions()}
    assert not names & {"torchvision", "torchaudio"}
