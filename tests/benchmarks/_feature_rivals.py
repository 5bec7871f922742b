"""The behaviour family written twice more: one SQL query for DuckDB, one lazy query for Polars; the same columns.

Both are written as well as we can: the Polars query uses that each user's rows stand together and in order of time, as
ours does; DuckDB sorts inside its windows and runs on all cores that it is given.
"""

import math

import polars as pl

DAY = 86_400_000_000
KINDS = ("view", "cart", "buy", "rating")
FUNNEL = (("view", "cart"), ("cart", "buy"), ("view", "buy"))
_FUNNEL = ", ".join(f"k_{b} / nullif(k_{a}, 0) AS funnel_{a}_to_{b}" for a, b in FUNNEL)
_COUNTS = ", ".join(f"count(*) FILTER (event = '{k}') AS k_{k}" for k in KINDS)


def sql(files: str, now: int, gap_minutes: float) -> str:
    """The family as one DuckDB query over Parquet files; `now` in microseconds."""
    shares = ", ".join(f"k_{k} / n AS share_{k}" for k in KINDS)
    return f"""
WITH raw AS (
    SELECT user_id, item_id, event, value, sequence, epoch_us(timestamp) AS t
    FROM read_parquet('{files}') WHERE epoch_us(timestamp) <= {now}
), e AS (
    SELECT *, t // {DAY} AS d, t // 60000000 % 1440 AS m, t - lag(t) OVER w AS gap, first_value(t) OVER w AS t1
    FROM raw WINDOW w AS (PARTITION BY user_id ORDER BY t, sequence)
), s AS (
    SELECT user_id, t, sequence, sum(CASE WHEN gap > {gap_minutes * 6e7} THEN 1 ELSE 0 END)
        OVER (PARTITION BY user_id ORDER BY t, sequence ROWS UNBOUNDED PRECEDING) AS session FROM e
), depth AS (
    SELECT user_id, max(c) AS session_depth_max
    FROM (SELECT user_id, session, count(*) AS c FROM s GROUP BY ALL) GROUP BY user_id
), item AS (
    SELECT user_id, count(*) AS distinct_items, max(c) AS top, sum(c * ln(c)) AS spread
    FROM (SELECT user_id, item_id, count(*) AS c FROM raw GROUP BY ALL) GROUP BY user_id
), mean AS (
    SELECT item_id, avg(value) AS expected FROM raw WHERE event = 'rating' AND value IS NOT NULL GROUP BY item_id
), strict AS (
    SELECT user_id, avg(value) AS rating_mean, stddev_pop(value) AS rating_std,
        avg(expected - value) AS rating_strictness
    FROM raw JOIN mean USING (item_id) WHERE event = 'rating' AND value IS NOT NULL GROUP BY user_id
), u AS (
    SELECT user_id, count(*) AS n, min(t) AS t1, max(t) AS tn, count(DISTINCT d) AS active_days, min(d) AS d1,
        sum(CASE WHEN 2 * t > t1 + {now} THEN 1 ELSE 0 END) AS recent, median(gap) AS gap_median,
        avg(gap) AS gap_mean, stddev_pop(gap) AS gap_sd, count(*) FILTER (gap > {gap_minutes * 6e7}) + 1 AS sessions,
        coalesce(sum(gap) FILTER (gap <= {gap_minutes * 6e7}), 0) AS inside,
        avg(sin(2 * pi() * m / 1440)) AS hour_sin, avg(cos(2 * pi() * m / 1440)) AS hour_cos,
        avg(sin(2 * pi() * ((d + 3) % 7) / 7)) AS weekday_sin, avg(cos(2 * pi() * ((d + 3) % 7) / 7)) AS weekday_cos,
        sum(value) FILTER (event <> 'rating') AS value_sum, avg(value) FILTER (event <> 'rating') AS value_mean,
        {_COUNTS}
    FROM e GROUP BY user_id
), tier AS (SELECT quantile_disc(n, 0.5) AS q1, quantile_disc(n, 0.9) AS q2 FROM u)
SELECT user_id, ({now} - tn) / {DAY} AS recency_days, ({now} - t1) / {DAY} AS tenure_days, n AS events,
    n / greatest(({now} - t1) / {DAY}, 1) AS events_per_day, active_days,
    active_days / ({now} // {DAY} - d1 + 1) AS active_day_share, (2 * recent - n) / n AS trend,
    (n > q1)::INT + (n > q2)::INT AS activity_tier, gap_mean / {DAY} AS gap_mean_days,
    gap_median / {DAY} AS gap_median_days,
    CASE WHEN n > 2 AND gap_mean > 0 THEN 1 / (1 + gap_sd / gap_mean) END AS gap_regularity, sessions,
    inside / 60000000 / sessions AS session_minutes_mean, n / sessions AS session_depth_mean, session_depth_max,
    hour_sin, hour_cos, sqrt(hour_sin ** 2 + hour_cos ** 2) AS hour_concentration, weekday_sin, weekday_cos,
    sqrt(weekday_sin ** 2 + weekday_cos ** 2) AS weekday_concentration, distinct_items,
    1 - distinct_items / n AS repeat_share, ln(n) - spread / n AS item_entropy, top / n AS top_item_share,
    {shares}, {_FUNNEL}, value_sum, value_mean, rating_mean, rating_std, rating_strictness
FROM u JOIN depth USING (user_id) JOIN item USING (user_id) LEFT JOIN strict USING (user_id), tier
"""


def lazy(files: list[str], now: int, gap_minutes: float) -> pl.LazyFrame:
    """The family as one lazy Polars query over Parquet files whose users' rows stand together, in order of time."""
    t, c = pl.col("t"), pl.col
    raw = pl.scan_parquet(files).with_columns(c("timestamp").dt.timestamp("us").alias("t")).filter(t <= now)
    starts = c("user_id").ne_missing(c("user_id").shift(1))
    e = raw.with_columns(
        gap=pl.when(~starts).then(t.diff()), d=t // DAY, m=t // 60_000_000 % 1440, rated=c("event") == "rating"
    ).with_columns(
        session=(starts | (c("gap") > gap_minutes * 6e7)).cum_sum(),
        fresh=starts | (c("d") != c("d").shift(1)),
        hour=c("m") * (2 * math.pi / 1440),
        week=(c("d") + 3) % 7 * (2 * math.pi / 7),
    )
    u = e.group_by("user_id").agg(
        pl.len().cast(pl.Int64).alias("n"), t.first().alias("t1"), t.last().alias("tn"),
        c("fresh").sum().cast(pl.Int64).alias("active_days"), c("d").first().alias("d1"),
        (2 * t > t.first() + now).sum().cast(pl.Int64).alias("recent"),
        c("gap").median().alias("gap_median"), c("gap").mean().alias("gap_mean"),
        c("gap").std(ddof=0).alias("gap_sd"), (c("gap") > gap_minutes * 6e7).sum().cast(pl.Int64).alias("breaks"),
        c("gap").filter(c("gap") <= gap_minutes * 6e7).sum().alias("inside"),
        c("hour").sin().mean().alias("hour_sin"), c("hour").cos().mean().alias("hour_cos"),
        c("week").sin().mean().alias("weekday_sin"), c("week").cos().mean().alias("weekday_cos"),
        c("session").rle().struct.field("len").max().alias("session_depth_max"),
        c("value").filter(~c("rated")).sum().alias("paid"), c("value").filter(~c("rated")).count().alias("n_paid"),
        *((c("event") == k).sum().cast(pl.Int64).alias(f"k_{k}") for k in KINDS),
    )  # fmt: skip
    item = raw.group_by("user_id", "item_id").agg(pl.len().alias("c")).group_by("user_id").agg(
        pl.len().cast(pl.Int64).alias("distinct_items"), c("c").max().alias("top"),
        (c("c") * c("c").log()).sum().alias("spread"),
    )  # fmt: skip
    scores = raw.filter((c("event") == "rating") & c("value").is_not_null()).select("user_id", "item_id", "value")
    mean = scores.group_by("item_id").agg(c("value").mean().alias("expected"))
    strict = scores.join(mean, on="item_id").group_by("user_id").agg(
        c("value").mean().alias("rating_mean"), c("value").std(ddof=0).alias("rating_std"),
        (c("expected") - c("value")).mean().alias("rating_strictness"),
    )  # fmt: skip
    n, sessions, tenure = c("n"), c("breaks") + 1, (now - c("t1")) / DAY
    return u.join(item, on="user_id").join(strict, on="user_id", how="left").select(
        c("user_id"), ((now - c("tn")) / DAY).alias("recency_days"), tenure.alias("tenure_days"), n.alias("events"),
        (n / pl.max_horizontal(tenure, 1.0)).alias("events_per_day"), c("active_days"),
        (c("active_days") / (now // DAY - c("d1") + 1)).alias("active_day_share"),
        ((2 * c("recent") - n) / n).alias("trend"),
        ((n > n.quantile(0.5, "higher")).cast(pl.Int8) + (n > n.quantile(0.9, "higher")).cast(pl.Int8))
        .alias("activity_tier"),
        (c("gap_mean") / DAY).alias("gap_mean_days"), (c("gap_median") / DAY).alias("gap_median_days"),
        pl.when((n > 2) & (c("gap_mean") > 0)).then(1 / (1 + c("gap_sd") / c("gap_mean"))).alias("gap_regularity"),
        sessions.alias("sessions"), (c("inside") / 6e7 / sessions).alias("session_minutes_mean"),
        (n / sessions).alias("session_depth_mean"), c("session_depth_max"), c("hour_sin"), c("hour_cos"),
        (c("hour_sin") ** 2 + c("hour_cos") ** 2).sqrt().alias("hour_concentration"), c("weekday_sin"),
        c("weekday_cos"), (c("weekday_sin") ** 2 + c("weekday_cos") ** 2).sqrt().alias("weekday_concentration"),
        c("distinct_items"), (1 - c("distinct_items") / n).alias("repeat_share"),
        (n.log() - c("spread") / n).alias("item_entropy"), (c("top") / n).alias("top_item_share"),
        *((c(f"k_{k}") / n).alias(f"share_{k}") for k in KINDS),
        *(pl.when(c(f"k_{a}") > 0).then(c(f"k_{b}") / c(f"k_{a}")).alias(f"funnel_{a}_to_{b}") for a, b in FUNNEL),
        pl.when(c("n_paid") > 0).then(c("paid")).alias("value_sum"),
        pl.when(c("n_paid") > 0).then(c("paid") / c("n_paid")).alias("value_mean"),
        c("rating_mean"), c("rating_std"), c("rating_strictness"),
    )  # fmt: skip
