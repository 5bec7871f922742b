"""What a language model is worth where behaviour is silent: python -m tests.benchmarks.bench_text_worth.

With `--tuned lora` or `full` figure a alone, of MiniLM frozen and tuned, on the train events of each seed's warm items.

Item and text vectors come from MiniLM, and from three controls: `hashing` (character n-grams), random vectors, and
MiniLM's own vectors shuffled over the texts. Everything behind them is the same: means weighted by idf, centred, PCA to
32, K-Means with k = 20. Each figure is the mean of 5 seeds with its 95 % t-interval; a seed draws the held-out items,
the start of K-Means and the random or shuffled vectors.

a  cold items (MovieLens): 20 % of items are absent from train. A ridge regression from warm items' vectors to the
   segment's share of users predicts the share of each cold item; the top 10 are recommended to the segment. Recall =
   mean over users of hits / own cold items.
b  few events (MovieLens): users cut to their first 1, 3, 5 train events and assigned to the nearest full-history
   segment: share that gets the segment of its full history; and precision on the last 20 % of events against global
   popularity.
c  chitchat: users by what they wrote (at most 20 messages each, the first of their conversations). Adjusted mutual
   information between segment and the prompt that the user's conversations had most often, and how much more often
   than by chance the two of a conversation share a segment; `held out`: texts from even, pairs from odd conversations.
w  warm items (MovieLens): precision and recall of the text block alone against global popularity, for comparison.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import polars as pl

from tests.helpers.real_texts import chitchat, package_file

SEEDS = 5
SEGMENTS = 20
WIDTH = 32
TOP = 10
Vectors = Callable[[int], np.ndarray]


def encoders(texts: list[str]) -> dict[str, Vectors]:
    """Name -> seed -> vectors (n, d) of `texts`."""
    from tasks.encoders import hashing, transformer

    minilm = transformer.load(transformer.Config(), "auto").encode(texts)
    hashed = hashing.load(hashing.Config()).encode(texts)
    return {
        "MiniLM": lambda seed: minilm,
        "hashing": lambda seed: hashed,
        "random": lambda seed: np.random.default_rng(seed + 100).normal(size=minilm.shape).astype(np.float32),
        "shuffled": lambda seed: minilm[np.random.default_rng(seed + 200).permutation(len(minilm))],
    }


def told(name: str, values: list[float]) -> str:
    from scipy.stats import t

    mean, half = np.mean(values), t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"  {name:18s} {mean:+.4f} ± {half:.4f}"


def projected(users: np.ndarray, seed: int) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Centred, PCA'd unit vectors of users, and the same map for others."""
    from sklearn.decomposition import PCA

    pca = PCA(WIDTH, random_state=seed).fit(users)

    def unit(vectors: np.ndarray) -> np.ndarray:
        made = pca.transform(vectors)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    return unit(users), unit


def segmented(users: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(SEGMENTS, n_init=3, random_state=seed).fit(users)


def means(seen: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Users' means (u, d), items weighted by log(users / users of the item)."""
    idf = np.log(len(seen) / np.maximum(seen.sum(axis=0), 1))
    weights = seen * idf
    return weights @ vectors / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)


def movielens() -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Texts of items, each user's items in order of time (ties by row), and those times in seconds."""
    lines = package_file("recbole", "ml-100k.item").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    at = {row[0]: i for i, row in enumerate(rows)}
    events: dict[str, list[tuple[float, int, int]]] = {}
    for number, line in enumerate(package_file("recbole", "ml-100k.inter").read_text().splitlines()[1:]):
        user, item, _, stamp = line.split("\t")
        events.setdefault(user, []).append((float(stamp), number, at[item]))
    ordered = [sorted(own) for own in events.values()]
    times = [np.array([stamp for stamp, *_ in own]) for own in ordered]
    return [f"{row[1]}. {row[3]}" for row in rows], [np.array([i for *_, i in own]) for own in ordered], times


def matrix(histories: list[np.ndarray], items: int) -> np.ndarray:
    seen = np.zeros((len(histories), items))
    for row, own in zip(seen, histories, strict=True):
        row[own] = 1
    return seen


def shares(seen: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k, items): share of each segment's members who consumed each item, plus 0.3 of the share of all users."""
    rows = [seen[labels == k].mean(axis=0) if (labels == k).any() else seen.mean(axis=0) for k in range(SEGMENTS)]
    return np.stack(rows) + 0.3 * seen.mean(axis=0)


def precision_recall(scores: np.ndarray, train: np.ndarray, tests: list[np.ndarray]) -> tuple[float, float]:
    """Mean precision and recall at 10 of items that the user has not seen in train."""
    top = np.argsort(-np.where(train > 0, -np.inf, scores), axis=1, kind="stable")[:, :TOP]
    hits = np.array([np.isin(row, own).sum() for row, own in zip(top, tests, strict=True)])
    return hits.mean() / TOP, float(np.mean([h / len(own) for h, own in zip(hits, tests, strict=True)]))


def cold_items(items: int, seed: int) -> np.ndarray:
    """(items,) which are absent from train."""
    is_cold = np.zeros(items, dtype=bool)
    is_cold[np.random.default_rng(seed).permutation(items)[: items // 5]] = True
    return is_cold


def cold(vectors: np.ndarray, histories: list[np.ndarray], seed: int) -> float:
    from sklearn.linear_model import Ridge

    is_cold = cold_items(len(vectors), seed)
    seen = matrix([own[: int(np.ceil(0.8 * len(own)))] for own in histories], len(vectors)) * ~is_cold
    users, _ = projected(means(seen, vectors), seed)
    labels = segmented(users, seed).labels_
    x = (vectors - vectors[~is_cold].mean(axis=0)) / vectors[~is_cold].std()
    rates = shares(seen, labels).T
    guess = Ridge(alpha=float(vectors.shape[1])).fit(x[~is_cold], rates[~is_cold]).predict(x[is_cold])
    top = np.flatnonzero(is_cold)[np.argsort(-guess, axis=0, kind="stable")[:TOP]].T
    wanted = [(label, own[is_cold[own]]) for label, own in zip(labels, histories, strict=True)]
    return float(np.mean([np.isin(top[label], own).sum() / len(own) for label, own in wanted if len(own)]))


def warm_and_few(vectors: np.ndarray, histories: list[np.ndarray], seed: int) -> Iterator[tuple[str, float]]:
    """Yields (figure, value): warm lift, then agreement and lift of users cut to their first events."""
    trains = [own[: int(np.ceil(0.8 * len(own)))] for own in histories]
    tests = [own[int(np.ceil(0.8 * len(own))) :] for own in histories]
    seen = matrix(trains, len(vectors))
    users, unit = projected(means(seen, vectors), seed)
    fitted = segmented(users, seed)
    rates = shares(seen, fitted.labels_)
    popular = precision_recall(np.tile(seen.mean(axis=0), (len(seen), 1)), seen, tests)
    own = precision_recall(rates[fitted.labels_], seen, tests)
    yield "w precision, lift", own[0] / popular[0] - 1
    yield "w recall, lift", own[1] / popular[1] - 1
    idf = np.log(len(seen) / np.maximum(seen.sum(axis=0), 1))
    for count in (1, 3, 5):
        few = matrix([one[:count] for one in trains], len(vectors)) * idf
        cut = few @ vectors / np.maximum(few.sum(axis=1, keepdims=True), 1e-9)
        labels = fitted.predict(unit(cut).astype(users.dtype))
        yield f"b {count} events, same segment", float((labels == fitted.labels_).mean())
        yield f"b {count} events, precision lift", precision_recall(rates[labels], seen, tests)[0] / popular[0] - 1


def conversations() -> list[tuple[str, dict[str, list[str]]]]:
    """Prompt and messages by sender of each conversation that has a prompt, in the data's order."""
    made = []
    for talk in chitchat().values():
        said: dict[str, list[str]] = {}
        for message in (message for turn in talk["messages"] for message in turn):
            if message["text"].strip():
                said.setdefault(message["sender"], []).append(message["text"].strip())
        if said and talk.get("prompt"):
            made.append((talk["prompt"], said))
    return made


def written(talks: list, parity: int | None) -> dict[str, list[str]]:
    """At most 20 messages of each user, from even (0), odd (1) or all conversations."""
    users: dict[str, list[str]] = {}
    for number, (_, said) in enumerate(talks):
        if parity is None or number % 2 == parity:
            for user, messages in said.items():
                own = users.setdefault(user, [])
                own += messages[: 20 - len(own)]
    return {user: own for user, own in users.items() if len(own) >= 5}


def talked(vectors: np.ndarray, at: dict[str, int], talks: list, users: dict[str, list[str]], parity: int | None,
           seed: int) -> Iterator[tuple[str, float]]:  # fmt: skip
    from sklearn.metrics import adjusted_mutual_info_score

    rows = {user: row for row, user in enumerate(users)}
    mean = np.stack([vectors[[at[text] for text in own]].mean(axis=0) for own in users.values()])
    labels = segmented(projected(mean, seed)[0], seed).labels_
    what = "c" if parity is None else "c held out:"
    prompts: dict[str, Counter] = {}
    pairs = set()
    for number, (prompt, said) in enumerate(talks):
        if parity is None or number % 2 == parity:
            known = sorted(rows[user] for user in said if user in rows)
            pairs |= {tuple(known)} if len(known) == 2 else set()
            for user in said.keys() & rows.keys():
                prompts.setdefault(user, Counter())[prompt] += 1
    chosen = {user: counts.most_common(1)[0][0] for user, counts in prompts.items()}
    yield (
        f"{what} prompt, adjusted mutual information",
        float(adjusted_mutual_info_score(list(chosen.values()), [labels[rows[user]] for user in chosen])),
    )
    ends = np.array(sorted(pairs))
    together = (labels[ends[:, 0]] == labels[ends[:, 1]]).mean()
    degree = np.bincount(labels[ends.ravel()], minlength=SEGMENTS) / ends.size
    yield f"{what} pairs in one segment, against chance", float(together / (degree**2).sum() - 1)


def gather(
    kinds: dict[str, Vectors], figures: Callable[[np.ndarray, int], Iterator[tuple[str, float]]], seeds: int = SEEDS
) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for name, vectors in kinds.items():
        for seed in range(seeds):
            for figure, value in figures(vectors(seed), seed):
                found.setdefault(figure, {}).setdefault(name, []).append(value)
    for figure, by_name in found.items():
        print(figure, *(told(name, values) for name, values in by_name.items()), sep="\n", flush=True)
        first, *controls = by_name
        for name in controls:  # seeds draw the same items for all, so differences are paired
            print(told(f"{first} - {name}", np.subtract(by_name[first], by_name[name]).tolist()))


def train_bucket(seed: int) -> dict[str, pl.DataFrame]:
    """Events on warm items in the first 80 % of everyone's history, and the items, as the product's tables."""
    from schemas.tables import EVENTS, ITEM_ID, ITEMS, TITLE

    texts, histories, times = movielens()
    warm, rows = ~cold_items(len(texts), seed), []
    for user, (own, when) in enumerate(zip(histories, times, strict=True)):
        first = int(np.ceil(0.8 * len(own)))
        moments = (datetime.fromtimestamp(stamp, UTC) for stamp in when[:first])
        known = [(item, at) for item, at in zip(own[:first].tolist(), moments, strict=True) if warm[item]]
        rows += [(f"u{user:04d}", f"i{item}", "rating", at, None, n) for n, (item, at) in enumerate(known)]
    items = {ITEM_ID: [f"i{n}" for n in range(len(texts))], TITLE: texts}
    told = {name: items.get(name, [None] * len(texts)) for name in ITEMS.names}
    events = pl.DataFrame(rows, schema=EVENTS.polars_schema(), orient="row")
    return {EVENTS.name: events, ITEMS.name: pl.DataFrame(told, schema=ITEMS.polars_schema())}


def tuned(how: dict) -> Vectors:
    """Seed -> vectors of MiniLM tuned on that seed's train; of the frozen model where the tuned one is refused."""
    from schemas.config import TextsConfig
    from tasks.encoders import transformer
    from tasks.texts import pooling
    from tasks.texts.pairs import Drawing, draw
    from tasks.vectors.tuning import placed

    config = transformer.Config(tune=how)
    texts, now = movielens()[0], datetime(2000, 1, 1, tzinfo=UTC)

    def vectors(seed: int) -> np.ndarray:
        bucket, start, as_config = train_bucket(seed), time.monotonic(), TextsConfig(template="{title}")
        state = pooling.finish(pooling.partial(bucket, as_config, now), np.random.default_rng(seed))
        t = config.tune
        drawing = Drawing("consumed", t.window_days, t.draws, t.max_pairs, t.max_texts, seed)
        examples = placed(draw(bucket, state, as_config, now, drawing))
        arrays, came = transformer.tune(config, examples, seed)
        size, curve = sum(a.nbytes for a in arrays.values()), [round(one, 4) for one in came.watched]
        told = f"{came.why}; {came.steps} batches, best {came.best}, watched {curve}, {size / 1e6:.1f} MB"
        print(f"  seed {seed}: {told}, {time.monotonic() - start:.0f} s", flush=True)
        return transformer.tuned(config, "auto", arrays or None).encode(texts)

    return vectors


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tuned", choices=["lora", "full"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other values of the section tune")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    texts, histories, _ = movielens()
    if asked.tuned:
        how = {"method": asked.tuned, **dict(one.split("=") for one in asked.set)}
        kinds = {"tuned MiniLM": tuned(how), "MiniLM": encoders(texts)["MiniLM"]}
        gather(
            kinds,
            lambda vectors, seed: iter([("a cold items, recall@10", cold(vectors, histories, seed))]),
            asked.seeds,
        )
        return
    kinds = encoders(texts)

    def on_items(vectors: np.ndarray, seed: int) -> Iterator[tuple[str, float]]:
        yield "a cold items, recall@10", cold(vectors, histories, seed)
        yield from warm_and_few(vectors, histories, seed)

    gather(kinds, on_items)
    talks = conversations()
    both = {None: written(talks, None), 1: written(talks, 0)}
    distinct = sorted({text for users in both.values() for own in users.values() for text in own})
    print(f"chitchat: {len(talks)} conversations, {len(distinct)} texts, users {[len(u) for u in both.values()]}")
    at = {text: row for row, text in enumerate(distinct)}

    def on_talks(vectors: np.ndarray, seed: int) -> Iterator[tuple[str, float]]:
        for parity, users in both.items():
            yield from talked(vectors, at, talks, users, parity, seed)

    gather(encoders(distinct), on_talks)


if __name__ == "__main__":
    main()
