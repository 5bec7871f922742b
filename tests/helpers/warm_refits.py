"""Refits of MovieLens-100K that are warm and plain: who moves."""

from importlib.resources import files

import numpy as np
import polars as pl
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from schemas.config import IdentityConfig
from tasks.segments import identity
from tasks.segments.identity import Clusters

K, SEEDS, CONFIG = 20, 10, IdentityConfig()


def interactions():
    """(943, 1682) row-normalised matrix of ratings, 1 where a user rated an item."""
    path = files("recbole") / "dataset_example" / "ml-100k" / "ml-100k.inter"
    frame = pl.read_csv(str(path), separator="\t")
    user, item = (frame[frame.columns[at]].cast(pl.String).rank("dense").to_numpy().astype(int) - 1 for at in (0, 1))
    return normalize(sp.csr_matrix((np.ones(len(user)), (user, item))))


def fresh(X, seed, k=K, n_init=10):
    return KMeans(k, n_init=n_init, random_state=seed).fit(X)


def once(matrix, seed, frozen, n_init=10):
    """(moved warm, moved plain, inertia warm / plain, segments of the warm refit) of one refit."""
    rng = np.random.default_rng(seed)
    n = matrix.shape[0]
    new = rng.permutation(n)[: n // 20]
    before = np.setdiff1d(np.arange(n), new)
    svd = TruncatedSVD(32, random_state=seed).fit(matrix[before])
    champion = fresh(svd.transform(matrix[before]), seed, n_init=n_init)
    order = rng.permutation(n)
    again = svd if frozen else TruncatedSVD(32, random_state=seed + 1).fit(matrix[order])
    X = again.transform(matrix[order])
    old = np.full(n, -1)
    old[before] = champion.labels_
    start = identity.grow(X, identity.warm_centroids(X, old[order], K), CONFIG, rng)
    warm = KMeans(len(start), init=start, n_init=1).fit(X)
    plain = fresh(X, seed + 1000, n_init=n_init)
    ids = [identity.segment_id(i + 1) for i in range(K)]
    side = Clusters([str(u) for u in before], champion.labels_, identity.warm_centroids(X, old[order], K))
    told = [
        identity.match(side, ids, Clusters([str(u) for u in order], fit.labels_, fit.cluster_centers_), CONFIG, K + 1)
        for fit in (warm, plain)
    ]
    return told[0].moved_share, told[1].moved_share, warm.inertia_ / plain.inertia_, len(start)
