"""How the MLflow model that the ledger registers, a shell round a bundle, is checked before anything is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import DataError
from tasks.disk.files import sum_of
from tasks.disk.sums import folder_files

MLMODEL = "MLmodel"
"""What MLflow reads a model's signature and its parts from."""
LOADER = "mlflow.pyfunc.loaders.code_model"
SHELL = {
    MLMODEL,
    "pyfunc.py",
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "registered_model_meta",
    "input_example.json",
    "serving_input_example.json",
}
_MAX_MLMODEL = 1_000_000
CODE = Path(__file__).parents[1] / "serving" / "pyfunc.py"
WRITTEN = frozenset(
    {
        "2288bd83a39d09adcb64131bb2bb25e1998bc180ad1e03aed78e449d59e0d529",
        "288227834fcee444ad41ff2dd39c79f7dc1eae333c93b435c96013e190589941",
        "996e872adcd446424201e03571b145ec6575ac6ba846fe44c2046ec0c8bc07ae",
        "8d83e5c7d49276ed9d78b8a8014f38ae92375993a402ade81c791fa8b383213e",
        "97a6634593e8ff0e796499c6a9fd737edf84951a48209edcbb2341ef0e9824d2",
    }
)
"""sha256 (hex) of every pyfunc.py that models were registered with, oldest first. It asks `serving.online` alone, so
that a model of an earlier version goes on; whoever changes it adds its sum."""


def check_shell(folder: Path, parts: Mapping[str, tuple[str, ...]]) -> None:
    """Refuses a model folder that is not as the ledger leaves it; nothing in it is run or loaded.

    Args:
        folder: The model folder.
        parts: Artifact name -> the files that may lie in it.

    Raises:
        DataError: links, files that do not belong there, a loader of its own, other code, or paths that lead out.
    """
    allowed = SHELL | {f"artifacts/{name}/{file}" for name, files in parts.items() for file in files}
    found = {path.relative_to(folder).as_posix() for path in folder_files(folder)}
    if extra := sorted(found - allowed):
        raise DataError(f"{folder}: {extra[0][:120]!r} does not belong to a model of fenqun; not loaded")
    if missing := sorted({MLMODEL, "pyfunc.py"} - found):
        raise DataError(f"{folder}: {missing[0]} is missing; not loaded")
    if sum_of(folder / "pyfunc.py") not in WRITTEN:
        raise DataError(f"{folder}: pyfunc.py is not the code of any version of fenqun; register the model again")
    _check_mlmodel(folder / MLMODEL, parts)


def _check_mlmodel(path: Path, parts: Mapping[str, tuple[str, ...]]) -> None:
    if path.stat().st_size > _MAX_MLMODEL:
        raise DataError(f"{path}: is too large; not read")
    shell = _flavor(path)
    artifacts: Any = shell.get("artifacts")
    paths = {name: f"artifacts/{name}" for name in parts}
    if shell.get("loader_module") != LOADER or shell.get("code") or shell.get("python_model"):
        raise DataError(f"{path}: names a loader or code of its own; not loaded")
    if Path(str(shell.get("model_code_path"))).name != "pyfunc.py" or shell.get("data"):
        raise DataError(f"{path}: names another code file than pyfunc.py; not loaded")
    if not _tables(artifacts) or {name: entry.get("path") for name, entry in artifacts.items()} != paths:
        raise DataError(f"{path}: its artifacts are not {', '.join(paths.values())}; not loaded")


def _tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _flavor(path: Path) -> dict[str, Any]:
    import yaml

    try:
        facts = yaml.safe_load(path.read_bytes())
        flavors = facts["flavors"]
        if set(flavors) != {"python_function"}:
            raise KeyError("flavors")
        return dict(flavors["python_function"])
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is not as fenqun writes it ({type(error).__name__}); not loaded") from error
