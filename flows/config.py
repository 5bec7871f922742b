"""One config per segmentation: the fixed sections joined with the plugins' own, as found in their folders.

The Prefect UI draws its form from these models; YAML files and `--set` overrides are read into them here.
"""

import difflib
import functools
import operator
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator

from schemas.config import (
    SEGMENTATION,
    CalibrationConfig,
    DescribeConfig,
    EvaluateConfig,
    ExecutionConfig,
    GateConfig,
    IdentityConfig,
    IngestConfig,
    LedgerConfig,
    RepresentConfig,
    Section,
    SelectConfig,
    TextsConfig,
    ValidateConfig,
)
from schemas.errors import UsageError
from tasks.selection.space import check
from tasks.serving.plugins import Family, configs


def _any_of(family: Family) -> Any:
    """The union of a folder's configs, told apart by `kind`."""
    union = functools.reduce(operator.or_, configs(family))
    return Annotated[union, Field(discriminator="kind")]


Source = _any_of("sources")
Feature = _any_of("features")
Encoder = _any_of("encoders")
Algorithm = _any_of("clusterers")


class SearchItem(Section):
    """One algorithm and the parameter values to try: a candidate for every combination."""

    algorithm: Algorithm = Field(description="a clustering algorithm and its parameters")
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="parameter -> values to try, such as k: [10, 20]; all combinations are tried"
    )


class SearchConfig(Section):
    """Which candidates compete."""

    candidates: tuple[SearchItem, ...] = Field(description="algorithms and the values of their parameters to try")
    mode: typing.Literal["grid", "random", "tpe"] = Field(
        "grid",
        description="all combinations, a seeded random choice, or each chosen by what the ones before it measured "
        "(tree-structured Parzen estimator; needs the extra `search`)",
    )
    limit: int | None = Field(None, ge=1, description="candidates tried at most in modes random and tpe; none: all")
    warm: bool = Field(True, description="let candidates that start from the champion compete beside fresh ones")


class RetrainConfig(Section):
    """Everything a retrain depends on."""

    segmentation: str = Field(
        pattern=SEGMENTATION, description="name of the segmentation: its MLflow experiment and model"
    )
    seed: int = Field(7, ge=0, description="seed of every random choice")
    as_of: datetime | None = Field(None, description="UTC moment to look at; none: the newest event")
    source: Source = Field(description="where the data comes from")
    ingest: IngestConfig = Field(default_factory=IngestConfig)
    validation: ValidateConfig = Field(default_factory=ValidateConfig)
    features: tuple[Feature, ...] = Field(description="feature families; one whose table is missing is switched off")
    texts: TextsConfig | None = Field(None, description="which texts speak for a user; none: no language model")
    encoder: Encoder = Field(default_factory=lambda: _default_encoder(), description="the language model")
    represent: RepresentConfig = Field(default_factory=RepresentConfig)
    search: SearchConfig = Field(description="candidates that compete")
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    select: SelectConfig = Field(default_factory=SelectConfig)
    identity: IdentityConfig = Field(default_factory=IdentityConfig)
    describe: DescribeConfig = Field(default_factory=DescribeConfig)
    calibration: CalibrationConfig = Field(default_factory=CalibrationConfig)
    gates: GateConfig = Field(default_factory=GateConfig)
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    ledger: LedgerConfig = Field(default_factory=LedgerConfig)

    @field_validator("as_of")
    @classmethod
    def _utc(cls, moment: datetime | None) -> datetime | None:
        """A moment without a zone, such as 2026-01-31, is UTC."""
        return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)

    def known_columns(self) -> set[str]:
        """Users columns that hold known labels, to compare segments with or to learn from: no feature may see them."""
        items = self.search.candidates
        learned = {name for i in items for name in [getattr(i.algorithm, "column", ""), *i.grid.get("column", [])]}
        return (learned | {self.evaluate.truth_column or ""}) - {""}


def _default_encoder() -> Any:
    from tasks.serving.plugins import plugin

    return plugin("encoders", "transformer").Config()


def load(path: str | Path, overrides: typing.Sequence[str] = ()) -> RetrainConfig:
    """Reads a config file.

    Args:
        path: A YAML file.
        overrides: `section.key=value`, the value in YAML; `candidates.0.grid.k=[5,8]` reaches into lists.

    Raises:
        UsageError: the file or an override is wrong; the message names the key and the nearest known one.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; give the path of a config, such as those in deployments/configs/"
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date such as 2030-13-45
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: expected sections such as `source:` and `features:`")
    for override in overrides:
        _override(raw, override)
    return parse(raw, str(path))


def from_text(text: str, where: str) -> RetrainConfig:
    """A config from YAML text, as a run recorded it."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    return parse(raw if isinstance(raw, dict) else {}, where)


def parse(raw: dict[str, Any], where: str) -> RetrainConfig:
    """A config from plain data; every mistake in one UsageError, a line each."""
    try:
        config = RetrainConfig.model_validate(raw)
        check(config.search.candidates)
        if not config.features and config.texts is None:
            raise UsageError("nothing to describe users by; name a feature family under features, or give texts")
    except ValidationError as error:
        lines = [f"{where}: {_explain(problem)}" for problem in error.errors()]
        raise UsageError("\n".join(lines)) from error
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return config


def _override(raw: dict[str, Any], override: str) -> None:
    """Applies one `section.key=value` to plain data."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override}: expected section.key=value")
    *parents, last = path.split(".")
    place: Any = raw
    for key in parents:
        place = place[_index(place, key, override)] if isinstance(place, list) else place.setdefault(key, {})
        if not isinstance(place, dict | list):
            raise UsageError(f"--set {override}: {key} is no section")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2030-13-45
        raise UsageError(f"--set {override}: {text} is not YAML; put quotes around it") from None
    place[_index(place, last, override) if isinstance(place, list) else last] = value


def _index(place: list[Any], key: str, override: str) -> int:
    """A place in a list of the config."""
    if not key.isdigit() or int(key) >= len(place):
        raise UsageError(f"--set {override}: {key} is no place in a list of {len(place)}; the first is 0")
    return int(key)


_PLAIN = {
    "tuple_type": "expected a list, such as [a, b]",
    "list_type": "expected a list, such as [a, b]",
    "model_type": "expected a section, such as {key: value}",
    "model_attributes_type": "expected a section, such as {key: value}",
    "dict_type": "expected a section, such as {key: value}",
    "union_tag_not_found": "give a kind",
    "missing": "is missing",
}
"""What pydantic's types of problem are called here, where its own words speak of Python."""


def _explain(problem: Any) -> str:
    """One line for one pydantic problem, with the nearest known key."""
    location = [str(part) for part in problem["loc"]]
    where = ".".join(location)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(RetrainConfig, location[:-1])
        near = difflib.get_close_matches(location[-1], known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"unknown key {where}; {hint}"
    if problem["type"] == "union_tag_invalid":
        kind, known = problem["ctx"]["tag"], problem["ctx"]["expected_tags"].replace("'", "")
        near = difflib.get_close_matches(kind, known.split(", "), 1, 0.7)
        return f"{where}: unknown kind {kind}; {f'did you mean {near[0]}?' if near else f'known kinds: {known}'}"
    said = _PLAIN.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == SEGMENTATION:
        said = f"{problem['input']!r} is no name of a segmentation: small letters, digits and dashes"
    return f"{where}: {said}"


def _known_keys(model: Any, location: list[str]) -> set[str]:
    """Keys that are legal at a place of the config; unions are walked by the kind that pydantic put into the place."""
    models = [model]
    for part in location:
        models = [inner for one in models for inner in _step(one, part)]
    return {key for one in models for key in one.model_fields}


def _step(model: Any, part: str) -> list[Any]:
    """The models below `model` at `part`: a field, a list index (skipped), or a union's kind."""
    field = model.model_fields.get(part)
    if field is None:  # an index, or the tag of a union
        kind = model.model_fields.get("kind")
        return [model] if kind is None or kind.default == part or part.isdigit() else []
    return _models(field.annotation)


def _models(annotation: Any) -> list[Any]:
    """All config classes that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _models(inner)]
