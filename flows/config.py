"""One config per segmentation: the fixed sections joined with the plugins' own, as found in their folders.

The Prefect UI draws its form from these models; YAML files and `--set` overrides are read into them here.
"""

import functools
import operator
import typing
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from flows.refusals import ByKind, typed_grids
from schemas import settings
from schemas.config import SEGMENTATION, LedgerConfig, Section
from schemas.errors import UsageError, did_you_mean
from schemas.secrets import redact
from tasks.plugins.find import Family, configs
from tasks.selection.space import check


def _any_of(family: Family) -> Any:
    """The union of a folder's configs, told apart by `kind`."""
    union = functools.reduce(operator.or_, configs(family))
    return Annotated[Annotated[union, Field(discriminator="kind"), ByKind()], BeforeValidator(_kind_alone)]


def _kind_alone(given: Any) -> Any:
    """A word where a section is expected is the kind, with its defaults."""
    return {"kind": given} if isinstance(given, str) else given


if typing.TYPE_CHECKING:  # which plugins there are is known at run time alone
    Source: typing.TypeAlias = Section
    Feature: typing.TypeAlias = Section
    Encoder: typing.TypeAlias = Section
    BehaviourEncoder: typing.TypeAlias = Section
    Algorithm: typing.TypeAlias = Section
    Recommender: typing.TypeAlias = Section
else:
    Source, Feature, Encoder, BehaviourEncoder, Algorithm, Recommender = map(
        _any_of, ("sources", "features", "encoders", "behaviour_encoders", "clusterers", "recommenders")
    )


class SearchItem(settings.SearchItem):
    """One algorithm and the parameter values to try: a candidate for every combination."""

    model_config = ConfigDict(json_schema_extra=lambda made: typed_grids(made, configs("clusterers")))

    algorithm: Algorithm = Field(description="a clustering algorithm and its parameters")


class SearchConfig(settings.SearchConfig):
    """Which candidates compete."""

    candidates: tuple[SearchItem, ...] = Field(
        description="algorithms and the values of their parameters to try", json_schema_extra={"minItems": 1}
    )


class RecommendConfig(settings.RecommendConfig):
    """What is recommended to whom."""

    recommender: Recommender = Field(
        default_factory=lambda: _default("recommenders", "segment_popularity"),
        description="how items are ranked for a segment or a user",
    )


class EvaluateConfig(settings.EvaluateConfig):
    """What is measured about every candidate."""

    yardsticks: tuple[Recommender, ...] | None = Field(
        None, description=settings.EvaluateConfig.model_fields["yardsticks"].description
    )


class RetrainConfig(settings.Settings):
    """Everything a retrain depends on."""

    source: Source = Field(description="where the data comes from")
    features: tuple[Feature, ...] = Field(description="feature families; one whose table is missing is switched off")
    encoder: Encoder = Field(
        default_factory=lambda: _default("encoders", "transformer"), description="the language model"
    )
    behaviour_encoders: tuple[BehaviourEncoder, ...] = Field(
        (), description=settings.Settings.model_fields["behaviour_encoders"].description
    )
    search: SearchConfig = Field(description="candidates that compete")
    evaluate: EvaluateConfig = Field(
        default_factory=EvaluateConfig, description="what is measured about every candidate"
    )
    recommend: RecommendConfig = Field(default_factory=RecommendConfig, description="what is recommended to whom")


def _default(family: Family, kind: str) -> Any:
    from tasks.plugins.find import plugin

    return plugin(family, kind).Config()


def load(path: str | Path, overrides: typing.Sequence[str] = ()) -> RetrainConfig:
    """Reads a config file.

    Args:
        path: A YAML file.
        overrides: `section.key=value`, the value in YAML; `candidates.0.grid.k=[5,8]` reaches into lists.

    Raises:
        UsageError: the file or an override is wrong; the message names the key and the nearest known one.
    """
    try:
        raw = _read(Path(path).read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; give the path of a config, such as those in deployments/configs/"
        ) from error
    except ValueError as error:  # no UTF-8
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: expected sections such as `source:` and `features:`")
    for override in overrides:
        _override(raw, override)
    typed = any(override.startswith("source.root=") for override in overrides)
    return _beside(Path() if typed else Path(path).parent, parse(raw, str(path)))


def _beside(folder: Path, config: RetrainConfig) -> RetrainConfig:
    """The config with its source's root as a whole path: what is written in a file is relative to that file."""
    root = getattr(config.source, "root", None)
    if root is None:
        return config
    whole = str((folder / Path(root).expanduser()).resolve())
    return config.model_copy(update={"source": config.source.model_copy(update={"root": whole})})


def from_text(text: str, where: str) -> RetrainConfig:
    """A config from YAML text, as a run recorded it."""
    raw = _read(text, where)
    return parse(raw if isinstance(raw, dict) else {}, where)


def to_text(config: RetrainConfig) -> str:
    """A config as YAML, which `from_text` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _Once(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake; YAML's own rule, which PyYAML does not keep."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise UsageError(f"line {line}: {key.value} stands in line {seen[key.value]} already; keep one of them")
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def _read(text: str, where: str) -> Any:
    """Plain data of a YAML text.

    Raises:
        UsageError: it is none; what stands in it is not told, for it may be a secret.
    """
    try:
        return yaml.load(text, _Once)
    except UsageError as error:
        raise UsageError(f"{where}, {error}") from None
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise UsageError(f"{where}: not YAML: {place}{redact(error.problem or '')}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2030-13-45
        raise UsageError(f"{where}: not YAML: {redact(str(error))}") from error
    except RecursionError as error:
        raise UsageError(f"{where}: not YAML that can be read: nested too deeply") from error


def ledger_at(tracking_uri: str | None) -> LedgerConfig:
    """Where MLflow is, as a command was told.

    Raises:
        UsageError: a secret stands in the address.
    """
    try:
        return LedgerConfig(tracking_uri=tracking_uri)
    except ValidationError as error:
        raise UsageError(f"--tracking-uri: {_explain(error.errors()[0]).partition(': ')[2]}") from None


def _check_rules(severity: typing.Mapping[str, str]) -> None:
    """UsageError where a severity is of no rule, with the nearest rule there is."""
    if not severity:  # Great Expectations takes seconds to import
        return
    from expectations import rule_names

    known = rule_names()
    for name in severity:
        if name not in known:
            near = did_you_mean(name, sorted(known), "a rule is named as in the report, such as events.row_change")
            raise UsageError(f"validation.severity: there is no rule {name[:80]!r}; {near}")


def parse(raw: dict[str, Any], where: str) -> RetrainConfig:
    """A config from plain data; every mistake in one UsageError, a line each."""
    try:
        config = RetrainConfig.model_validate(raw)
        check(config.search.candidates)
        _check_rules(config.validation.severity)
        if not config.features and config.texts is None and not config.behaviour_encoders:
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
        raise UsageError(f"--set {redact(override)}: expected section.key=value")
    *parents, last = path.split(".")
    place: Any = raw
    for key in parents:
        place = place[_index(place, key, override)] if isinstance(place, list) else place.setdefault(key, {})
        if not isinstance(place, dict | list):
            raise UsageError(f"--set {redact(override)}: {key} is no section")
    try:
        value = yaml.load(text, _Once)
    except (yaml.YAMLError, ValueError, UsageError, RecursionError):  # ValueError: a date such as 2030-13-45
        raise UsageError(f"--set {redact(override)}: {redact(text)} is not YAML; put quotes around it") from None
    place[_index(place, last, override) if isinstance(place, list) else last] = value


def _index(place: list[Any], key: str, override: str) -> int:
    """A place in a list of the config."""
    if not key.isdigit() or int(key) >= len(place):
        raise UsageError(f"--set {redact(override)}: {key} is no place in a list of {len(place)}; the first is 0")
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
        near = did_you_mean(location[-1], sorted(known), f"known keys: {', '.join(sorted(known))}")
        return f"unknown key {where}; {near}"
    if problem["type"] == "union_tag_invalid":
        kind, known = problem["ctx"]["tag"], problem["ctx"]["expected_tags"].replace("'", "")
        return f"{where}: unknown kind {kind}; {did_you_mean(kind, known.split(', '), f'known kinds: {known}')}"
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
