"""Encoding, side by side with sentence-transformers: python -m tests.benchmarks.bench_encode [texts] [model].

Both encode the same distinct texts in one run, in alternating slices so that a busy machine slows both alike;
sentence-transformers as its users call it (float32, batch 32). Figures: tokens/s (of real tokens, without padding), the
ratio of medians over slices, least cosine with sentence-transformers, and the share of the peak that a plain
2048 x 2048 product reaches in the same dtype in the same run.

Tried and lost, or won (MiniLM, 2 cores with AMX):
- autocast round the plain layers: 2.6-3.1 x, least cosine 0.99990 on 2,000 texts. 37 % of the time went to copies:
  weights cast anew at each call, the bias spread over the output before each product, activations cast once each for
  query, key and value; 10 % to GELU as a pass of its own. Packed oneDNN products with bias and GELU inside won.
- batches of 4096 tokens took 8 % (float32) and 16 % (bfloat16) less CPU time than of 8192 (once, on a busy machine):
  the widest layer's 50 MB are mapped and faulted in anew at each call; 2048 took more again.
- biases left in float32 beside bfloat16 weights: free; 1st percentile of cosine 0.99993 -> 0.99994 on 1,500 short
  messages. Leaving single layers or kinds of layers in float32 gains little more.
- packed MKL products (float32): no faster than oneDNN's.
- torch.compile on the CPU: 26 s to start, no gain; it remains an option for GPUs.
- dynamic int8: cosine 0.82-0.93: refused.
"""

import sys
import time

import numpy as np

from tests.helpers.real_texts import SHARES, mixed_texts

SLICES = 10


def peak(dtype: str) -> float:
    """Floating-point operations per second of a 2048 x 2048 product."""
    import torch

    matrix = torch.randn(2048, 2048).to(getattr(torch, dtype))
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def work_per_token(model) -> float:
    """Floating-point operations of the linear layers for one token (attention itself comes on top, and is left out)."""
    import torch

    return 2.0 * sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))


def slices(texts: list[str]) -> list[list[str]]:
    return [texts[start::SLICES] for start in range(SLICES)]


def main() -> None:
    from sentence_transformers import SentenceTransformer

    from tasks.encoders import transformer
    from tasks.encoders._stamp import resolve

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    model = sys.argv[2] if len(sys.argv) > 2 else "all-MiniLM-L6-v2"
    texts = mixed_texts(count)
    configs = {dtype: transformer.Config(model=model, dtype=dtype) for dtype in ("float32", "bfloat16")}
    ours = {dtype: transformer.load(config, "cpu") for dtype, config in configs.items()}
    theirs = SentenceTransformer(str(resolve(configs["float32"])[0]), device="cpu")
    sizes = np.array([len(row) for row in ours["float32"].engine.tokenise(texts)[0]])
    print(f"{len(texts)} distinct texts, shares {SHARES}, {sizes.sum()} tokens")
    print("tokens, quantiles 0/25/50/75/90/99/100 %:", np.percentile(sizes, [0, 25, 50, 75, 90, 99, 100]).astype(int))
    flops = work_per_token(theirs)

    def encode_theirs(some: list[str]) -> np.ndarray:
        return theirs.encode(some, batch_size=32, show_progress_bar=False)

    runs = {"sentence-transformers": encode_theirs, **{dtype: encoder.encode for dtype, encoder in ours.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    least = dict.fromkeys(ours, 1.0)
    for some in [texts[:50], *slices(texts)]:
        made = {}
        for name, encode in runs.items():
            start = time.perf_counter()
            made[name] = encode(some).astype(np.float64)
            seconds[name].append(time.perf_counter() - start)
        for name in ours:
            least[name] = min(least[name], float((made[name] * made["sentence-transformers"]).sum(axis=1).min()))
    report(seconds, least, int(sizes.sum()), flops)


def report(seconds: dict[str, list[float]], least: dict[str, float], tokens: int, flops: float) -> None:
    """Prints one line a run; the first slice warmed up and is left out."""
    base = np.array(seconds["sentence-transformers"][1:])
    for name, took in seconds.items():
        own = np.array(took[1:])
        rate = tokens / own.sum()
        line = f"{name}: {own.sum():.1f} s, {rate:.0f} tokens/s, {np.median(base / own):.2f} x (median of slices)"
        dtype = "bfloat16" if name == "bfloat16" else "float32"
        line += f", {base.sum() / own.sum():.2f} x (all), {rate * flops / peak(dtype):.0%} of the {dtype} peak"
        print(line + (f", least cosine {least[name]:.5f}" if name in least else ""))


if __name__ == "__main__":
    main()
