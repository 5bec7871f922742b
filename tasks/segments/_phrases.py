"""Features in words, in English and Chinese: what a claim calls them, and the words that a name may use."""

import re
from typing import NamedTuple

from schemas.tables import MISSING
from tasks.segments.codes import speaks


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
_TREND = {"en": ("growing activity", "fading activity"), "zh": ("活跃度上升", "活跃度下降")}
_PAUSES = {"en": ("long pauses", "short pauses"), "zh": ("行为间隔长", "行为间隔短")}
_REGULAR = {"en": ("regular visitors", "irregular visitors"), "zh": ("到访规律", "到访不规律")}
_SESSIONS = {"en": ("long sessions", "short sessions"), "zh": ("会话长", "会话短")}
_HALF = {"en": ("more active 0:00–12:00", "more active 12:00–24:00"), "zh": ("0–12 点较活跃", "12–24 点较活跃")}
_NIGHT = {"en": ("more active 18:00–6:00", "more active 6:00–18:00"), "zh": ("18–6 点较活跃", "6–18 点较活跃")}
_HOURS = {"en": ("always at the same hours", "at any hour"), "zh": ("时段固定", "时段不固定")}
_WEEKEND = {"en": ("more active Tuesday–Thursday", "more active Friday–Sunday"), "zh": ("周中较活跃", "周末较活跃")}
_MONDAY = {"en": ("more active Sunday–Tuesday", "more active Thursday–Friday"), "zh": ("周初较活跃", "周四周五较活跃")}
_DAYS = {"en": ("always on the same weekdays", "on any weekday"), "zh": ("星期固定", "星期不固定")}
_REPEATS = {"en": ("repeating the same items", "seldom the same item twice"), "zh": ("常重复同一物品", "少重复物品")}
_BROAD = {"en": ("broad tastes", "focused tastes"), "zh": ("兴趣广泛", "兴趣专一")}
_NICHE = {"en": ("niche tastes", "mainstream tastes"), "zh": ("偏好小众", "偏好大众")}
_LONG = {"en": ("long-standing users", "new users"), "zh": ("老用户", "新用户")}
_SPEND = {"en": ("high spenders", "low spenders"), "zh": ("高消费用户", "低消费用户")}
_RATING = {"en": ("generous raters", "strict raters"), "zh": ("评分宽松", "评分严格")}
_STRICT = {language: (words[1], words[0]) for language, words in _RATING.items()}
_MIXED = {"en": ("mixed ratings", "even ratings"), "zh": ("评分起伏大", "评分一致")}
_SOCIAL = {"en": ("well-connected users", "solitary users"), "zh": ("社交广泛", "社交稀疏")}
_SOUGHT = {"en": ("hubs that many tie to", "users whom few tie to"), "zh": ("众人联系的枢纽", "少有人主动联系")}
_SEEKING = {"en": ("tying to many", "tying to few"), "zh": ("主动联系多", "主动联系少")}
_STANDING = {"en": ("influential hubs", "little standing among ties"), "zh": ("社交影响力高", "社交影响力低")}
_CORE = {"en": ("in the densest circles", "outside the dense circles"), "zh": ("处于紧密核心", "处于核心之外")}
_MUTUAL = {"en": ("mutual ties", "one-way ties"), "zh": ("互相联系", "单向联系")}
_KNIT = {"en": ("tightly knit circles", "loosely knit circles"), "zh": ("圈子紧密", "圈子松散")}
_BRIDGE = {"en": ("bridges between communities", "keeping to their community"), "zh": ("跨圈子的桥梁", "专注本圈子")}

PHRASES: dict[str, Phrase] = {
    "recency_days": Phrase("recency", "days since the last event", "距上次行为天数", _RECENT),
    "tenure_days": Phrase("tenure", "days since the first event", "距首次行为天数", _LONG),
    "events": Phrase("activity", "events per user", "人均行为数", _ACTIVE),
    "events_per_day": Phrase("activity", "events per day", "日均行为数", _ACTIVE),
    "active_days": Phrase("activity", "active days", "活跃天数", _ACTIVE),
    "active_day_share": Phrase("activity", "share of days active", "活跃天数占比", _ACTIVE),
    "activity_tier": Phrase("activity", "activity tier (0–2)", "活跃等级（0–2）", _ACTIVE),
    "trend": Phrase("trend", "trend of activity (−1 to 1)", "活跃趋势（−1 至 1）", _TREND),
    "gap_mean_days": Phrase("gaps", "mean days between events", "平均间隔天数", _PAUSES),
    "gap_median_days": Phrase("gaps", "median days between events", "间隔天数中位数", _PAUSES),
    "gap_regularity": Phrase("regularity", "regularity of visits (0–1)", "到访规律性（0–1）", _REGULAR),
    "sessions": Phrase("activity", "sessions per user", "人均会话数", _ACTIVE),
    "session_minutes_mean": Phrase("sessions", "minutes per session", "每会话分钟数", _SESSIONS),
    "session_depth_mean": Phrase("sessions", "events per session", "每会话行为数", _SESSIONS),
    "session_depth_max": Phrase("activity", "events in the longest session", "最长会话行为数", _ACTIVE),
    # Hours are by the clock of the config, UTC where it says nothing: so names tell hours and no evening or night.
    "hour_sin": Phrase("hours", "activity before noon rather than after", "0–12 点相对 12–24 点的活跃度", _HALF),
    "hour_cos": Phrase("hours", "activity nearer midnight than noon", "18–6 点相对 6–18 点的活跃度", _NIGHT),
    "hour_concentration": Phrase("rhythm", "keeping to one hour of day (0–1)", "时段集中度（0–1）", _HOURS),
    "weekday_sin": Phrase("weekdays", "activity in midweek rather than at weekends", "周中相对周末的活跃度", _WEEKEND),
    "weekday_cos": Phrase(
        "weekdays", "activity early in the week rather than late", "周初相对周四周五的活跃度", _MONDAY
    ),
    "weekday_concentration": Phrase("rhythm", "keeping to one weekday (0–1)", "星期集中度（0–1）", _DAYS),
    "distinct_items": Phrase("activity", "different items per user", "人均不同物品数", _ACTIVE),
    "repeat_share": Phrase("repeats", "share of repeated items", "重复物品占比", _REPEATS),
    "item_entropy": Phrase("activity", "spread over items", "物品分散度"),
    "top_item_share": Phrase("activity", "share of the commonest item", "最常物品占比"),
    "value_sum": Phrase("money", "total value per user", "人均总金额", _SPEND),
    "value_mean": Phrase("money", "mean value of an event", "单次平均金额", _SPEND),
    "rating_mean": Phrase("ratings", "mean rating", "平均评分", _RATING),
    "rating_std": Phrase("rating spread", "spread of ratings", "评分离散度", _MIXED),
    "rating_strictness": Phrase("ratings", "strictness against others' ratings", "相对他人的评分严格度", _STRICT),
    "category_entropy": Phrase("breadth", "breadth over categories", "类目广度", _BROAD),
    "categories_touched": Phrase("breadth", "categories per user", "人均类目数", _BROAD),
    "novelty": Phrase("novelty", "rarity of the items", "物品稀有度", _NICHE),
    "long_tail_share": Phrase("novelty", "share of long-tail items", "长尾物品占比", _NICHE),
    "social_degree": Phrase("ties", "ties per user", "人均联系人数", _SOCIAL),
    "social_degree_in": Phrase("ties in", "users who tie to one", "被联系人数", _SOUGHT),
    "social_degree_out": Phrase("ties out", "users whom one ties to", "主动联系人数", _SEEKING),
    "social_weight_in": Phrase("ties in", "strength of ties received", "收到的联系强度", _SOUGHT),
    "social_weight_out": Phrase("ties out", "strength of ties given", "发出的联系强度", _SEEKING),
    "social_pagerank": Phrase("ties in", "standing among ties (1: as anyone)", "社交影响力（1 为平均）", _STANDING),
    "social_core": Phrase("ties", "ties within the densest circle", "最紧密圈内联系数", _CORE),
    "social_reciprocity": Phrase("reciprocity", "reciprocated ties (0–1)", "互惠度（0–1）", _MUTUAL),
    "social_clustering": Phrase("clustering", "neighbours who know one another (0–1)", "邻居互识度（0–1）", _KNIT),
    "social_bridging": Phrase("bridging", "ties to other communities (0–1)", "跨圈子联系占比（0–1）", _BRIDGE),
    "social_active": Phrase("ties out", "share who started ties of late", "近期主动联系占比"),
}
_COMMUNITY = "social.social_community_"
_OPAQUE = ("collaborative", "social_axis_")
_COORDINATE = re.compile(r"^([a-z0-9_]+)\.\1_\d+$")
"""A column that is its block's name and a number."""


def opaque(name: str) -> bool:
    """Whether a feature is a coordinate that no words can tell, such as a factor or a hash."""
    family, _, column = name.partition(".")
    return column.startswith(_OPAQUE) or family in _OPAQUE or "#" in column or bool(_COORDINATE.match(name))


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
    if family == "attributes":
        return _attribute(name, column.removeprefix("attributes_"))
    if family == "interest":
        what = spoken(column.removeprefix("affinity_"))
        liked = {"en": (f"fond of {what}", f"not fond of {what}"), "zh": (f"偏好{what}", f"不偏好{what}")}
        return Phrase(name, f"affinity to {what}", f"对{what}的偏好", liked)
    if family == "behaviour" and column.startswith("share_"):
        what = spoken(column.removeprefix("share_"))
        much = {"en": (f"many {what} events", f"few {what} events"), "zh": (f"{what} 行为多", f"{what} 行为少")}
        return Phrase(name, f"share of {what} events", f"{what} 行为占比", much)
    if family == "behaviour" and column.startswith("funnel_"):
        what = " → ".join(spoken(step) for step in column.removeprefix("funnel_").split("_to_"))
        often = {"en": (f"often {what}", f"seldom {what}"), "zh": (f"{what} 转化高", f"{what} 转化低")}
        return Phrase(name, f"conversion {what}", f"{what} 转化率", often)
    return _amount(name, spoken(column.removeprefix(f"{family}_")))


def _attribute(name: str, column: str) -> Phrase:
    """A column of the users table: a value of it, that it has none, or how much."""
    what, sign, value = column.partition("=")
    if sign:
        told = f"{spoken(what)}: {value.replace('_', ' ') if speaks(value) else value}"
        return Phrase(name, told, told)
    if column.endswith(MISSING):
        what = spoken(column.removesuffix(MISSING))
        return Phrase(name, f"{what}: unknown", f"{what}: 未知")
    return _amount(name, spoken(column))


def _amount(name: str, what: str) -> Phrase:
    return Phrase(name, what, what, {"en": (f"{what}: high", f"{what}: low"), "zh": (f"{what}偏高", f"{what}偏低")})


def spoken(column: str) -> str:
    """A column's name as words: `signup_channel`, `signup.channel` and `signupChannel` are all signup channel."""
    if not speaks(column):
        return column
    parted = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", column)
    plain = " ".join(re.sub(r"[_.]", " ", parted.lower() if parted != column else parted).split())
    return plain or column
