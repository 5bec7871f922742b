"""What a claim and a reason say, in English and Chinese: sentences and numbers."""

import numpy as np

from tasks.segments._phrases import is_share, phrase

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
_ENTROPIES = ("item_entropy", "category_entropy", "novelty")


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
