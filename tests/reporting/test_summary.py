"""The summary of a retrain on its flow run: everything is told, and the words of the data are never markup."""

from schemas.config import LedgerConfig
from schemas.pages import Pages
from schemas.reports import Change, Gate, Lineage, SegmentProfile, Verdict
from schemas.runs import Summary
from tasks.reporting.marked import plain, table
from tasks.reporting.summary import markdown
from tasks.segments.unclear import warned

GATES = (
    Gate(name="lift.model", passed=False, measured=0.1, bound=">= 0.2", why="too | low"),
    Gate(name="churn", passed=True, measured=0.0, bound="<= 0.5", why="fine"),
)
BORN = Lineage(ids=("s1", "s2"), changes=(Change(kind="born", old=(), new=("s1",)),), next_number=3)
KEPT = Change(kind="continued", old=("s1",), new=("s1",), overlap=0.875, cosine=0.5)


def told(**changes: object) -> Summary:
    facts = {
        "segmentation": "shop",
        "run_id": "abc",
        "experiment_id": "7",
        "prefect_run": "",
        "model_version": "3",
        "new_version": True,
        "chosen": "kmeans-k2",
        "reason": "the highest lift",
        "verdict": Verdict(promoted=True, gates=GATES[1:]),
        "profiles": (
            SegmentProfile(segment_id="s1", name="喜欢*电影*|剧集", size=1200, share=0.75),
            SegmentProfile(segment_id="s2", name="<b>a_b</b>\n# x", size=400, share=0.25),
        ),
        "lineage": BORN,
        "metrics": {},
        "report": "/home/reports/shop/abc.html",
        "pages": Pages(prefect="", mlflow="http://127.0.0.1:5100"),
    }
    return Summary(**{**facts, **changes})


def test_a_live_version_is_told_with_its_segments_and_where_to_read_on():
    page = markdown(told())
    assert page.startswith("**Promoted: version 3 of shop is live.** 1 of 1 gates passed.")
    assert "Chosen: kmeans-k2. the highest lift" in page
    assert "| s1 | 喜欢\\*电影\\*\\|剧集 | 1,200 | 75.0% |" in page
    assert "http://127.0.0.1:5100/#/experiments/7/runs/abc?workflowType=machine_learning" in page
    assert "http://127.0.0.1:5100/#/experiments/7/runs/abc/model-metrics?workflowType=machine_learning" in page
    assert "http://127.0.0.1:5100/#/models/shop/versions/3" in page
    report = "http://127.0.0.1:5100/#/experiments/7/runs/abc/artifacts/report/abc.html?workflowType=machine_learning"
    assert f"[report]({report}) (`/home/reports/shop/abc.html`)" in page
    assert "members kept" not in page  # there was nothing before


def test_segments_whose_names_say_nothing_are_warned_of_beside_the_verdict():
    plain = SegmentProfile(segment_id="s2", name="No clear profile (s2)", size=400, share=0.25, cites=())
    profiles = (told().profiles[0], plain)
    page = markdown(told(profiles=profiles, warning=warned(profiles)))
    assert "\n\n⚠ **1 of 2 segments has no clear profile: " in page.partition("Chosen")[0]
    assert "| s2 | ⚠ No clear profile (s2) |" in page
    assert "⚠" not in markdown(told())


def test_a_refused_version_is_told_with_every_gate_that_refused_it():
    page = markdown(told(verdict=Verdict(promoted=False, gates=GATES)))
    assert page.startswith("**Refused: version 3 of shop is not live; what was live stays.** 1 of 2 gates passed.")
    assert "\n\n- lift.model: too \\| low (bound \\>= 0.2)" in page
    assert "- churn" not in page


def test_who_overrode_is_told():
    assert "Overridden by ana: a \\*try\\*." in markdown(
        told(verdict=Verdict(promoted=True, gates=GATES, override="ana: a *try*"))
    )


def test_what_became_of_the_segments_before_is_told():
    page = markdown(told(lineage=BORN.model_copy(update={"changes": (KEPT,), "moved_share": 0.02})))
    assert "2.0% of the known users change segment." in page
    assert "| continued | s1 | s1 | 88% | 0.50 |" in page


def test_the_summary_speaks_chinese_where_the_segmentation_does():
    lineage = BORN.model_copy(update={"changes": (KEPT,), "moved_share": 0.02})
    page = markdown(told(verdict=Verdict(promoted=False, gates=GATES), lineage=lineage), "zh")
    assert page.startswith("**未通过：shop 第 3 版 没有上线，线上版本保持不变。** 2 项门禁中通过 1 项。")
    assert "| 分群 | 名称 | 用户数 | 占比 |" in page
    assert "| 延续 | s1 | s1 | 88% | 0.50 |" in page
    assert "2.0% 的老用户换了分群。" in page
    assert "[MLflow 中的运行]" in page


def test_words_of_the_data_are_never_markup():
    page = markdown(told())
    assert "\\<b\\>a\\_b\\</b\\> \\# x" in page
    assert plain("a\n\n b\\`c`") == "a b\\\\\\`c\\`"
    assert table(("x",), [("a|b",)]) == "| x |\n| --- |\n| a\\|b |"


def test_the_address_of_mlflow_has_no_secret():
    assert LedgerConfig().server is None
    assert LedgerConfig(tracking_uri="sqlite:////x.db").server is None
    assert LedgerConfig(tracking_uri="https://mlflow.example.org/").server == "https://mlflow.example.org"
    assert LedgerConfig(tracking_uri="https://ana:${PASSWORD}@mlflow.example.org").server is None
