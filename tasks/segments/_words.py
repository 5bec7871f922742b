"""Features in words, in English and Chinese: what a claim calls them, and the words that a name may use."""

from typing import NamedTuple

import numpy as np

from schemas.tables import MISSING


class Phrase(NamedTuple):
    """A feature in words.

    Attributes:
        theme: Features of one theme say the same thing; evidence tells only the strongest of them.
        en: What it measures, in English.
        zh: The same in Chinese.
        adjectives: Language -> (words of a name where it is higher, where it is lower); empty: no name uses it.
    """

    theme: str
    en: str
    zh: str
    adjectives: dict[str, tuple[str, str]] = {}  # noqa: RUF012


_ACTIVE = {"en": ("very active users", "occasional users"), "zh": ("活跃用户", "低频用户")}
_RECENT = {"en": ("lapsed users", "recently active users"), "zh": ("流失用户", "近期活跃用户")}
_BROAD = {"en": ("broad tastes", "focused tastes"), "zh": ("兴趣广泛", "兴趣专一")}
_NICHE = {"en": ("niche tastes", "mainstream tastes"), "zh": ("偏好小众", "偏好大众")}
_LONG = {"en": ("long-standing users", "new users"), "zh": ("老用户", "新用户")}
_SOCIAL = {"en": ("well-connected users", "solitary users"), "zh": ("社交广泛", "社交稀疏")}
_SPEND = {"en": ("high spenders", "low spenders"), "zh": ("高消费用户", "低消费用户")}
_RATING = {"en": ("generous raters", "strict raters"), "zh": ("评分宽松", "评分严格")}
_STRICT = {language: (words[1], words[0]) for language, words in _RATING.items()}

PHRASES: dict[str, Phrase] = {
    "recency_days": Phrase("recency", "days since the last event", "距上次行为天数", _RECENT),
    "tenure_days": Phrase("tenure", "days since the first event", "距首次行为天数", _LONG),
    "events": Phrase("activity", "events per user", "人均行为数", _ACTIVE),
    "events_per_day": Phrase("activity", "events per day", "日均行为数", _ACTIVE),
    "active_days": Phrase("activity", "active days", "活跃天数", _ACTIVE),
    "active_day_share": Phrase("activity", "share of days active", "活跃天数占比", _ACTIVE),
    "activity_tier": Phrase("activity", "activity tier (0–2)", "活跃等级（0–2）", _ACTIVE),
    "trend": Phrase("trend", "trend of activity (−1 to 1)", "活跃趋势（−1 至 1）"),
    "gap_mean_days": Phrase("gaps", "mean days between events", "平均间隔天数"),
    "gap_median_days": Phrase("gaps", "median days between events", "间隔天数中位数"),
    "gap_regularity": Phrase("gaps", "regularity of visits (0–1)", "到访规律性（0–1）"),
    "sessions": Phrase("activity", "sessions per user", "人均会话数", _ACTIVE),
    "session_minutes_mean": Phrase("sessions", "minutes per session", "每会话分钟数"),
    "session_depth_mean": Phrase("sessions", "events per session", "每会话行为数"),
    "session_depth_max": Phrase("activity", "events in the longest session", "最长会话行为数"),
    "hour_concentration": Phrase("rhythm", "keeping to one hour of day (0–1)", "时段集中度（0–1）"),
    "weekday_concentration": Phrase("rhythm", "keeping to one weekday (0–1)", "星期集中度（0–1）"),
    "distinct_items": Phrase("activity", "different items per user", "人均不同物品数", _ACTIVE),
    "repeat_share": Phrase("repeats", "share of repeated items", "重复物品占比"),
    "item_entropy": Phrase("activity", "spread over items", "物品分散度"),
    "top_item_share": Phrase("activity", "share of the commonest item", "最常物品占比"),
    "value_sum": Phrase("money", "total value per user", "人均总金额", _SPEND),
    "value_mean": Phrase("money", "mean value of an event", "单次平均金额", _SPEND),
    "rating_mean": Phrase("ratings", "mean rating", "平均评分", _RATING),
    "rating_std": Phrase("rating spread", "spread of ratings", "评分离散度"),
    "rating_strictness": Phrase("ratings", "strictness against others' ratings", "相对他人的评分严格度", _STRICT),
    "category_entropy": Phrase("breadth", "breadth over categories", "类目广度", _BROAD),
    "categories_touched": Phrase("breadth", "categories per user", "人均类目数", _BROAD),
    "novelty": Phrase("novelty", "rarity of the items", "物品稀有度", _NICHE),
    "long_tail_share": Phrase("novelty", "share of long-tail items", "长尾物品占比", _NICHE),
    "social_degree": Phrase("ties", "ties per user", "人均联系人数", _SOCIAL),
    "social_degree_in": Phrase("ties", "users who tie to one", "被联系人数", _SOCIAL),
    "social_degree_out": Phrase("ties", "users whom one ties to", "主动联系人数", _SOCIAL),
    "social_weight_in": Phrase("ties", "strength of ties received", "收到的联系强度", _SOCIAL),
    "social_weight_out": Phrase("ties", "strength of ties given", "发出的联系强度", _SOCIAL),
    "social_pagerank": Phrase("ties", "standing among ties (1: as anyone)", "社交影响力（1 为平均）", _SOCIAL),
    "social_core": Phrase("ties", "ties within the densest circle", "最紧密圈内联系数", _SOCIAL),
    "social_reciprocity": Phrase("reciprocity", "reciprocated ties (0–1)", "互惠度（0–1）"),
    "social_clustering": Phrase("clustering", "neighbours who know one another (0–1)", "邻居互识度（0–1）"),
    "social_active": Phrase("social activity", "share who started ties of late", "近期主动联系占比"),
}

GENRES_ZH: dict[str, str] = {
    "Action": "动作",
    "Adventure": "冒险",
    "Animation": "动画",
    "Children's": "儿童",
    "Comedy": "喜剧",
    "Crime": "犯罪",
    "Documentary": "纪录片",
    "Drama": "剧情",
    "Fantasy": "奇幻",
    "Film-Noir": "黑色电影",
    "Horror": "恐怖",
    "Musical": "歌舞",
    "Mystery": "悬疑",
    "Romance": "爱情",
    "Sci-Fi": "科幻",
    "Thriller": "惊悚",
    "War": "战争",
    "Western": "西部",
}
"""Common film genres, so that Chinese names of the first data set are Chinese; a glossary in the config adds to it."""

SENTENCES = {
    "en": {
        "category": "{label}: {inside} of a user's events against {elsewhere} elsewhere (×{lift}, at least ×{low})",
        "item": "{label}: {inside} of users against {elsewhere} elsewhere (×{lift}, at least ×{low})",
        "trait": "{label}: {inside} of users against {elsewhere} elsewhere (×{lift}, at least ×{low})",
        "term": "“{label}”: written by {inside} of users against {elsewhere} elsewhere (×{lift}, at least ×{low})",
        "feature": "{label}: mean {inside} against {elsewhere} elsewhere ({lift} × the usual spread, at least {low})",
        "scaled": "{label}: {lift} × the usual spread from elsewhere, at least {low}",
        "weak": "Weak evidence: of all that was measured, nothing sets these users apart from the other segments",
    },
    "zh": {
        "category": "{label}：平均占每位用户行为的 {inside}，其他分群为 {elsewhere}（×{lift}，至少 ×{low}）",
        "item": "{label}：{inside} 的用户接触过，其他分群为 {elsewhere}（×{lift}，至少 ×{low}）",
        "trait": "{label}：占用户的 {inside}，其他分群为 {elsewhere}（×{lift}，至少 ×{low}）",
        "term": "“{label}”：{inside} 的用户写过，其他分群为 {elsewhere}（×{lift}，至少 ×{low}）",
        "feature": "{label}：均值 {inside}，其他分群为 {elsewhere}（差距为常见波动的 {lift} 倍，至少 {low}）",
        "scaled": "{label}：与其他分群的差距为常见波动的 {lift} 倍，至少 {low}",
        "weak": "证据不足：所有测量中，没有一项使这些用户区别于其他分群",
    },
}
FAR = {
    "en": (("a little lower", "lower", "much lower"), ("a little higher", "higher", "much higher")),
    "zh": (("略低", "偏低", "明显偏低"), ("略高", "偏高", "明显偏高")),
}
"""Words below and above the mean, by less than 0.75, less than 1.75 and more standard deviations."""
YES = {"en": ("no", "yes", "less often", "more often"), "zh": ("否", "是", "较少", "较多")}
REASON = {"en": "{label}: {own} (segment: {segment} than usual)", "zh": "{label}：{own}（所在分群：{segment}）"}
_COMMUNITY = "social.social_community_"
_ENTROPIES = ("item_entropy", "category_entropy", "novelty")
_OPAQUE = ("collaborative", "social_axis_", "hour_sin", "hour_cos", "weekday_sin", "weekday_cos")


def opaque(name: str) -> bool:
    """Whether a feature is a coordinate that no words can tell, such as a factor or a hash."""
    family, _, column = name.partition(".")
    return column.startswith(_OPAQUE) or family in _OPAQUE or "#" in column


def is_share(name: str) -> bool:
    """Whether a feature is 1 or 0: a value of an attribute, or that it is missing; or a community of the largest."""
    family, _, column = name.partition(".")
    return name.startswith(_COMMUNITY) or (family == "attributes" and ("=" in column or column.endswith(MISSING)))


def phrase(name: str) -> Phrase:
    """A feature in words; one without a phrase of its own is told by its column's words."""
    family, _, column = name.partition(".")
    if column in PHRASES:
        return PHRASES[column]
    if name.startswith(_COMMUNITY):
        number = int(name.removeprefix(_COMMUNITY)) + 1
        return Phrase(name, f"Community {number}", f"圈子 {number}")
    plain = column.removeprefix(f"{family}_").removeprefix("affinity_").replace("=", ": ").replace("_", " ")
    if family == "interest":
        return Phrase(name, f"affinity to {plain}", f"对{plain}的偏好")
    if family == "behaviour" and column.startswith("share_"):
        what = column.removeprefix("share_").replace("_", " ")
        return Phrase(name, f"share of {what} events", f"{what} 行为占比")
    if family == "behaviour" and column.startswith("funnel_"):
        what = column.removeprefix("funnel_").replace("_to_", " → ").replace("_", " ")
        return Phrase(name, f"conversion {what}", f"{what} 转化率")
    return Phrase(name, plain, plain)


def compared(name: str, own: float, segment: float, language: str) -> str:
    """Where a user and their segment stand on a feature, both in standard deviations from everybody's mean."""
    label = phrase(name).zh if language == "zh" else phrase(name).en
    if is_share(name):
        no, yes, fewer, more = YES[language]
        told = [yes if own > 0 else no, more if segment > 0 else fewer]
    else:
        told = [FAR[language][int(far > 0)][int(np.searchsorted((0.75, 1.75), abs(far)))] for far in (own, segment)]
    return REASON[language].format(label=label, own=told[0], segment=told[1])


def scaled(name: str) -> bool:
    """Whether a feature's own numbers mean nothing to a reader: standard deviations, or an entropy's nats and bits."""
    return name.startswith("attributes.") or name.partition(".")[2] in _ENTROPIES


def percent(share: float, language: str = "en") -> str:
    """A share in %, with a digit more where it is small."""
    none = "0%" if language == "zh" else "none"
    return none if share == 0 else "<0.1%" if share < 0.001 else f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def number(value: float) -> str:
    """A mean with three figures, never as a power of ten; one too small for a reader is about 0."""
    if 0 < abs(value) < 0.001:
        return "≈0"
    return f"{value:,.0f}" if abs(value) >= 1000 else _positional(value, 3)


def times(value: float) -> str:
    """A ratio with two figures; with three between 1 and 1.1, where two would say nothing."""
    return f"{value:,.0f}" if value >= 100 else _positional(value, 2 if value >= 1.1 else 3)


def _positional(value: float, figures: int) -> str:
    """As `%g` rounds it, without its exponent."""
    return np.format_float_positional(float(f"{value:.{figures}g}"), trim="-")
