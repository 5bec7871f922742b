"""Figures as functions of arrays: object-oriented matplotlib, no global state, no display."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_USERS = 5_000
PALETTE = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0",
)  # fmt: skip


def _figure(width: float = 6.4, height: float = 4.4) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def svg(figure: "Figure") -> str:
    """A figure as inline SVG, the same bytes each time."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "fenqun"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def user_map(X: np.ndarray, labels: np.ndarray, names: Sequence[str], seed: int) -> "Figure":
    """Users on the first two principal axes of their vectors, a sample of at most 5,000, coloured by segment."""
    rows = np.random.default_rng(seed).permutation(len(X))[:MAP_USERS]
    centred = X[rows] - X[rows].mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)
    points = centred @ axes.T
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    figure, plot = _figure(7.6, 5.6)
    for label, name in enumerate(names):
        own = labels[rows] == label
        plot.scatter(*points[own].T, s=9, color=PALETTE[label % len(PALETTE)], label=name, linewidths=0, alpha=0.8)
    noise = labels[rows] < 0
    if noise.any():
        plot.scatter(*points[noise].T, s=7, color="#cccccc", label="no segment", linewidths=0)
    plot.set(xlabel="first principal axis", ylabel="second principal axis")
    plot.legend(fontsize=7, markerscale=1.6, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def sizes(counts: Sequence[int], names: Sequence[str]) -> "Figure":
    """Users of each segment."""
    figure, plot = _figure(6.4, max(2.4, 0.28 * len(counts) + 1))
    colours = [PALETTE[label % len(PALETTE)] for label in range(len(counts))]
    plot.barh(range(len(counts)), counts, color=colours)
    plot.set_yticks(range(len(counts)), names, fontsize=8)
    plot.invert_yaxis()
    plot.set(xlabel="users")
    return figure


def against_k(k: Sequence[float], values: Sequence[float], what: str) -> "Figure":
    """A measure against the number of segments, such as silhouette or the within-cluster sum of squares (elbow)."""
    figure, plot = _figure()
    order = np.argsort(k)
    plot.plot(np.asarray(k)[order], np.asarray(values)[order], marker="o", color=PALETTE[0])
    plot.set(xlabel="segments", ylabel=what)
    return figure


def silhouettes(values: np.ndarray, labels: np.ndarray) -> "Figure":
    """Every user's silhouette, grouped by segment and sorted (Rousseeuw 1987)."""
    figure, plot = _figure(6.4, 5)
    start = 0
    for label in range(int(labels.max(initial=-1)) + 1):
        own = np.sort(values[labels == label])
        plot.fill_betweenx(np.arange(start, start + len(own)), 0, own, color=PALETTE[label % len(PALETTE)], linewidth=0)
        start += len(own)
    plot.axvline(float(np.nanmean(values[labels >= 0])), color="#888888", linestyle="--", linewidth=1)
    plot.set(xlabel="silhouette", ylabel="users", yticks=[])
    return figure
