"""Figures show the numbers they were given, the same bytes each time, and carry no markup of the data's."""

import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tasks.phrases.words import Words
from tasks.reporting import pictures
from tasks.segments.colours import PALETTE

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 's001 <script>alert(1)</script> "&$x^2$'


def drawings():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(300, 6)).astype(np.float32), rng.integers(-1, 3, 300)
    tree = np.array([[0, 1, 1.0, 2], [2, 3, 2.0, 2], [4, 5, 5.0, 4]])
    return {
        "map": pictures.user_map(X, labels, [HOSTILE, "b", "分群"], PALETTE[:3], 1),
        "sizes": pictures.sizes([3, 2], [HOSTILE, "s002 惊悚"], PALETTE[:2]),
        "k": pictures.against_k([8, 2, 4], [0.3, 0.1, 0.2], "silhouette", 4),
        "silhouettes": pictures.silhouettes(rng.uniform(-1, 1, 300), labels, ["a", "b", "c"], PALETTE[:3]),
        "distance": pictures.k_distance(np.array([3.0, 1.0, 2.0]), 2.5),
        "dendrogram": pictures.dendrogram(tree, 2),
        "intervals": pictures.intervals([HOSTILE, "b"], [0.5, 0.2], [(0.4, 0.6), None], "stability"),
    }


@pytest.mark.parametrize("name", drawings())
def test_svg_is_sound_spoken_repeatable_and_safe(name):
    text = pictures.svg(drawings()[name], 'A "title" <b>', "f1")
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'A "title" <b>'
    assert root.get("width") is None
    assert root.get("viewBox")
    assert {element.tag for element in root.iter()}.isdisjoint({f"{SVG}script", f"{SVG}style", f"{SVG}metadata"})
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(one.startswith("f1-") for one in ids)
    links = [
        value[1:] for e in root.iter() for key, value in e.attrib.items() if key.endswith("href") and value[0] == "#"
    ]
    assert set(links) <= set(ids)
    assert "currentColor" in text
    assert "#252526" not in text
    assert text == pictures.svg(drawings()[name], 'A "title" <b>', "f1")


def texts(figure):
    return [
        "".join(element.itertext()).strip()
        for element in ET.fromstring(pictures.svg(figure, "t", "f")).iter(f"{SVG}text")
    ]


def test_numbers_and_names_are_on_the_page():
    shown = texts(drawings()["sizes"])
    assert {"3", "2", HOSTILE, "s002 惊悚"} <= set(shown)
    assert "chosen" in texts(drawings()["k"])
    assert "eps 2.5" in texts(drawings()["distance"])
    assert "4 branches of 4 leaves" in texts(drawings()["dendrogram"])


def test_chinese_is_written_by_the_reader_and_given_its_room():
    """Matplotlib's font has no Chinese: it lays out dashes as wide, and warns of no glyph that it lacks."""
    name, say = "s001 历史与奇幻，偏好小众", Words("zh")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = pictures.svg(pictures.sizes([3, 2], [name, "s002"], PALETTE[:2], say), "各分群用户数", "f")
    root = ET.fromstring(text)
    (label,) = [one for one in root.iter(f"{SVG}text") if "".join(one.itertext()) == name]
    assert "用户数" in texts(pictures.sizes([3], [name], PALETTE[:1], say))
    assert root.get("aria-label") == "各分群用户数"
    assert float(label.get("x")) > 10 * 7.5 + 15, "ten letters of 7.5 points and the id stand left of the bars"


def test_a_png_has_no_name_that_its_font_cannot_write():
    assert pictures.latin("历史 & Drama") == ""
    assert pictures.latin("War & Drama, naïve") == "War & Drama, naïve"


def test_the_curve_is_in_order_of_k():
    (line,) = drawings()["k"].axes[0].lines[:1]
    assert line.get_xdata().tolist() == [2, 4, 8]
    assert line.get_ydata().tolist() == [0.1, 0.2, 0.3]


def test_the_cut_leaves_k_segments():
    cut = drawings()["dendrogram"].axes[0].lines[-1].get_ydata()[0]
    assert 2.0 < cut < 5.0


def test_the_map_is_the_principal_plane_up_to_sign():
    from sklearn.decomposition import PCA

    X = np.random.default_rng(2).normal(size=(200, 5)) * [5, 3, 1, 1, 1]
    (plot,) = pictures.user_map(X, np.zeros(200, int), ["a"], PALETTE[:1], 0).axes
    points = plot.collections[1].get_offsets()
    expected = PCA(2).fit_transform(X)
    np.testing.assert_allclose(np.abs(np.asarray(points)), np.abs(expected), atol=1e-6)
    share = PCA(2).fit(X).explained_variance_ratio_
    assert (
        pictures.user_map(X, np.zeros(200, int), ["a"], PALETTE[:1], 0).axes[0].get_xlabel()
        == f"first axis, {share[0]:.0%} of variance"
    )


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (2, 3)])
def test_few_users_or_dimensions_are_drawn_too(shape):
    X = np.ones(shape, np.float32)
    pictures.svg(pictures.user_map(X, np.zeros(shape[0], int), ["a"], PALETTE[:1], 0), "t", "f")
    pictures.svg(pictures.silhouettes(np.full(shape[0], np.nan), np.full(shape[0], -1), (), ()), "t", "f")
