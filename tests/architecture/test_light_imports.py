"""Opening a page must not wait for torch: a fresh interpreter imports all pages and lists every plugin."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "sentence_transformers", "umap", "hdbscan", "numba", "detoxify", "datasets"}
PAGES = sorted((ROOT / "pages").glob("*.py"))
LIST_ALL = """
from core import clustering, embedding, labelling, projection, scoring
from core.repair import METHODS
from core.selection import STRATEGIES
stages = (clustering.METHODS, embedding.ENCODERS, labelling.LABELLERS, projection.METHODS, scoring.SCORES)
for table in (*stages, METHODS, STRATEGIES):
    [table[name] for name in table]
"""


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"import sys\n{code}\nprint('LOADED', *{{name.split('.')[0] for name in sys.modules}})"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(shown.stdout.split("LOADED")[1].split())


def test_no_page_imports_anything_heavy():
    lines = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    imports = {line for line in lines if line.startswith(("import ", "from ")) and "__future__" not in line}
    assert len(PAGES) >= 6 and any("from ui" in line for line in imports)
    assert not HEAVY & loaded_by("\n".join(sorted(imports)) + "\nfrom ui import jobs_view, sidebar")


def test_listing_every_plugin_loads_nothing_heavy():
    assert not HEAVY & loaded_by(LIST_ALL)


def test_core_never_loads_streamlit():
    assert "streamlit" not in loaded_by(
        LIST_ALL + "import core.pipeline, core.jobs, core.pool, core.evaluation"
    )
