"""What a language model is worth where behaviour is silent: python -m tests.benchmarks.bench_text_worth.

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

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from tests.helpers.real_texts import chitchat, package_file

SEEDS = 5
SEGMENTS = 20
WIDTH = 32
TOP = 10
T_975 = 2.776  # Student's t, 4 degrees of freedom
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
    mean, half = np.mean(values), T_975 * np.std(values, ddof=1) / np.sqrt(len(values))
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


def movielens() -> tuple[list[str], list[np.ndarray]]:
    """Texts of items, and each user's items in order of time (ties by row)."""
    lines = package_file("recbole", "ml-100k.item").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    at = {row[0]: i for i, row in enumerate(rows)}
    events: dict[str, list[tuple[float, int, int]]] = {}
    for number, line in enumerate(package_file("recbole", "ml-100k.inter").read_text().splitlines()[1:]):
        user, item, _, stamp = line.split("\t")
        events.setdefault(user, []).append((float(stamp), number, at[item]))
    return [f"{row[1]}. {row[3]}" for row in rows], [np.array([i for *_, i in sorted(own)]) for own in events.values()]


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


def cold(vectors: np.ndarray, histories: list[np.ndarray], seed: int) -> float:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(seed)
    is_cold = np.zeros(len(vectors), dtype=bool)
    is_cold[rng.permutation(len(vectors))[: len(vectors) // 5]] = True
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


def gather(kinds: dict[str, Vectors], figures: Callable[[np.ndarray, int], Iterator[tuple[str, float]]]) -> None:
    found: dict[str, dict[str, list[float]]] = {}
    for name, vectors in kinds.items():
        for seed in range(SEEDS):
            for figure, value in figures(vectors(seed), seed):
                found.setdefault(figure, {}).setdefault(name, []).append(value)
    for figure, by_name in found.items():
        print(figure, *(told(name, values) for name, values in by_name.items()), sep="\n", flush=True)
        first, *controls = by_name
        for name in controls:  # seeds draw the same items for all, so differences are paired
            print(told(f"{first} - {name}", np.subtract(by_name[first], by_name[name]).tolist()))


def main() -> None:
    texts, histories = movielens()
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
