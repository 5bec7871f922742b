"""How many unchanged users change segment at a refit of MovieLens-100K in one space, warm and plain.

User vectors: a 32-d truncated SVD of the row-normalised interaction matrix. The refit sees shuffled rows, another seed
and 5 % users who were not there before; the representation is kept, or refitted with the users ("refitted SVD").

Run: python -m tests.benchmarks.bench_warm
"""

import numpy as np

from tests.helpers.warm_refits import SEEDS, K, interactions, once


def main():
    matrix = interactions()
    for frozen, name in ((True, "kept SVD"), (False, "refitted SVD")):
        rows = np.array([once(matrix, seed, frozen) for seed in range(SEEDS)])
        warm, plain, inertia, k = np.median(rows, axis=0)
        print(
            f"MovieLens-100K, k = {K}, {SEEDS} seeds, {name}: moved warm {warm:.1%} (most {rows[:, 0].max():.1%}), "
            f"plain {plain:.1%}; inertia warm / plain {inertia:.4f} (most {rows[:, 2].max():.4f}); segments {k:.0f}"
        )


if __name__ == "__main__":
    main()
