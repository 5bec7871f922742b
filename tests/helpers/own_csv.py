"""A small shop's own CSV files, as deployments/configs/own-csv.yaml describes them."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

TASTES = ("tea", "books", "toys", "tools", "plants")


def write(folder: Path, customers: int = 200, seed: int = 0) -> Path:
    """Orders (two files), customers and products; every customer buys one taste and, now and then, something else."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[list[str]] = [[], []]
    for customer in range(customers):
        for _ in range(rng.integers(15, 25)):
            taste = customer % len(TASTES) if rng.random() < 0.9 else rng.integers(len(TASTES))
            when = datetime(2025, 1, 1) + timedelta(minutes=int(rng.integers(60 * 24 * 90)))
            item, action = f"{TASTES[taste]}-{rng.integers(12)}", ("view", "buy")[rng.integers(2)]
            lines[customer % 2].append(f"c{customer},{item},{action},{when:%Y-%m-%d %H:%M},{rng.integers(1, 50)}")
    for number, part in enumerate(lines, 1):
        (folder / f"orders-{number}.csv").write_text("\n".join(["customer,sku,action,time,amount", *part]) + "\n")
    people = [f"c{customer},{rng.integers(18, 80)},town{customer % 3}" for customer in range(customers)]
    (folder / "customers.csv").write_text("\n".join(["customer,age,town", *people]) + "\n")
    goods = [f"{taste}-{number},{taste} {number},{taste}|goods" for taste in TASTES for number in range(12)]
    (folder / "products.csv").write_text("\n".join(["sku,name,tags", *goods]) + "\n")
    return folder
