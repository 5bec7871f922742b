"""The fitted bundle: everything that turns a raw user into a segment, as facts and arrays, never as code."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.artifacts import State
from schemas.errors import DataError
from schemas.reports import Report
from tasks.segments import _format
from tasks.segments._migrations import CURRENT, migrate

TEXT_BLOCK = "text"
REPRESENTATION = "representation"
CLUSTERER = "clusterer"
CALIBRATION = "calibration"
REASONS = "reasons"
LADDER = "ladder"
TEXTS = "texts"
TUNED = "tuned"
FILES = _format.FILES
"""What a bundle consists of: arrays, facts and their sums."""
_FEATURES = "features."
_SEPARATOR = "/"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def family_state(family: str) -> str:
    """Key of a feature family's state in `Bundle.states`."""
    return f"{_FEATURES}{family}"


class Family(Report):
    """One feature family: its plugin, its config, and the columns it gives in order."""

    family: Name
    config: dict[str, Any] = Field(description="the plugin's Config, as JSON")
    columns: tuple[str, ...] = Field(description="columns of the block, in order; the representation counts on it")


class Encoder(Report):
    """Which language model reads the texts."""

    kind: Name
    config: dict[str, Any] = Field(description="the plugin's Config, as JSON")
    fingerprint: str = Field(description="what the encoder itself calls its fingerprint")
    weights_sha256: Sha256 | None = Field(None, description="sha256 of the weights; none where there are none")
    dimension: int = Field(ge=1, description="length of a text's vector")
    tuned_sha256: Sha256 | None = Field(None, description="sum of the weights that were tuned; none: it is frozen")


class Plugin(Report):
    """A plugin and its config."""

    kind: Name
    config: dict[str, Any] = Field(description="the plugin's Config, as JSON")


class Segment(Report):
    """One segment, in the order of the clusterer's labels."""

    id: str = Field(pattern=r"^s[0-9]{3,}$", description="stable id, never reused")
    name: str = Field(max_length=200)
    cites: tuple[str, ...] | None = Field(None, description="claims that the name was made of; None: a person's name")


class Manifest(Report):
    """The facts of a bundle."""

    schema_version: Literal[2] = 2
    segmentation: str = Field(min_length=1, max_length=200, description="name of the segmentation")
    space: Literal["cosine", "euclidean"] = Field(description="the space of distances and centroids")
    dimension: int = Field(ge=1, description="length of a user's vector")
    as_of: datetime = Field(description="UTC moment of the data it was fitted on")
    code_version: str = Field(description="sha256 of the sources that fitted it")
    families: tuple[Family, ...] = ()
    texts: dict[str, Any] | None = Field(None, description="TextsConfig; none: the segmentation reads no texts")
    encoder: Encoder | None = None
    represent: dict[str, Any] = Field(description="RepresentConfig")
    clusterer: Plugin
    calibration: dict[str, Any] = Field(description="CalibrationConfig")
    segments: tuple[Segment, ...] = Field(min_length=1)
    next_number: int = Field(ge=1, description="first number never used in a segment id")

    @field_validator("as_of")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("as_of needs a time zone")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        ids = [segment.id for segment in self.segments]
        families = [family.family for family in self.families]
        if len(set(ids)) != len(ids) or len(set(families)) != len(families):
            raise ValueError("a segment id or a feature family stands twice")
        if TEXT_BLOCK in families:
            raise ValueError(f"no feature family may be called {TEXT_BLOCK}")
        if (self.texts is None) != (self.encoder is None):
            raise ValueError("texts and encoder stand together or not at all")
        if max(int(name[1:]) for name in ids) >= self.next_number:
            raise ValueError("next_number was used already")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """Segment ids by label."""
        return tuple(segment.id for segment in self.segments)

    @property
    def columns(self) -> tuple[str, ...]:
        """All feature columns as `family.column`, and `text.<i>`, in the order that the vectors are made from."""
        named = tuple(f"{family.family}.{column}" for family in self.families for column in family.columns)
        texts = range(self.encoder.dimension if self.encoder else 0)
        return named + tuple(f"{TEXT_BLOCK}.{i}" for i in texts)

    @property
    def feature_sha256(self) -> str:
        """Hash of the order of the features; two bundles with one hash read the same columns in one order."""
        return _format.sha256(_format.encode_json(list(self.columns)))


@dataclass(frozen=True)
class Bundle:
    """Facts and states. Building one checks that it is whole and would survive the disk unchanged.

    Attributes:
        manifest: The facts.
        states: `features.<family>`, `texts`, `tuned`, `representation`, `clusterer`, `calibration`, and optionally
            `reasons` and `ladder` -> what was fitted.

    Raises:
        DataError: a state is missing or too many, or its facts are not JSON with text keys.
    """

    manifest: Manifest
    states: dict[str, State]

    def __post_init__(self) -> None:
        _check_states(self.manifest, self.states)
        # Through JSON once, here: what training uses is then what a reload gives (tuples have become lists).
        plain = {name: State(dict(state.arrays), _plain(name, state.meta)) for name, state in self.states.items()}
        object.__setattr__(self, "states", plain)

    @property
    def tuned(self) -> State | None:
        """Weights of the encoder that were tuned; None where it is frozen or there is none."""
        return self.states.get(TUNED)


def _check_states(manifest: Manifest, states: dict[str, State]) -> None:
    needed = {family_state(family.family) for family in manifest.families} | {REPRESENTATION, CLUSTERER, CALIBRATION}
    needed |= {TEXTS} if manifest.texts is not None else set()
    needed |= {TUNED} if manifest.encoder is not None and manifest.encoder.tuned_sha256 is not None else set()
    missing, extra = needed - states.keys(), states.keys() - needed - {REASONS, LADDER}
    if missing or extra:
        raise DataError(f"bundle: states missing {sorted(missing)}, not expected {sorted(extra)}")
    for family in manifest.families:
        columns = states[family_state(family.family)].meta.get("columns")
        if not isinstance(columns, list | tuple) or tuple(columns) != family.columns:
            raise DataError(f"bundle: the columns of {family.family} are not those of its state")
    for name, state in states.items():
        for array in state.arrays:
            if not re.fullmatch(r"[\w.:+-]{1,200}", array):
                raise DataError(f"bundle: array name {array[:80]!r} of {name} is not plain")


def _plain(name: str, meta: dict[str, Any]) -> dict[str, Any]:
    try:
        _text_keys(meta)
        plain: dict[str, Any] = _format.decode_json(_format.encode_json(meta), name)
    except (TypeError, ValueError) as error:
        raise DataError(f"bundle: facts of state {name} are not JSON: {error}") from error
    return plain


def _text_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} is not text")
            _text_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _text_keys(inner)


def to_files(bundle: Bundle) -> dict[str, bytes]:
    """A bundle as its files, name -> bytes; equal bundles give equal bytes."""
    arrays = {
        f"{name}{_SEPARATOR}{key}": np.asarray(array)
        for name, state in bundle.states.items()
        for key, array in state.arrays.items()
    }
    if len(arrays) > _format.MAX_TENSORS:
        raise DataError(f"bundle: {len(arrays)} arrays; at most {_format.MAX_TENSORS} can be read back")
    facts = {
        **bundle.manifest.model_dump(mode="json"),
        "states": {name: state.meta for name, state in bundle.states.items()},
        "arrays": {name: [array.dtype.newbyteorder("=").name, list(array.shape)] for name, array in arrays.items()},
    }
    files = {_format.FACTS: _format.encode_json(facts), _format.ARRAYS: _format.encode_arrays(arrays)}
    sums = {name: _format.sha256(data) for name, data in files.items()}
    return {**files, _format.CHECKSUMS: _format.encode_json(sums)}


def content_sha256(bundle: Bundle) -> str:
    """What names a bundle: the sha256 of its table of sha256s; what `save` returns and a registry records."""
    return _format.sha256(to_files(bundle)[_format.CHECKSUMS])


def save(bundle: Bundle, folder: str | Path) -> str:
    """Write a bundle's folder aside and rename it into place; returns its content sha256.

    Saving the same bundle where it already stands changes nothing.

    Raises:
        DataError: another bundle stands there, or the disk refuses.
    """
    files = to_files(bundle)
    _format.write_folder(files, Path(folder))
    return _format.sha256(files[_format.CHECKSUMS])


def load(folder: str | Path, sha256: str | None = None) -> Bundle:
    """Read a bundle's folder; nothing in it can run code.

    Args:
        folder: What `save` wrote: three files and nothing else, no links.
        sha256: The content sha256 that the caller trusts (the pointer's); none: only the folder's own sums are held.

    Raises:
        DataError: anything is missing, extra, changed, of another shape, too large, or of an unknown version.
    """
    files = _format.read_folder(Path(folder))
    content = _format.check_sums(files)
    if sha256 is not None and content != sha256:
        raise DataError(f"{folder}: content sha256 {content[:12]}… is not the expected {sha256[:12]}…; not loaded")
    facts = migrate(_format.decode_json(files[_format.FACTS], _format.FACTS))
    try:
        states, arrays = facts.pop("states"), facts.pop("arrays")
        manifest = Manifest.model_validate_json(_format.encode_json(facts))
        specs = {name: _spec(name, *spec) for name, spec in arrays.items()}
    except (ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{_format.FACTS}: {_first_line(error)}; the bundle is damaged") from error
    return _assemble(manifest, states, _format.decode_arrays(files[_format.ARRAYS], specs))


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"field {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__}: {error}"


def _spec(name: str, dtype: Any, shape: Any) -> tuple[str, tuple[int, ...]]:
    if dtype not in _format.DTYPES.values() or not isinstance(shape, list) or len(shape) > _format.MAX_DIMENSIONS:
        raise ValueError(f"array {name} is declared with a dtype or shape that no bundle holds")
    if not all(type(length) is int and 0 <= length < 2**40 for length in shape):
        raise ValueError(f"array {name} is declared with an impossible shape")
    return dtype, tuple(shape)


def _assemble(manifest: Manifest, metas: Any, arrays: dict[str, np.ndarray]) -> Bundle:
    if not isinstance(metas, dict) or not all(isinstance(meta, dict) for meta in metas.values()):
        raise DataError(f"{_format.FACTS}: states is no table of facts")
    split: dict[str, dict[str, np.ndarray]] = {name: {} for name in metas}
    for name, array in arrays.items():
        state, _, key = name.partition(_SEPARATOR)
        if state not in split:
            raise DataError(f"{_format.ARRAYS}: array {name} belongs to no state")
        split[state][key] = array
    return Bundle(manifest, {name: State(split[name], meta) for name, meta in metas.items()})


__all__ = [
    "CURRENT",
    "Bundle",
    "Encoder",
    "Family",
    "Manifest",
    "Plugin",
    "Segment",
    "content_sha256",
    "family_state",
    "load",
    "save",
    "to_files",
]
