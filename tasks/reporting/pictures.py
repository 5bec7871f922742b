"""Figures as functions of arrays: object-oriented matplotlib, no global state, no display.

MLflow keeps a figure as PNG on white; in the report it is SVG whose ink is the page's own text colour and whose ground
is clear, so that it reads in light and dark. Its texts are texts, which the reader's own fonts write, Chinese too:
matplotlib's font has none, so they are laid out with dashes that are as wide, and a PNG has to do without.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.phrases.words import ENGLISH, Words
from tasks.segments.colours import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_USERS = 5_000
_INK = "#252526"  # becomes the page's text colour in SVG; nothing else has this colour
_GRID = "#8f8f90"
_WIDE = re.compile("[\u2e80-\uffef]")  # letters as wide as they are high, which matplotlib's font lacks
_DASH = "—"  # as wide as one of those: stands for it while a figure is laid out
PLAIN = "#bbbbbb"
"""Of users without a segment."""
_STYLE: dict[Any, Any] = {
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "fenqun",
}


def _figure(width: float = 6.4, height: float = 4.2) -> "tuple[Figure, Axes]":
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def svg(figure: "Figure", title: str, prefix: str) -> str:
    """A figure as inline SVG, the same bytes each time.

    Args:
        figure: What to draw.
        title: What a screen reader says of it.
        prefix: Stands before every id, so that several figures can share a page.
    """
    import matplotlib

    out, wide = io.StringIO(), _spaced(figure)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True, dpi=110)
    text = out.getvalue()
    for name, words in wide.items():
        head, mark, rest = text.partition(f'<g id="{name}">')
        opened, end = rest.index(">", rest.index("<text")) + 1, rest.index("</text>")
        text = head + mark + rest[:opened] + _escaped(words.replace(r"\$", "$")) + rest[end:]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text).replace("url(#", f"url(#{prefix}-")
    text = text.replace('href="#', f'href="#{prefix}-').replace(_INK, "currentColor")
    for side in ("width", "height"):  # the page decides; the viewBox keeps the proportions
        text = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{_escaped(title)}"', 1)


def _escaped(words: str) -> str:
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(marks.get(letter, letter) for letter in words)


def latin(name: str) -> str:
    """A name for a PNG: nothing where matplotlib's font cannot write it."""
    return "" if _WIDE.search(name) else name


def _spaced(figure: "Figure") -> dict[str, str]:
    """Puts dashes for the wide letters of a figure's texts; returns the texts by the ids of their groups in SVG."""
    from matplotlib.text import Text

    found: dict[str, str] = {}
    for axis in (axis for plot in figure.axes for axis in (plot.xaxis, plot.yaxis)):
        said = [label.get_text() for label in axis.get_ticklabels()]
        if any(map(_WIDE.search, said)):  # the axis writes its labels anew at each drawing
            axis.set_ticklabels([_WIDE.sub(_DASH, words) for words in said])
            for label, words in zip(axis.get_ticklabels(), said, strict=True):
                _mark(label, words, found)
    for text in figure.findobj(Text):
        if isinstance(text, Text) and _WIDE.search(text.get_text()):
            _mark(text, text.get_text(), found)
    return found


def _mark(text: Any, words: str, found: dict[str, str]) -> None:
    name = f"wide{len(found)}"
    found[name] = words
    text.set(text=_WIDE.sub(_DASH, words), gid=name)


def user_map(
    X: np.ndarray, labels: np.ndarray, names: Sequence[str], colours: Sequence[str], seed: int, say: Words = ENGLISH
) -> "Figure":
    """Users on the first two principal axes of their vectors, a sample of at most 5,000, coloured by segment.

    The axes say how much of the variance they show; each segment's name stands at its median user.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:MAP_USERS])
    centred = np.asarray(X[rows], np.float64) - X[rows].mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    turned = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None] * axes
    points = np.column_stack([centred @ turned[:2].T, np.zeros((len(rows), 2))])[:, :2]
    shown = np.append(strengths**2, [0.0, 0.0])[:2] / max(float((strengths**2).sum()), 1e-12)
    figure, plot = _figure(7.6, 5.2)
    noise = labels[rows] < 0
    plot.scatter(points[noise, 0], points[noise, 1], s=7, color=PLAIN, linewidths=0, rasterized=True)
    for label, (name, colour) in enumerate(zip(names, colours, strict=True)):
        own = points[labels[rows] == label]
        plot.scatter(own[:, 0], own[:, 1], s=9, color=colour, linewidths=0, alpha=0.75, rasterized=True)
        if len(own):
            plot.annotate(_literal(name), np.median(own, axis=0), fontsize=7, ha="center", weight="bold", color=_INK)
    plot.set(xlabel=say("pictures.first_axis", share=shown[0]), ylabel=say("pictures.second_axis", share=shown[1]))
    return figure


def sizes(counts: Sequence[int], names: Sequence[str], colours: Sequence[str], say: Words = ENGLISH) -> "Figure":
    """Users of each segment."""
    figure, plot = _figure(6.4, max(2.0, 0.22 * len(counts) + 0.8))
    bars = plot.barh(range(len(counts)), counts, color=colours)
    plot.bar_label(bars, padding=3, fontsize=7, color=_INK)
    plot.set_yticks(range(len(counts)), [_literal(name) for name in names], fontsize=7.5)
    plot.invert_yaxis()
    plot.set(xlabel=say("pictures.users"))
    return figure


def against_k(
    k: Sequence[float], values: Sequence[float], what: str, chosen: float | None = None, say: Words = ENGLISH
) -> "Figure":
    """A measure against the number of segments, such as silhouette or the within-cluster sum of squares (elbow)."""
    figure, plot = _figure(6.4, 3.6)
    order = np.argsort(k, kind="stable")
    plot.plot(np.asarray(k)[order], np.asarray(values)[order], marker="o", color=PALETTE[0])
    if chosen is not None:
        plot.axvline(chosen, color=_GRID, linestyle="--", linewidth=1)
        plot.annotate(
            say("pictures.chosen"),
            (chosen, 1),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            ha="right",
            va="top",
            xytext=(-3, 0),
            textcoords="offset points",
            color=_INK,
        )
    plot.set(xlabel=say("pictures.segments"), ylabel=what)
    return figure


def silhouettes(
    values: np.ndarray, labels: np.ndarray, names: Sequence[str], colours: Sequence[str], say: Words = ENGLISH
) -> "Figure":
    """Every user's silhouette, grouped by segment and sorted (Rousseeuw 1987); the line is the mean over users."""
    figure, plot = _figure(6.4, 5.2)
    start, middles = 0, []
    gap = max(1, len(values) // 150)
    for label, colour in enumerate(colours):
        own = np.sort(values[(labels == label) & np.isfinite(values)])
        plot.fill_betweenx(np.arange(start, start + len(own)), 0, own, color=colour, linewidth=0)
        middles.append(start + len(own) / 2)
        start += len(own) + gap
    known = values[(labels >= 0) & np.isfinite(values)]
    if len(known):
        plot.axvline(float(known.mean()), color=_GRID, linestyle="--", linewidth=1)
    plot.set_yticks(middles, [_literal(name) for name in names], fontsize=7)
    plot.invert_yaxis()
    plot.set(xlabel=say("pictures.user_axis"), ylabel="")
    return figure


def k_distance(curve: np.ndarray, eps: float | None = None, say: Words = ENGLISH) -> "Figure":
    """Sorted distances to the k-th neighbour (Ester et al. 1996): where they bend lies eps."""
    figure, plot = _figure(6.4, 3.6)
    plot.plot(np.linspace(0, 1, len(curve)), np.sort(curve), color=PALETTE[0])
    if eps is not None:
        plot.axhline(eps, color=_GRID, linestyle="--", linewidth=1)
        plot.annotate(say("pictures.eps", eps=eps), (0, eps), fontsize=8, va="bottom", color=_INK)
    plot.set(xlabel=say("pictures.sampled_axis"), ylabel=say("pictures.distance_axis"))
    return figure


def dendrogram(linkage: np.ndarray, k: int | None = None, shown: int = 60, say: Words = ENGLISH) -> "Figure":
    """The tree of merges, its lowest branches gathered; the dashed line cuts it into k segments.

    Args:
        linkage: (m − 1, 4), SciPy's.
        k: Segments that the cut leaves; None: no line.
        shown: Branches drawn at most.
        say: The language of its words.
    """
    from scipy.cluster.hierarchy import dendrogram as tree

    figure, plot = _figure(7.6, 3.8)
    tree(
        linkage,
        p=shown,
        truncate_mode="lastp",
        ax=plot,
        no_labels=True,
        color_threshold=0,
        above_threshold_color=PALETTE[0],
    )
    merges = len(linkage)
    if k is not None and 1 < k <= merges:
        heights = np.sort(linkage[:, 2])
        plot.axhline(float(heights[merges - k : merges - k + 2].mean()), color=_GRID, linestyle="--", linewidth=1)
    told = say("pictures.branches", shown=min(shown, merges + 1), leaves=merges + 1)
    plot.set(xlabel=told, ylabel=say("pictures.height"))
    return figure


def intervals(
    names: Sequence[str], values: Sequence[float], ends: Sequence[tuple[float, float] | None], what: str
) -> "Figure":
    """A measure of several candidates with its 95 % intervals, such as stability or lift."""
    figure, plot = _figure(6.4, max(1.8, 0.3 * len(names) + 0.8))
    for row, (value, end) in enumerate(zip(values, ends, strict=True)):
        if end is not None:
            plot.plot(end, (row, row), color=PALETTE[0], linewidth=2, alpha=0.5)
        plot.plot(value, row, marker="o", color=PALETTE[0])
    plot.set_yticks(range(len(names)), [_literal(name) for name in names], fontsize=8)
    plot.invert_yaxis()
    plot.set(xlabel=what)
    return figure


def _literal(name: str) -> str:
    """A name in which no sign opens a formula."""
    return name.replace("$", r"\$")
