"""The catalogue: both languages say the same, the page asks for all of it, and no sentence of another room is lost."""

import ast
import re
from pathlib import Path

import pytest

from schemas.config import SelectConfig
from schemas.reports import EvaluationReport, Metric
from tasks.candidates.differences import NOBODY, NOT_RECOMMENDED
from tasks.cleaning.reasons import Reason
from tasks.metrics.heldout_lift import EMPTY, UNREACHABLE
from tasks.phrases.words import ENGLISH, Words, catalogue, sentences
from tasks.registry.gate_input import FITTED_BEFORE
from tasks.selection.choose import choose, refusals
from tasks.yardsticks.gaps import NOT_BESIDE

ROOM = Path(__file__).resolve().parents[2] / "tasks" / "reporting"
CHINESE = Words("zh")
FIELD = re.compile(r"\{(\w+):?([^}]*)\}")
SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
"""Two words of English in a row: names of columns and candidates have no spaces."""


@pytest.mark.parametrize("key", catalogue())
def test_both_languages_say_the_same_with_the_same_values(key):
    english, chinese = catalogue()[key]
    assert english.strip()
    assert chinese.strip()
    assert sorted(FIELD.findall(english)) == sorted(FIELD.findall(chinese))
    assert not SENTENCE.search(chinese)


@pytest.mark.parametrize(("english", "chinese"), sentences())
def test_a_sentence_is_read_back_whole(english, chinese):
    """No more general sentence takes its place, and nothing of it stays English."""
    values = {name: {"n": "3", "w": "dbscan"}.get(kind, "甲") for name, kind in FIELD.findall(english)}
    assert set(values) == {name for name, _ in FIELD.findall(chinese)}
    plain = FIELD.sub(lambda found: values[found[1]], english)
    assert CHINESE.told(plain) == chinese.format(**values)
    assert ENGLISH.told(plain) == plain


def test_what_nobody_knows_stays_as_it_was_said():
    assert CHINESE.told("ann: campaign in spring") == "ann: campaign in spring"
    assert CHINESE.told("") == ""


def test_the_page_and_the_lists_ask_for_every_phrase_and_for_no_other():
    own = [path for path in ROOM.iterdir() if path.suffix in (".py", ".html")]
    text = "".join(path.read_text() for path in [*own, ROOM.parent / "histories" / "evidence.py"])
    assert set(re.findall(r'say\("([\w.]+\w)"', text)) <= set(catalogue())
    made = {*re.findall(r'"(\w+)\." ~', text), *re.findall(r'f"(\w+)\.\{', text)}  # sections of keys put together
    asked = set(re.findall(r"""["']([\w.]+)["']""", text))
    assert [key for key in catalogue() if key not in asked and key.split(".")[0] not in made] == []


def test_the_template_has_no_words_of_its_own():
    text = re.sub(r"<style>.*?</style>", "", (ROOM / "report.html").read_text(), flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
    shown = re.sub(r"<[^>]*>", " ", text)
    assert re.findall(r"[^\W\d_]{2,}", shown) == []
    assert re.findall(r'(?:aria-label|title|alt)="[^"]*[A-Za-z][^"]*"', text) == []


@pytest.mark.parametrize("words", [*Reason, NOBODY, NOT_RECOMMENDED, FITTED_BEFORE, NOT_BESIDE, EMPTY, UNREACHABLE])
def test_what_other_rooms_say_has_its_chinese(words):
    assert not SENTENCE.search(CHINESE.told(str(words)))


TASKS = ROOM.parent
MEASURED = [*(TASKS / "metrics").glob("*.py"), TASKS / "segments" / "identity.py", TASKS / "candidates" / "proof.py"]
FITTED = [*(TASKS / "clusterers").glob("*.py"), TASKS / "candidates" / "lessons.py"]


def written(node: ast.expr) -> str | None:
    """A text as it stands in a file, with a figure in the place of each value; None: it is made elsewhere."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "3" for part in node.values)
    return node.value if isinstance(node, ast.Constant) else None


def missing_for(paths: list[Path]) -> list[str]:
    """Every `reason=` of a figure that is missing."""
    found = (node.value for path in paths for node in ast.walk(ast.parse(path.read_text())) if
             isinstance(node, ast.keyword) and node.arg == "reason")  # fmt: skip
    return sorted({text for text in map(written, found) if text})


def refused_by(paths: list[Path]) -> list[str]:
    """Every DataError of a fit."""
    calls = (node.exc for path in paths for node in ast.walk(ast.parse(path.read_text())) if
             isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))  # fmt: skip
    return sorted({written(call.args[0]) or "" for call in calls if ast.unparse(call.func) == "DataError"})


def test_what_a_fit_or_a_figure_says_was_found():
    assert {"no user has a segment", "needs two segments, has 3"} <= {*missing_for(MEASURED)}
    assert "" not in refused_by(FITTED), "an error that is put together elsewhere is not held to the catalogue"
    assert len(refused_by(FITTED)) >= 15


@pytest.mark.parametrize("words", [*missing_for(MEASURED), *refused_by(FITTED)])
def test_why_a_figure_is_missing_or_a_candidate_could_not_be_fitted_is_told_in_chinese(words):
    told = CHINESE.told(words)
    assert not SENTENCE.search(told), told


def report(name, lift=0.4, count=20, noise=0.0, smallest=40, largest=0.1, churn=0.0, **params):
    sizes = {"count": count, "smallest_users": smallest, "largest_share": largest}
    values = {"heldout_lift": lift, "stability": 0.8, "noise_share": noise, "silhouette": 0.2, "churn": churn}
    metrics = {key: Metric(name=key, value=value, n=9) for key, value in values.items()}
    metrics["balance"] = Metric(name="balance", value=0.7, n=9, details=sizes)
    return EvaluationReport(candidate=name, kind="kmeans", params=params, metrics=metrics)


@pytest.mark.parametrize(
    "contest",
    [
        [report("kmeans-k20")],
        [report("kmeans-k20"), report("kmeans-k30", count=30), report("dbscan", count=40)],
        [report("kmeans-k20"), report("kmeans-k30", lift=0.1)],
        [report("kmeans-k20", churn=0.3), report("kmeans-k30", churn=0.1)],
        [report("kmeans-k20", lift=None), report("kmeans-k30", lift=None)],
        [report("kmeans-k20", k=25), report("kmeans-k30", lift=0.1, k=30)],
    ],
    ids=["alone", "tie", "next", "churn", "no lift", "overasked"],
)
def test_the_reasons_of_a_choice_are_told_in_chinese(contest):
    found = CHINESE.told(choose(contest, SelectConfig()).reason)
    assert not SENTENCE.search(found), found
    assert "kmeans-k20" in found


@pytest.mark.parametrize(
    "bad",
    [
        report("a", noise=0.9), report("a", count=2), report("a", count=1), report("a", smallest=1),
        report("a", largest=0.99),
        report("a").model_copy(update={"metrics": {
            "basis.unknown.interest.categories": Metric(name="x", value=0.9, n=9),
            "basis.silent.behaviour": Metric(name="x", value=0.9, n=9),
            "basis.variance": Metric(name="x", value=0.1, n=9)}}),
        report("a").model_copy(update={"metrics": {"balance": Metric(name="balance", value=None, n=0)}}),
    ],
)  # fmt: skip
def test_why_a_candidate_is_refused_is_told_in_chinese(bad):
    reasons = [CHINESE.told(one) for one in refusals(bad, SelectConfig())]
    assert reasons
    assert [one for one in reasons if SENTENCE.search(one)] == []
