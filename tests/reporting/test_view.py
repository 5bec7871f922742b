"""The report: what it must say, that it says it plainly, and that nothing in the data can speak through it."""

import re
from html.parser import HTMLParser

import pytest

from schemas.gates import CHAMPION, MODEL, PRECISION, RECIPE, UNSEEN, GroupFigures
from schemas.reports import (
    Accounting,
    Change,
    Choice,
    Difference,
    EvaluationReport,
    Gate,
    Lineage,
    Metric,
    RuleResult,
    SegmentProfile,
    ValidationReport,
    Verdict,
)
from schemas.yardsticks import Compared, Way, Yardsticks
from tasks.reporting.view import Picture, ReportView, SetAside, render, rows, sentence, unseen
from tasks.segments.unclear import warned

DETAILS = {
    "precision": 0.15, "recall": 0.11, "coverage": 0.2, "global_precision": 0.1, "global_recall": 0.07,
    "global_coverage": 0.04, "random_precision": 0.095, "random_recall": 0.06, "random_coverage": 0.07,
    "intervals": {
        "precision": (0.14, 0.16), "global_precision": (0.09, 0.11), "lift_over_random_precision": (0.4, 0.7),
    },
}  # fmt: skip
VOID = {"meta", "br", "img", "hr", "link", "input"}


def heldout(value=0.5, interval=(0.4, 0.6), **details):
    return Metric(name="heldout_lift", value=value, n=900, interval=interval, seed=7, details={**DETAILS, **details})


def table(protocol):
    """Segments, a one-to-one recommender and popularity side by side."""

    def beside(value):
        gap = Difference(value=value, low=value - 0.03, high=value + 0.03, n=9, base=0.1)
        return Compared(top_n=10, gap=gap, p=0.001, adjusted=0.002, saying="helps")

    ways = (
        Way(name="segment_popularity", figures={"precision": 0.15}, against=beside(0.05)),
        Way(name="ease", figures={"precision": 0.163, "recall": 0.12}, against=beside(0.06)),
        Way(name="global_popularity", figures={"precision": 0.1}),
    )
    counts = {"warm_users": 12, "cold_users": 3, "warm_items_held_out": 40, "cold_items_held_out": 5}
    return Yardsticks(
        protocol=protocol, top_n=10, users=9, items=20, baseline="global_popularity", ways=ways, counts=counts,
        segments={"s001": beside(0.05)}, skipped={"content": WHY},
    )  # fmt: skip


def view(**changes):
    profile = SegmentProfile(segment_id="s001", name="War & Drama", size=9, share=0.9, evidence=("War: 9% of events",),
                             top_categories=("War",), top_items=("Das Boot",), silhouette=0.1)  # fmt: skip
    rules = (
        RuleResult(rule="events.rows", table="events", severity="error", passed=True, checked=9, failed=0),
        RuleResult(rule="events.known", table="events", severity="warn", passed=False, checked=9, failed=1,
                   observed="89 %", bound="95 %"),
    )  # fmt: skip
    told = {
        "segmentation": "films", "as_of": "2026-01-31 00:00 UTC", "model_version": "3", "run_id": "abc",
        "profiles": (profile,),
        "evaluations": (
            EvaluationReport(candidate="kmeans-k2", kind="kmeans", params={"k": 2}, metrics={
                "stability": Metric(name="stability", value=0.8, n=9, interval=(0.7, 0.9)),
                "silhouette": Metric(name="silhouette", value=None, n=9, reason="one segment"),
            }),
            EvaluationReport(candidate="dbscan", kind="dbscan", params={}, metrics={}, refused=("75.0% are noise",)),
        ),
        "choice": Choice(chosen="kmeans-k2", reason="It has the highest lift.", ranking=(), refused={}),
        "verdict": Verdict(promoted=True, gates=(Gate(name="lift", passed=True, measured=1, bound="≥ 0", why="fine"),)),
        "lineage": Lineage(ids=("s001",), changes=(Change(kind="split", old=("s009",), new=("s001",), overlap=0.75),),
                           next_number=10, moved_share=0.031),
        "lifts": {RECIPE: heldout(seen=0.0), MODEL: heldout(0.52, precision=0.152, seen=1.0)},
        "yardsticks": (table("user"), table("date")),
        "groups": {"gender": {"F": GroupFigures(n=4, unassigned=0.25), "M": GroupFigures(n=5, unassigned=0.0, against={
            PRECISION: Difference(value=-0.0123, low=-0.02, high=-0.001, n=5, base=0.15)})}},
        "accounts": (Accounting(table="events", read=12345, accepted=12340, quarantined=4, deduplicated=1),),
        "set_aside": (SetAside(table="events", column="timestamp", reason="after as_of", rows=4),),
        "validations": (ValidationReport(stage="raw", results=rules),),
        "docs": {"raw": "../docs/index.html"},
    }  # fmt: skip
    return ReportView(**{**told, **changes})


class Page(HTMLParser):
    """Checks that tags nest, and gathers them with the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += f" {data}"


def test_everything_that_was_told_is_there():
    page = Page(render(view()))
    for words in (
        "Everyone's own last fifth Recommending by these segments finds +50.0% hits against the strongest popularity "
        "(+20.0% to +80.0%): it helps.", "What came after one date Recommending by these segments finds",
        "one-to-one by items (EASE), finds +60.0%, so that segments go 83% of that way", "12 users who had been there",
        f"Not measured: what items are about ({WHY}).", "s001 9 +50.0% +20.0% to +80.0% helps",
        "films: 1 segments, version 3", "Promoted", "War: 9% of events", "Das Boot", "global popularity",
        "random segments of the same sizes", "one-to-one by items (EASE)", "0.163", "0.140 to 0.160",
        "It has the highest lift.",
        "75.0% are noise", "split", "75.0%", "12,345", "after as_of", "1 of 2 expectations passed", "89 %",
        "Known users who moved 3.1%", "Groups of users by gender", "-0.0200 to -0.0010", "These segments help",
        "the registered segments themselves (100% of the slice seen)", "0.152", "1 of 1 gates passed",
    ):  # fmt: skip
        assert words in page.text, words
    assert ("a", {"href": "../docs/index.html"}) in page.tags


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "1 of 2 segments has no clear profile"), ("zh", "2 个分群中有 1 个特征不明显")],
)
def test_a_name_that_says_nothing_is_warned_of_at_the_top_and_marked_at_its_segment(language, words):
    named = SegmentProfile(segment_id="s001", name="War", size=9, share=0.5, cites=("category:War",))
    plain = SegmentProfile(segment_id="s002", name="No clear profile (s002)", size=9, share=0.5, cites=())
    page = Page(render(view(profiles=(named, plain), warning=warned((named, plain), language))))
    top, _, rest = page.text.partition("Skip to the segments")[2].partition("most telling")
    assert words in top
    assert "glossary" in top, "what to do about it"
    assert rest.count("⚠ No clear profile (s002)") == 2
    assert "⚠ War" not in rest
    assert "⚠" not in Page(render(view(profiles=(named,), warning=warned((named,), language)))).text


def test_it_is_self_contained_and_accessible():
    text = render(view(pictures=(Picture(caption="Map", svg="<svg></svg>", place="segments"),)))
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "script" not in tags
    assert ("html", {"lang": "en"}) in page.tags
    assert any(attrs.get("name") == "viewport" for _, attrs in page.tags)
    assert "prefers-color-scheme: dark" in text
    assert tags.count("caption") == tags.count("table")
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    inner = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a" and attrs["href"].startswith("#")}
    assert inner <= set(ids)
    assert tags.count("figure") == tags.count("figcaption") == 1


WHY = "content needs item texts or categories, and a weight above 0 for what there is"
ABBREVIATIONS = {"ARI", "ALS", "EASE", "NDCG", "UTC", "Davies", "Bouldin", "Calinski", "Harabasz"}


def spoken(one):
    """Every text of a report's fields, however deep."""
    if isinstance(one, dict):
        return [text for pair in one.items() for value in pair for text in spoken(value)]
    return [text for value in one for text in spoken(value)] if isinstance(one, list) else [str(one)]


def test_in_chinese_the_page_says_no_english_of_its_own():
    gates = (
        Gate(name="churn", passed=False, measured=0.4, bound="<= 0.1", why="share of users without a segment: 0.4"),
        Gate(name="lift", passed=True, measured=None, bound="none", why="there is no champion yet", compared=False),
    )
    parts = {UNSEEN: heldout(0.4), f"{CHAMPION}{UNSEEN}": heldout(-0.1), **view().lifts}
    for changes in ({}, {"verdict": Verdict(promoted=False, gates=gates)}, {"lifts": parts, "set_aside": ()}):
        found = view(language="zh", **changes)
        text = render(found)
        page = Page(text)
        labels = " ".join(value for _, attrs in page.tags if (value := attrs.get("aria-label")))
        data = set(re.findall("[A-Za-z]{2,}", " ".join(spoken(found.model_dump(mode="json"))))) - {"split"}
        assert set(re.findall("[A-Za-z]{2,}", f"{page.text} {labels}")) - data - ABBREVIATIONS == set()
        assert ("html", {"lang": "zh"}) in page.tags


def test_in_chinese_everything_that_was_told_is_there():
    gate = Gate(
        name="churn", passed=False, measured=0.4, bound="0 to 7 days", why="age of the newest event, days: 9.00"
    )
    late = (SetAside(table="events", column="timestamp", reason="after the moment the run looks at", rows=4),)
    kept = Gate(name="data.kept", passed=True, measured=1, bound="0 missing", why="all hold")
    refused = Verdict(promoted=False, gates=(gate, kept))
    text = Page(render(view(language="zh", verdict=refused, set_aside=late))).text
    for words in (
        "films：1 个分群，第 3 版", "未通过", "使用方看到的仍是上一版", "老用户换群比例 3.1%", "0.140 至 0.160",
        "churn ：最新行为距今天数：9.00（要求：0 至 7 天）。", "同等规模的随机分群", "拆分", "跳到分群列表",
        "这些分群有用：按分群推荐的命中数比全局热门多 50.0%", "晚于本次运行的截止时刻", "按 gender 划分的用户群体",
        "2 条校验规则中通过 1 条；", "1 条未通过", "注册的分群本身（已见过评估段的 100%）",
        "运行 abc · 模型 films 第 3 版", "data.kept ✓ 是 1 缺失 0 项 全部满足", "churn ✗ 否 0.400 0 至 7 天 最新行为",
    ):  # fmt: skip
        assert words in text, words


def test_texts_of_the_data_are_never_markup():
    evil = '<img src=x onerror="alert(1)">'
    profile = SegmentProfile(
        segment_id="s001", name=evil, size=1, share=1, evidence=(evil,), top_items=(evil,), note=evil
    )
    page = Page(render(view(profiles=(profile,), segmentation=evil, set_aside=(
        SetAside(table=evil, column=evil, reason=evil, rows=1),))))  # fmt: skip
    assert "img" not in [tag for tag, _ in page.tags]
    assert page.text.count(evil) >= 6


def test_failed_expectations_and_gates_come_first():
    found = view()
    assert [rule.rule for _, rule in found.rules] == ["events.known", "events.rows"]
    gates = (Gate(name="fine", passed=True, measured=1, bound="", why=""),
             Gate(name="churn", passed=False, measured=0.4, bound="≤ 0.1", why="too many move"))  # fmt: skip
    text = Page(render(view(verdict=Verdict(promoted=False, gates=gates)))).text
    assert "Refused by churn : too many move (bound ≤ 0.1)." in text
    section = text[text.index("A candidate becomes live") :]
    assert section.index("churn") < section.index("fine")


def test_candidates_stand_in_the_order_of_the_choice():
    choice = Choice(chosen="dbscan", reason="", ranking=("dbscan", "kmeans-k2"), refused={})
    assert [one.candidate for one in view(choice=choice).ranked] == ["dbscan", "kmeans-k2"]
    assert [one.candidate for one in view().ranked] == ["kmeans-k2", "dbscan"]


def test_an_override_is_told():
    assert (
        "Promoted against the gates: ann: campaign"
        in Page(render(view(verdict=Verdict(promoted=True, gates=(), override="ann: campaign")))).text
    )


@pytest.mark.parametrize(
    ("metric", "helps", "words"),
    [
        (heldout(), True, "These segments help: recommending by segment finds 50.0% more hits than global"),
        (heldout(value=0.01, interval=(-0.1, 0.12)), False, "don't help: recommending by segment finds 1.0% more"),
        (heldout(value=-0.2, interval=(-0.3, -0.1)), False, "don't help: recommending by segment finds 20.0% fewer"),
        (heldout(interval=None), False, "These segments don't help"),
        (heldout(intervals={"lift_over_random_precision": (-0.1, 0.1)}), False, "random segments of the same sizes do"),
        (Metric(name="x", value=None, n=0, reason="no events"), False, "could not be measured (no events)"),
    ],
)  # fmt: skip
def test_the_sentence_is_plain(metric, helps, words):
    assert sentence(metric)[0] is helps
    assert words in sentence(metric)[1]
    assert sentence(metric)[1] in Page(render(view(lifts={RECIPE: metric}))).text


def test_rivals_stand_beside_the_segments():
    found = rows({RECIPE: heldout()})
    assert [row.name for row in found][1:] == ["global popularity", "random segments of the same sizes"]
    assert [row.ours for row in found] == [True, False, False]
    assert found[1].values == (0.1, 0.07, 0.04)
    assert found[1].intervals == ((0.09, 0.11), None, None)
    assert rows({RECIPE: Metric(name="x", value=0.1, n=1)})[0].values == (None, None, None)


def test_what_each_number_has_seen_stands_beside_it():
    """The recipe, the registered model, the champion's recipe and what readers have are four different objects."""
    told = {RECIPE: 0.0, MODEL: 1.0, f"{CHAMPION}{RECIPE}": 0.0, f"{CHAMPION}{MODEL}": 0.25}
    lifts = {name: heldout(precision=0.1 + 0.01 * i, seen=seen) for i, (name, seen) in enumerate(told.items())}
    found = rows(lifts)
    assert [row.values[0] for row in found[:4]] == [pytest.approx(0.1 + 0.01 * i) for i in range(4)]
    assert "(100% of the slice seen)" in found[1].name
    assert "readers have today (25% of the slice seen)" in found[3].name
    assert unseen(lifts) is None
    both = {UNSEEN: heldout(0.4), f"{CHAMPION}{UNSEEN}": heldout(-0.1)}
    words = (
        "On what 900 users did since the champion was published, which neither has seen: +40.0% by this recipe, -10.0%"
    )
    assert words in Page(render(view(lifts={**lifts, **both}))).text


def test_a_gate_that_compared_nothing_is_not_called_passed():
    silent = Gate(name="lift.unseen", passed=True, measured=None, bound="none", why="no champion", compared=False)
    gates = (silent, Gate(name="churn", passed=True, measured=0.1, bound="<= 0.2", why="few move"))
    text = Page(render(view(verdict=Verdict(promoted=True, gates=gates)))).text
    assert "1 of 1 gates passed, 1 had nothing to compare" in text
    assert "lift.unseen – nothing to compare" in text


def test_a_name_that_the_evidence_says_no_more_is_told():
    profile = view().profiles[0].model_copy(update={"renamed": "Comedy"})
    change = Change(kind="continued", old=("s001",), new=("s001",), overlap=0.9)
    lineage = Lineage(ids=("s001",), changes=(change,), next_number=2)
    text = Page(render(view(profiles=(profile,), lineage=lineage))).text
    assert "no longer “Comedy”: now “War & Drama”" in text


def test_the_head_counts_the_users_whom_readers_see():
    text = Page(render(view(assigned={"s001": 4, None: 6}))).text
    assert "Users with a segment 4 60.0% without" in text
    assert "Users with a segment 9" in Page(render(view())).text


def test_a_segments_silhouette_says_in_what_it_was_measured():
    metric = Metric(name="silhouette", value=0.2, n=9, space="euclidean", details={"cosine": 0.3})
    sampled = metric.model_copy(update={"details": {"cosine": 0.3, "segments_space": "sqeuclidean"}})
    for one, space in ((metric, "euclidean"), (sampled, "sqeuclidean")):
        found = EvaluationReport(candidate="kmeans-k2", kind="kmeans", params={}, metrics={"silhouette": one})
        assert f"share silhouette {space} most telling" in Page(render(view(evaluations=(found,)))).text


def test_a_first_version_has_no_table_of_what_became_of_the_segments():
    born = Lineage(ids=("s001",), changes=(Change(kind="born", old=(), new=("s001",)),), next_number=2)
    text = Page(render(view(lineage=born))).text
    assert "There is no version before to compare with." in text
    assert "members kept" not in text
    assert "members kept" in Page(render(view())).text


def test_what_is_absent_is_left_out():
    none = {"lifts": {}, "groups": {}, "profiles": (), "accounts": (), "set_aside": (), "docs": {}}
    lineage = Lineage(ids=(), changes=(), next_number=1)
    text = Page(render(view(**none, validations=(), evaluations=(), lineage=lineage))).text
    assert "No row was set aside." in text
    assert "There is no version before to compare with." in text
    assert "global popularity" not in text


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "deep-k2 was fitted from 5 seeds"), ("zh", "deep-k2 用 5 个随机种子各拟合一次")],
)
def test_what_depends_on_the_seed_is_told_with_its_spread(language, words):
    spread = {
        "count": 5,
        "low": 0.61,
        "high": 0.83,
        "silhouette": 0.22,
        "silhouette_low": 0.21,
        "silhouette_high": 0.24,
    }
    metrics = {
        "fits": Metric(name="fits", value=0.72, n=9, details={**spread, "wcss": 12.5, "wcss_low": 11, "wcss_high": 13})
    }
    found = EvaluationReport(candidate="deep-k2", kind="deep", params={"k": 2}, metrics=metrics)
    text = Page(render(view(language=language, evaluations=(found,)))).text
    assert words in text
    for figure in ("0.720", "0.610", "0.830", "0.220", "0.210", "0.240", "12.5"):
        assert figure in text
    assert words not in Page(render(view(language=language))).text
