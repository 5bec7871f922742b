"""What to tell a person of segments whose names say nothing: how many, why, and what would give them words."""

from collections.abc import Sequence
from typing import Literal

from schemas.reports import SegmentProfile

_TOLD = {
    "en": (
        "{few} of {all} segments {verb} no clear profile: nothing that was measured says in words what they are. "
        "What gives words: categories and titles of items, attributes of users, texts, in the source; more feature "
        "families; names for codes in describe.glossary; or fewer segments (k in search)."
    ),
    "zh": (
        "{all} 个分群中有 {few} 个特征不明显：测量结果不足以用文字说明它们与其他分群的区别。"
        "可以提供文字的有：数据源中物品的类目与标题、用户属性、文本；更多的特征族；"
        "在 describe.glossary 中为代码命名；或减少分群数（search 中的 k）。"
    ),
}


def warned(profiles: Sequence[SegmentProfile], language: Literal["en", "zh"] = "en") -> str | None:
    """The warning of a run where some segments have a name of last resort; None: every name says something."""
    few = sum(profile.unclear for profile in profiles)
    verb = "has" if few == 1 else "have"
    return _TOLD[language].format(few=few, all=len(profiles), verb=verb) if few else None
