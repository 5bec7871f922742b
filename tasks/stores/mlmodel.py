"""A bundle as an MLflow model: the shell that `shell` checks."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.recommended import LISTS, WHY
from schemas.tables import AS_OF, ASSIGNMENTS, ITEM_ID, REASON, SCORE, SEGMENT_ID, WEIGHT
from tasks.stores.shell import CODE, MLMODEL

if TYPE_CHECKING:
    from mlflow.types.schema import Schema

RECOMMEND = "recommend"
"""The parameter of a request that asks for items."""


def save_model(place: Path, model: Mapping[str, Path], facts: Mapping[str, str], example: Mapping[str, Any]) -> None:
    """Saves an MLflow model round a bundle: models from code, with signature and input example, without pickle.

    The signature names no inputs, for MLflow would drop what those do not name before the model could refuse it; the
    example shows them, and the model checks them itself.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import DataType, ParamSchema, ParamSpec

    params = ParamSchema([ParamSpec(AS_OF, DataType.string, ""), ParamSpec(RECOMMEND, DataType.long, 0)])
    mlflow.pyfunc.save_model(
        place,
        python_model=str(CODE),
        artifacts={name: str(path) for name, path in model.items()},
        model_config=dict(facts),
        pip_requirements=["fenqun"],
        input_example=pd.DataFrame([example]),
        signature=ModelSignature(None, _answer(), params),
    )
    (place / CODE.name).chmod((place / MLMODEL).stat().st_mode)  # copied with the mode of the installed file


def _answer() -> "Schema":
    """Columns of an answer: those of an assignment, and of what is recommended where a request asks for items."""
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    text, number = DataType.string, DataType.double
    soft = Array(Object([Property(SEGMENT_ID, text), Property(WEIGHT, number)]))
    types: dict[str, Any] = {
        "string": text,
        "float64": number,
        "timestamp": DataType.datetime,
        "list<membership>": soft,
    }
    item = Object([Property(ITEM_ID, text), Property(SCORE, number), Property(REASON, text, required=False)])
    columns: list[Any] = [
        ColSpec(types.get(column.dtype) or Array(text), column.name, required=not column.nullable)
        for column in ASSIGNMENTS.columns
    ]
    return Schema([*columns, ColSpec(Array(item), LISTS, required=False), ColSpec(text, WHY, required=False)])
