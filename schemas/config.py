"""The fixed sections of a config. A plugin's own `Config` stands in its file; flows/config.py joins them all."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.secrets import no_secret

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
SEGMENTATION = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""What a segmentation may be called: it names folders, an MLflow experiment and a model."""


def _title(model: type) -> str:
    """What a form calls a section: a plugin by its kind, since all of them are named Config."""
    kind = model.model_fields.get("kind") if issubclass(model, BaseModel) else None
    return kind.default if kind and isinstance(kind.default, str) else model.__name__


class Section(BaseModel):
    """Base of every section and plugin config: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        model_title_generator=_title,
        hide_input_in_errors=True,  # an input may be a secret
    )


def kind_of(config: Section) -> str:
    """The plugin that a plugin's config belongs to: its file name."""
    return str(config.kind)  # type: ignore[attr-defined]


def composed(word: str) -> str:
    """A word in NFC, the form that ingest gives to names."""
    return unicodedata.normalize("NFC", word)


Word = Annotated[str, AfterValidator(composed)]
"""A word of the data, such as the name of an event, in the form that the tables have."""


class MissingPolicy(Section):
    """What happens to a row whose nullable column is empty. Fills are fitted and applied by the Segmenter."""

    action: Literal["keep", "quarantine"] = Field("keep", description="keep the row, or set it aside")
    fill: Literal["mean", "median", "mode", "constant", "interpolate"] = Field(
        "median", description="how the Segmenter fills what was kept"
    )
    constant: float = Field(0.0, description="the value for fill: constant, in the column's unit")


class OutlierPolicy(Section):
    """What happens to extreme values of a numeric column."""

    action: Literal["none", "quarantine", "clip"] = Field(
        "none", description="quarantine: the row goes aside at ingest; clip: the Segmenter clips at quantiles"
    )
    z: float = Field(8.0, gt=0, description="robust z-score (|x - median| / 1.4826 MAD) above which a row is set aside")
    quantile: float = Field(0.001, gt=0, lt=0.5, description="clip below this quantile and above 1 minus it")


class IngestConfig(Section):
    """How source rows become contract tables."""

    buckets: Positive = Field(8, description="files per user-keyed table; a bucket must fit in memory")
    missing: dict[str, MissingPolicy] = Field(
        default_factory=dict, description="policy per column, as `table.column`, such as events.value"
    )
    outliers: dict[str, OutlierPolicy] = Field(default_factory=dict, description="policy per column, as `table.column`")
    repeats: Literal["keep", "drop"] = Field(
        "keep", description="rows identical in all source columns: legal (repeat purchases), or dropped as errors"
    )
    earliest_year: Positive = Field(
        1990, description="timestamps before this year (UTC) are set aside; numbers in a wrong unit land in 1970"
    )
    no_ids: tuple[Word, ...] = Field(
        (
            *("nan", "nat", "null", "none", "undefined", "n/a", "#n/a", "<na>", "<nil>", "nil", "\\n", "-"),
            *("(null)", "[null]", "(none)", "(blank)", "(empty)", "(not set)", "total", "totals", "grand total"),
            "00000000-0000-0000-0000-000000000000",
        ),
        description="words in place of an id that mean there is none, or that the row is a sum, in any case; such rows "
        "are set aside",
    )
    max_text_bytes: Positive = Field(100_000, description="a longer text is set aside, in bytes of UTF-8")
    max_decoded_bytes: Positive = Field(64 * 2**30, description="refuse a source file that would decode to more bytes")


class ValidateConfig(Section):
    """Thresholds of the expectations."""

    min_rows: Positive = Field(1, description="rows that events or texts must have at least")
    max_quarantined_share: Share = Field(0.2, description="stop when a larger share of a table's rows was set aside")
    warn_quarantined_share: Share = Field(0.02, description="warn when a larger share of a table's rows was set aside")
    min_known_users: Share = Field(
        0.01, description="share of events, or texts, whose user is in users, where users are given; below: stop"
    )
    warn_known_users: Share = Field(0.5, description="the same share; below: warn")
    max_nobody_share: Share = Field(
        0.05, description="share of events, or texts, of users who may be nobody, such as unknown or 0; above: warn"
    )
    min_known_items: Share = Field(0.5, description="share of events whose item is in items, where items are given")
    max_age_days: float = Field(
        365.25 * 40, gt=0, description="events older than this before as_of are set aside, days"
    )
    allowed_events: tuple[Word, ...] | None = Field(None, description="event names that are legal; empty: all are")
    row_change: tuple[float, float] = Field(
        (0.6, 3.0), description="rows of a table against the previous accepted run: lowest and highest ratio"
    )
    min_distinct: Share = Field(
        0.75,
        description="share of a table's rows that repeat no other row, against that of the previous accepted run: "
        "lowest ratio; a table that was delivered twice is at one half",
    )
    max_copied: Share = Field(
        0.05,
        description="share of users whose whole history is another user's may grow by this much since the previous "
        "accepted run",
    )
    max_mean_shift: float = Field(
        3.0,
        gt=0,
        description="shift of a numeric column's mean since the previous accepted run, in its standard deviations",
    )
    max_share_shift: Share = Field(
        0.3, description="share of rows that moved between values, such as event names, since the previous accepted run"
    )
    severity: dict[str, Literal["error", "quarantine", "warn", "off"]] = Field(
        default_factory=dict, description="overrides the severity of a rule by its name, such as events.known_items"
    )


class TextsConfig(Section):
    """Which texts speak for a user, and how they are averaged into one vector."""

    template: str = Field(
        "{title}. {categories}", description="text of a consumed item: item columns in braces; empty parts are left out"
    )
    consumed_weight: float = Field(1.0, ge=0, description="weight of a consumed item's text; 0 leaves them out")
    written_weight: float = Field(1.0, ge=0, description="weight of a text the user wrote; 0 leaves them out")
    kind_weights: dict[Word, float] = Field(default_factory=dict, description="further weight per kind of written text")
    event_weights: dict[Word, float] = Field(default_factory=dict, description="further weight per event name")
    half_life_days: float | None = Field(
        None, gt=0, description="a text's weight halves every so many days; none: never"
    )
    inverse_popularity: bool = Field(True, description="weigh a consumed item by log(users / users of the item)")
    max_texts_per_user: Positive | None = Field(None, description="only the user's newest texts; none: all")
    max_distinct_texts: Positive | None = Field(
        None, description="encode at most so many distinct written texts, chosen by hash; none: all"
    )
    fallback: Literal["mean", "zero"] = Field(
        "mean", description="vector of a user without text, flagged has_text=false"
    )


class RepresentConfig(Section):
    """From feature blocks to one vector per user."""

    weights: dict[str, float] = Field(
        default_factory=dict, description="share of total variance per block, relative; a block not named weighs 1"
    )
    isometric: tuple[str, ...] = Field(
        ("text", "collaborative", "attributes"),
        description="blocks whose columns share one unit (coordinates, standard deviations): scaled as one, not each",
    )
    reducer: Literal["pca", "random_projection", "none"] = Field("pca", description="how blocks become one vector")
    dimension: Positive | None = Field(32, description="dimensions kept at most; none: by variance_share alone")
    variance_share: float = Field(0.99, gt=0, le=1, description="variance that PCA keeps at least, up to `dimension`")
    skew: float = Field(2.0, gt=0, description="non-negative columns with more skewness than this get log(1 + x)")
    clip: float = Field(8.0, gt=0, description="scaled values are clipped to this many robust standard deviations")
    unit_norm: bool = Field(True, description="scale each user's vector to length 1, so that cosine and Euclid agree")


class EvaluateConfig(Section):
    """What is measured about every candidate."""

    lift: bool = Field(
        True, description="measure held-out lift; off where users don't choose their items, such as a chat's prompts"
    )
    events: tuple[Word, ...] = Field(
        (),
        description="event names that are a user's choice, such as [purchase] where items are also shown; empty: all "
        "are. These alone are held out, and are what popularity, segments and 1:1 recommendation learn from; features "
        "see every event. Whoever recommends by the segments should learn from the same events",
    )
    refits: int = Field(10, ge=0, description="bootstrap refits for stability; 0 leaves stability out")
    seeds: Positive = Field(
        5, description="seeds under which a candidate is fitted for its held-out figures; what they differ by is chance"
    )
    top_n: Positive = Field(10, description="items recommended to each user in the held-out protocol")
    prior_weight: float = Field(0.3, ge=0, description="weight of global popularity in a segment's item score")
    yardsticks: tuple[Section, ...] | None = Field(
        None,
        description="recommenders that are measured beside the segments, on the same held-out events; none named: "
        "every one there is, and popularity of late; []: not measured",
    )
    by_date: bool = Field(
        True,
        description="measure the yardsticks also by what came after one date, which costs another set of vectors; "
        "with yardsticks: [] never",
    )
    recent_days: float = Field(30, gt=0, description="what counts as of late for popularity, days")
    resamples: Positive = Field(
        2_000, description="resamples of users behind the comparison of yardsticks, of which there are many at once"
    )
    random_draws: Positive = Field(5, description="random segmentations of the same sizes, as the control")
    bootstraps: Positive = Field(200, description="resamples of users behind each confidence interval")
    silhouette_sample: Positive = Field(
        20_000, description="users in sampled Euclidean silhouette, above which it samples"
    )
    truth_column: str | None = Field(
        None, description="a users column with known labels to agree with; none: no agreement"
    )
    ablation: bool = Field(False, description="also measure what each feature family adds to held-out lift")


class SelectConfig(Section):
    """Which candidate is chosen: refusals first, then the highest held-out lift, ties by fewer segments."""

    max_noise: Share = Field(0.3, description="share of users without a segment above which a candidate is refused")
    min_segments: Positive = Field(3, description="fewer segments than this are refused")
    min_segment_users: Positive = Field(10, description="a candidate with a smaller segment is refused, users")
    max_largest_share: Share = Field(0.9, description="a segment with a larger share of users is refused")
    tie: float = Field(
        0.005,
        ge=0,
        description="figures closer than this, relative, are ties; held-out lifts also where chance decides",
    )
    churn_price: float = Field(
        1.0, ge=0, description="a candidate pays this, in lift, times the share of the known users that it would move"
    )
    max_unknown: Share = Field(
        0.1,
        description="share of today's events (or users) that a kept representation may not know, such as new items",
    )
    max_silent: Share = Field(
        0.05, description="share of users of whom a kept representation may see less of a block than a fresh one"
    )
    min_variance: Share = Field(
        0.9, description="variance of today's users that a kept representation must keep, of what a fresh one would"
    )


class CalibrationConfig(Section):
    """When a user is far from every segment, how sure an assignment is, and what thin users get."""

    floor_quantile: float = Field(
        0.999, gt=0.5, le=1, description="quantile of a segment's training distances beyond which nobody is assigned"
    )
    floor_slack: float = Field(1.1, ge=1, description="that distance is multiplied by this, for users not seen yet")
    min_floor_users: Positive = Field(50, description="smaller segments use the largest floor of the others, users")
    folds: int = Field(5, ge=0, description="refits that leave users out, behind the confidence; 0: not calibrated")
    min_confidence: Share = Field(0.0, description="a less confident assignment becomes unassigned")
    ladder_events: tuple[int, ...] = Field(
        (0, 1, 3, 5, 10), description="events of a thin user at which each rung's accuracy is measured"
    )
    max_reasons: int = Field(3, ge=0, description="reasons given with each assignment")


class DescribeConfig(Section):
    """How segments are named and explained."""

    language: Literal["en", "zh"] = Field("en", description="language of names, evidence and the report")
    glossary: dict[Word, str] = Field(
        default_factory=dict, description="words of the data, such as a category or event, and how names shall say them"
    )
    names: dict[str, str] = Field(default_factory=dict, description="segment id -> the name that a person gave it")
    notes: dict[str, str] = Field(
        default_factory=dict, description="segment id -> what a person has to say of it, published beside the name"
    )


class IdentityConfig(Section):
    """When a new cluster is an old segment."""

    min_overlap: Share = Field(
        0.5, ge=0.5, description="share of a segment's members that must stay together for it to be continued"
    )
    split_share: Share = Field(0.2, description="share of an old segment's members that makes a new one its split")
    min_cosine: float = Field(
        0.5, ge=-1, le=1, description="cosine of the centroids that a continued segment must keep"
    )
    birth_gain: Share = Field(
        0.05, description="share of the sum of squares that one more centroid must save for a new segment to be born"
    )


class LedgerConfig(Section):
    """Where runs and models are recorded."""

    tracking_uri: Annotated[str, AfterValidator(no_secret)] | None = Field(
        None,
        description="MLflow server or database, a password as ${NAME of an environment variable}; none: SQLite under "
        "the state folder",
    )
    log_figures: bool = Field(True, description="draw and log figures with each run")

    @property
    def server(self) -> str | None:
        """Address of MLflow's pages, where it is known without user or password; None of a database."""
        address = self.tracking_uri or ""
        known = address.startswith(("http://", "https://")) and not {"@", "$"} & {*address}
        return address.rstrip("/") if known else None
