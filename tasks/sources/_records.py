"""Fields of records as columns of their own, by a path such as `properties.user_id`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

FIELD = "."


def field_of(value: Any, path: str) -> Any:
    """What a record holds under a path; of a list of records, the list of what they hold; None where there is none."""
    for at, name in enumerate(names := path.split(FIELD)):
        if isinstance(value, list):
            return [field_of(one, FIELD.join(names[at:])) for one in value]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def resolves(schema: "pa.Schema", path: str) -> bool:
    """Whether a schema has a field of this path, through records and lists of them."""
    import pyarrow as pa

    kind: Any = pa.struct(list(schema))
    for name in path.split(FIELD):
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return False
        kind = kind.field(name).type
    return True


def with_fields(batch: "pa.RecordBatch", wanted: list[str]) -> "pa.RecordBatch":
    """The wanted columns of a batch, those that are paths taken out of their records."""
    import pyarrow as pa

    if set(wanted) <= set(batch.schema.names):
        return batch
    columns = (batch[name] if name in batch.schema.names else _taken(batch, name) for name in wanted)
    return pa.RecordBatch.from_arrays(list(columns), names=wanted)


def _taken(batch: "pa.RecordBatch", path: str) -> "pa.Array":
    """The column of a path."""
    import pyarrow as pa
    from pyarrow import compute

    name, rest = path.split(FIELD, 1)
    array = batch[name]
    while pa.types.is_struct(array.type):
        name, _, rest = rest.partition(FIELD)
        array = compute.struct_field(array, name)
        if not rest:
            return array
    return pa.array([field_of(one, rest) for one in array.to_pylist()])


def told(batch: "pa.RecordBatch") -> str:
    """Which column of a batch holds records, in which a missing column may be."""
    import pyarrow as pa

    for field in batch.schema:
        kind = field.type
        many = pa.types.is_list(kind)
        kind = kind.value_type if many else kind
        if pa.types.is_struct(kind):
            names = [one.name for one in list(kind)[:8]]
            if many:
                return (
                    f"; {field.name!r} holds lists of records of {', '.join(names)}: make a row of each in the export"
                )
            return f"; {field.name!r} holds records of {', '.join(names)}: name one as {field.name}{FIELD}{names[0]}"
    return ""
