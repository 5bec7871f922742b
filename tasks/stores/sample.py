"""Some users with their whole histories: enough to try something on, from every bucket."""

from collections.abc import Mapping

from schemas.artifacts import ArtifactRef
from schemas.tables import BUCKETED, USER_ID, Bucket
from tasks.stores.buckets import count, read_bucket


def sample_of(tables: Mapping[str, ArtifactRef], n: int) -> Bucket:
    """The whole histories of about `n` users, as many from each bucket."""
    import polars as pl

    share = -(-n // count(tables))
    parts = [first_users(read_bucket(tables, number), share) for number in range(count(tables))]
    return {
        name: pl.concat([part[name] for part in parts]) if name in BUCKETED else frame
        for name, frame in parts[0].items()
    }


def first_users(bucket: Bucket, n: int) -> Bucket:
    """The bucket with only its first `n` users, by id; ids are spread over buckets by hash, so they are any users."""
    import polars as pl

    keyed = {name: column for name, column in BUCKETED.items() if name in bucket}
    ids = [bucket[name].get_column(column).alias(USER_ID) for name, column in keyed.items()]
    kept = pl.concat(ids).unique().sort().head(n).implode() if ids else pl.Series([], dtype=pl.List(pl.String))
    return {
        name: frame.filter(pl.col(keyed[name]).is_in(kept)) if name in keyed else frame
        for name, frame in bucket.items()
    }
