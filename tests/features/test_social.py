"""Social measures against networkx, communities and axes against planted truth, time, and users without ties."""

import pickle
from datetime import UTC, datetime, timedelta

import networkx as nx
import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from schemas.errors import DataError, UsageError
from schemas.tables import DST, EDGES, SRC, TIMESTAMP, USER_ID, USERS, WEIGHT
from tasks.features import _graph, social
from tasks.features.social import Config
from tasks.numerics.communities import communities

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def edges(rows):
    """Frame of (src, dst, weight, days before AS_OF or None)."""
    sources, targets, weights, ages = zip(*rows, strict=True)
    times = [None if age is None else AS_OF - timedelta(days=age) for age in ages]
    columns = {SRC: list(sources), DST: list(targets), WEIGHT: [float(w) for w in weights], TIMESTAMP: times}
    return pl.DataFrame(columns, schema_overrides={TIMESTAMP: pl.Datetime("us", "UTC")})


def names(n):
    return [f"u{k:03d}" for k in range(n)]


def random_bucket(n=60, ties=250, seed=0, lonely=3):
    rng = np.random.default_rng(seed)
    people = names(n)
    rows = [
        (people[a], people[b], rng.integers(1, 5), None)
        for a, b in rng.integers(0, n - lonely, (ties, 2)) ** 2 // (n - lonely)
    ]
    return {EDGES.name: edges(rows), USERS.name: pl.DataFrame({USER_ID: people})}


def split(b, parts=3):
    key = {SRC: b[EDGES.name][SRC], USER_ID: b[USERS.name][USER_ID]}
    return [
        {
            EDGES.name: b[EDGES.name].filter(key[SRC].str.slice(1).cast(pl.Int64) % parts == part),
            USERS.name: b[USERS.name].filter(key[USER_ID].str.slice(1).cast(pl.Int64) % parts == part),
        }
        for part in range(parts)
    ]


def fitted(buckets, config=None, seed=0):
    parts = [pickle.loads(pickle.dumps(social.partial(b, config or Config(), AS_OF))) for b in buckets]
    whole = parts[0]
    for part in parts[1:]:
        whole = social.merge(whole, part)
    return social.finish(whole, np.random.default_rng(seed))


def run(b, config=None, state=None):
    return social.transform(b, state or fitted([b], config), config or Config(), AS_OF)


def oracle(b):
    graph = nx.DiGraph()
    graph.add_nodes_from(b[USERS.name][USER_ID])
    for src, dst, weight, _ in b[EDGES.name].iter_rows():
        if src != dst:
            before = graph.get_edge_data(src, dst, {"weight": 0})["weight"]
            graph.add_edge(src, dst, weight=before + weight)
    return graph


def test_bridging_is_the_share_of_ties_out_of_ones_community():
    """Two triangles of strong ties, one weak tie between them, and somebody without ties."""
    inner = [(f"u{a}", f"u{b}", 5, None) for c in (0, 3) for a in range(c, c + 3) for b in range(c, c + 3) if a != b]
    people = [f"u{number}" for number in range(7)]
    b = {EDGES.name: edges([*inner, ("u0", "u3", 1, None)]), USERS.name: pl.DataFrame({USER_ID: people})}
    found = run(b)["social_bridging"].to_list()
    assert found == [pytest.approx(1 / 3), 0, 0, pytest.approx(1 / 3), 0, 0, None]
    assert "social_bridging" not in run(b, Config(community="none")).columns


@pytest.mark.parametrize("seed", range(5))
def test_measures_equal_networkx(seed):
    b = random_bucket(seed=seed, ties=[60, 150, 250, 400, 900][seed])
    frame, graph = run(b, state=fitted(split(b))), oracle(b)
    flat = graph.to_undirected()
    expected = {
        "degree": dict(flat.degree()),
        "degree_in": dict(graph.in_degree()),
        "degree_out": dict(graph.out_degree()),
        "weight_in": dict(graph.in_degree(weight="weight")),
        "weight_out": dict(graph.out_degree(weight="weight")),
        "clustering": nx.clustering(flat),
        "core": nx.core_number(flat),
        "pagerank": {k: v * len(graph) for k, v in nx.pagerank(graph, tol=1e-12, max_iter=1_000).items()},
    }
    assert frame[USER_ID].to_list() == sorted(graph)
    for name, values in expected.items():
        assert np.allclose(frame[f"social_{name}"], [values[user] for user in sorted(graph)], atol=1e-5), name
    for user, ours in zip(frame[USER_ID], frame["social_reciprocity"], strict=True):
        theirs = nx.reciprocity(graph, user) if graph.degree(user) else None
        assert ours == (None if theirs is None else pytest.approx(theirs))


def test_a_long_chain_and_a_clique_peel_right():
    chain = nx.disjoint_union(nx.path_graph(500), nx.complete_graph(9))
    chain.add_edge(499, 500)
    ours = _graph.core_number(sparse.csr_matrix(nx.to_scipy_sparse_array(chain, dtype=float)))
    assert ours.tolist() == list(nx.core_number(chain).values())


def blocks(sizes=(60, 50, 40), inside=0.3, between=0.01, seed=0):
    probabilities = np.full((len(sizes), len(sizes)), between) + np.eye(len(sizes)) * (inside - between)
    graph = nx.stochastic_block_model(list(sizes), probabilities, seed=seed)
    rows = [(f"u{a:03d}", f"u{c:03d}", 1, None) for a, c in graph.edges]
    truth = np.repeat(range(len(sizes)), sizes)
    return {EDGES.name: edges(rows), USERS.name: pl.DataFrame({USER_ID: names(sum(sizes))})}, truth


def test_communities_and_axes_find_planted_blocks():
    from sklearn.cluster import KMeans

    b, truth = blocks()
    frame = run(b)
    members = frame.select(pl.col("^social_community_.*$")).to_numpy()
    assert members.shape == (150, 3)
    assert members.sum(axis=0).tolist() == sorted(members.sum(axis=0), reverse=True)
    assert adjusted_rand_score(truth, members.argmax(axis=1)) > 0.95
    axes = frame.select(pl.col("^social_axis_0[012]$")).to_numpy()
    assert adjusted_rand_score(truth, KMeans(3, n_init=5, random_state=0).fit_predict(axes)) > 0.95


def test_axes_equal_the_dense_eigenvectors(monkeypatch):
    b, _ = blocks()
    graph = nx.to_scipy_sparse_array(oracle(b).to_undirected(), nodelist=names(150), dtype=float)
    degree = graph.sum(axis=1)
    scale = 1 / np.sqrt(degree + degree.mean())
    exact = np.linalg.eigh(scale[:, None] * graph.toarray() * scale)[1][:, ::-1][:, :3]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    monkeypatch.setattr(_graph, "SMALL", 1)
    ours = _graph.spectral(sparse.csr_matrix(graph), 3, seed=0)
    assert np.allclose(np.abs(ours), np.abs(exact), atol=1e-6)
    assert np.array_equal(ours, _graph.spectral(sparse.csr_matrix(graph), 3, seed=0))


def test_bucket_order_and_number_change_no_bit():
    b = random_bucket()
    one, other, whole = fitted(split(b, 4)), fitted(split(b, 4)[::-1]), fitted([b])
    for state in (other, whole):
        assert state.meta == one.meta
        assert all(np.array_equal(state.arrays[k], one.arrays[k], equal_nan=True) for k in one.arrays)


def test_one_user_equals_the_same_user_in_a_batch_and_strangers_are_null():
    b = random_bucket()
    state = fitted([b])
    frame = run(b, state=state)
    alone = {USERS.name: pl.DataFrame({USER_ID: ["u007", "stranger"]})}
    looked = run(alone, state=state)
    assert looked.filter(pl.col(USER_ID) == "u007").equals(frame.filter(pl.col(USER_ID) == "u007"))
    assert looked.row(0)[1:] == (None,) * len(state.meta["columns"])
    assert set(looked.dtypes[1:]) == {pl.Float32}


def test_ties_after_as_of_change_nothing():
    b = random_bucket()
    later = b | {EDGES.name: pl.concat([b[EDGES.name], edges([("u001", "u002", 9, -0.001), ("new", "u003", 1, -5)])])}
    one, other = fitted([b]), fitted([later])
    assert one.meta == other.meta
    assert all(np.array_equal(one.arrays[k], other.arrays[k], equal_nan=True) for k in one.arrays)


def test_active_users_started_a_tie_of_late():
    b = {
        EDGES.name: edges([("a", "b", 1, 10), ("b", "c", 1, 200), ("c", "a", 1, None)]),
        USERS.name: pl.DataFrame({USER_ID: ["a", "b", "c", "d"]}),
    }
    assert run(b)["social_active"].to_list() == [1, 0, 1, 0]
    assert run(b, Config(active_days=300))["social_active"].to_list() == [1, 1, 1, 0]


def test_a_user_without_ties_has_zeros_not_nulls():
    frame = run(random_bucket())
    lonely = frame.row(59, named=True)
    assert lonely["social_degree"] == lonely["social_core"] == lonely["social_axis_00"] == 0
    assert lonely["social_reciprocity"] is None
    assert 0 < lonely["social_pagerank"] < 1


def test_columns_can_be_limited_and_mistakes_are_told():
    b = random_bucket()
    config = Config(columns=("social_core", "social_degree"), community="none", axes=0)
    assert run(b, config).columns == [USER_ID, "social_degree", "social_core"]
    with pytest.raises(DataError, match="no tie by as_of"):
        fitted([b | {EDGES.name: edges([("a", "a", 1, None), ("a", "b", 1, -3)])}])


def test_leiden_is_an_extra(monkeypatch):
    b, truth = blocks()
    graph = sparse.csr_matrix(nx.to_scipy_sparse_array(oracle(b).to_undirected(), nodelist=names(150), dtype=float))
    try:
        import leidenalg  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"fenqun\[leiden\]"):
            communities(graph, "leiden", 1.0, 0)
    else:
        assert adjusted_rand_score(truth, communities(graph, "leiden", 1.0, 0)) > 0.95
