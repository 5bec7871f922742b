"""The plan of the house, held by tests: who imports whom, how long a flow and a verb are, what importing does."""

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FLOWS = sorted((ROOT / "flows").glob("*.py"))
VERBS = sorted(path for path in (ROOT / "tasks").glob("*.py") if not path.name.startswith("_"))


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def decorated(node: ast.FunctionDef, name: str) -> bool:
    heads = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(head, ast.Name) and head.id == name for head in heads)


def body_lines(node: ast.FunctionDef) -> int:
    statements = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return statements[-1].end_lineno - statements[0].lineno + 1


def test_import_rules_hold():
    """import-linter, run for real: .importlinter says which room may import which."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_flow_reads_as_a_table_of_contents():
    flows = [node for path in FLOWS for node in functions(path) if decorated(node, "flow")]
    assert flows
    assert {node.name: body_lines(node) for node in flows if body_lines(node) > 40} == {}


@pytest.mark.parametrize("path", VERBS, ids=lambda path: path.stem)
def test_verbs_are_short_and_wear_task(path: Path):
    verbs = [node for node in functions(path) if decorated(node, "task")]
    made = re.findall(r"^\w+ = task\(.*\)\([\w.]+\)$", path.read_text(), flags=re.M)
    assert verbs or made, f"{path.name} holds no task"
    assert {node.name: body_lines(node) for node in verbs if body_lines(node) > 15} == {}


def test_importing_makes_nothing_and_starts_nothing(tmp_path: Path):
    """All rooms but flows in a fresh process: no heavy library, no file, no thread."""
    code = """
import pathlib, sys, threading
root = pathlib.Path(sys.argv[1])
names = [".".join(p.relative_to(root).with_suffix("").parts) for part in ("schemas", "expectations", "tasks")
         for p in sorted((root / part).rglob("*.py"))
         if p.parent != root / "tasks" and p.name not in ("__init__.py", "pyfunc.py")]
import importlib
for name in names:
    importlib.import_module(name)
heavy = {"prefect", "mlflow", "torch", "transformers", "great_expectations", "sklearn", "dask", "matplotlib"}
heavy &= set(sys.modules)
assert not heavy, heavy
assert threading.active_count() == 1
assert not list(pathlib.Path(".").iterdir())
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def locked() -> dict[str, str]:
    lines = (ROOT / "deployments" / "requirements.lock").read_text().splitlines()
    return dict(line.partition(";")[0].strip().split("==") for line in lines if "==" in line.partition("#")[0])


def test_the_lock_keeps_the_pins_that_keeps_prefect_alive():
    """fastapi from 0.155 on stops Prefect's server, sqlalchemy 2.1 its cron schedules; `pip check` sees neither."""
    lock = locked()
    assert tuple(map(int, lock["fastapi"].split(".")[:2])) < (0, 151)
    assert tuple(map(int, lock["SQLAlchemy"].split(".")[:2])) < (2, 1)
    assert lock["torch"] == "2.13.0"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_is_whole_for_every_python_that_is_supported(python):
    """It was frozen on one of them; what a package needs on another stands in it too, with its marker."""
    names = {canonicalize_name(name) for name in locked()}
    here = {"python_version": python, "python_full_version": f"{python}.4", "extra": ""}
    missing = []
    for name in names - {"torch"}:  # installed first, with whatever its build for this machine needs
        try:
            wanted = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # needed by another Python only
            continue
        missing += [
            f"{name} needs {one}"
            for one in wanted
            if (one.marker is None or one.marker.evaluate(here)) and canonicalize_name(one.name) not in names
        ]
    assert not missing


TESTS = ROOT / "tests"
KINDS = {"behaviour", "benchmarks", "browser", "contracts", "flows", "truth"}  # of tests; the others are rooms
"""Folders of tests whose subject is more than one room."""


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it; `from tests.x import y` may mean the module tests.x.y."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            found |= {f"{base}.{name.name}" for name in node.names}
    return found


def test_tests_import_of_tests_the_helpers_alone():
    """What two test modules need stands in tests/helpers; benchmarks share their own."""
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in TESTS.rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] == "tests"
        and name.split(".")[1:2] != ["helpers"]
        and not (path.parent.name == "benchmarks" and name.startswith("tests.benchmarks._"))
    }
    assert wrong == set()


def test_folders_of_tests_are_those_of_the_house():
    rooms = {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")} | {"expectations", "schemas", "docs"}
    folders = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/*.py")}
    assert folders - rooms - KINDS == {"helpers"}
