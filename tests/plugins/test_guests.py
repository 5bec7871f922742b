"""A plugin is one file: those of CONTRIBUTING.md keep every contract, here and from another package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import UsageError
from tasks.plugins import contracts, find

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (tasks/\S+\.py)\n(.*?)```", TEXT, re.DOTALL))
KINDS = {Path(path).stem for path in EXAMPLES}


def passed(place, path):
    """Runs the contracts' tests that speak of the examples, with the plugins that are found from `path`."""
    options = ["-p", "no:cacheprovider", "tests/contracts", "-k", " or ".join(KINDS)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=place, capture_output=True, text=True, timeout=600, check=False,
        env={"PYTHONPATH": path, "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return int(re.search(r"(\d+) passed", done.stdout)[1])


@pytest.mark.slow
def test_each_is_one_file_in_its_folder(tmp_path):
    for name in ("schemas", "expectations", "tasks", "flows", "tests", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for path, text in EXAMPLES.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert passed(tmp_path, str(tmp_path)) > 40


@pytest.mark.slow
def test_each_may_live_in_another_package(tmp_path):
    guests, facts = tmp_path / "guests", tmp_path / "guests-1.0.dist-info"
    guests.mkdir()
    facts.mkdir()
    (guests / "__init__.py").touch()
    points = []
    for path, text in EXAMPLES.items():
        _, family, file = path.split("/")
        (guests / file).write_text(text, encoding="utf-8")
        points.append(f"[fenqun.{family}]\n{Path(file).stem} = guests.{Path(file).stem}\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: guests\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("".join(points))
    assert passed(ROOT, f"{ROOT}:{tmp_path}") > 40


def test_there_is_an_example_of_every_kind_of_plugin():
    assert {path.split("/")[1] for path in EXAMPLES} == set(contracts.MUST)


@pytest.mark.parametrize("family", contracts.MUST)
def test_every_plugin_here_offers_what_it_must_and_nothing_public_that_no_contract_knows(family):
    for kind in find.kinds(family):
        assert contracts.lacking(family, kind, find.plugin(family, kind)) == []


def test_a_module_that_lacks_something_is_refused_by_its_name(tmp_path, monkeypatch):
    text = "from schemas.config import Section\nclass Config(Section):\n    kind: str = 'whole'\n"
    (tmp_path / "half.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(find, "modules", lambda family: {"half": "half"})
    with pytest.raises(UsageError, match=r"half: a clusterers .* offer fit, from_arrays, Config.kind = 'half'"):
        find.plugin.__wrapped__("clusterers", "half")


def test_what_may_be_offered_is_asked_for_by_a_name_that_the_contract_knows():
    tables, films = find.plugin("sources", "tables"), find.plugin("sources", "movielens_100k")
    assert contracts.offers("sources", tables, "INCREMENTAL")
    assert not contracts.offers("sources", films, "grown")
    with pytest.raises(AssertionError, match="shrunk"):
        contracts.offers("sources", films, "shrunk")
