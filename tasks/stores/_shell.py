"""The MLflow model that the ledger registers: a shell round a bundle, models from code, and how one is checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import DataError
from schemas.tables import AS_OF, ASSIGNMENTS, USER_ID
from tasks.stores.sums import folder_files

LOADER = "mlflow.pyfunc.loaders.code_model"
SHELL = {
    "MLmodel", "pyfunc.py", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta",
    "input_example.json", "serving_input_example.json",
}  # fmt: skip
_MAX_MLMODEL = 1_000_000
CODE = Path(__file__).parents[1] / "serving" / "pyfunc.py"


def save_model(place: Path, model: Mapping[str, Path], facts: Mapping[str, str]) -> None:
    """Saves an MLflow model round a bundle: models from code, with signature and input example, without pickle."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    lists = [ColSpec(AnyType(), name, required=False) for name in ("events", "texts", "attributes")]
    types = {"string": DataType.string, "float64": DataType.double, "timestamp": DataType.datetime}
    answer = [
        ColSpec(types.get(column.dtype) or Array(DataType.string), column.name, required=not column.nullable)
        for column in ASSIGNMENTS.columns
    ]
    signature = ModelSignature(
        Schema([ColSpec(DataType.string, USER_ID), *lists]),
        Schema(answer),
        ParamSchema([ParamSpec(AS_OF, DataType.string, "")]),
    )
    mlflow.pyfunc.save_model(
        place,
        python_model=str(CODE),
        artifacts={name: str(path) for name, path in model.items()},
        model_config=dict(facts),
        signature=signature,
        pip_requirements=["fenqun"],
    )


def check_shell(folder: Path, parts: Mapping[str, tuple[str, ...]]) -> None:
    """Refuses a model folder that is not as `save_model` leaves it; nothing in it is run or loaded.

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
    if missing := sorted({"MLmodel", "pyfunc.py"} - found):
        raise DataError(f"{folder}: {missing[0]} is missing; not loaded")
    if (folder / "pyfunc.py").read_bytes() != CODE.read_bytes():
        raise DataError(f"{folder}: pyfunc.py is not the code of this version of fenqun; register the model again")
    _check_mlmodel(folder / "MLmodel", parts)


def _check_mlmodel(path: Path, parts: Mapping[str, tuple[str, ...]]) -> None:
    if path.stat().st_size > _MAX_MLMODEL:
        raise DataError(f"{path}: is too large; not read")
    shell = _flavor(path)
    artifacts = shell.get("artifacts")
    paths = {name: f"artifacts/{name}" for name in parts}
    if shell.get("loader_module") != LOADER or shell.get("code") or shell.get("python_model"):
        raise DataError(f"{path}: names a loader or code of its own; not loaded")
    if Path(str(shell.get("model_code_path"))).name != "pyfunc.py" or shell.get("data"):
        raise DataError(f"{path}: names another code file than pyfunc.py; not loaded")
    told = {k: v.get("path") for k, v in artifacts.items()} if _tables(artifacts) else None
    if told != paths:
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
