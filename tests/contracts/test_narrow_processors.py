"""Clusterers, metrics and an encoder give on a narrow processor what they give on this one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
NARROW = {
    "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Haswell",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}  # fmt: skip
"""Read once, when a process starts. NumPy refuses to leave out what a processor has not, so it is asked what it has."""
SCRIPT = """
import json, sys
import numpy as np
from tasks.clusterers import kmeans, gaussian_mixture
from tasks.encoders import hashing
from tasks.metrics.silhouette import silhouette
from tasks.metrics.davies_bouldin import davies_bouldin
rng = np.random.default_rng(0)
X = (rng.normal(size=(600, 24)) + 8 * np.eye(24)[rng.integers(6, size=600)]).astype(np.float32)
told = {"vectors": hashing.load(hashing.Config(dimension=32), "cpu").encode(["red toy", "红 玩具", "", "x" * 3000])}
for module in (kmeans, gaussian_mixture):
    fitted = module.fit(X, module.Config(k=6), np.random.default_rng(1))
    told[module.__name__] = fitted.labels
told["figures"] = np.array([silhouette(X, fitted.labels), davies_bouldin(X, fitted.labels)])
print(json.dumps({name: np.asarray(one).tolist() for name, one in told.items()}))
"""


def features() -> str:
    """The wide instruction sets that this processor has and NumPy knows."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if name.startswith("AVX512") and __cpu_features__.get(name))


def told(**environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_narrow_processor_finds_the_same_segments():
    narrow = told(**NARROW, NPY_DISABLE_CPU_FEATURES=features())
    for name, values in told().items():
        np.testing.assert_allclose(narrow[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
