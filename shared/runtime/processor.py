"""What kind of processor this process runs on, as far as it decides which kernels ONNX Runtime takes.

Kinds are compared, never ordered: what one kind has answered says nothing of another. The features come from the
processor itself (CPUID, by way of NumPy), not from the kernel's list, which an emulator or a mask does not change.
"""

from __future__ import annotations

import platform
from functools import cache

from numpy._core._multiarray_umath import __cpu_features__ as detected  # type: ignore[import-not-found]

# Each of them changes which kernels of ONNX Runtime or of NumPy run. The kind names those from the second column.
FEATURES = {
    "SSE41": "",
    "AVX2": "avx2",
    "AVX512F": "avx512",
    "AVX512VNNI": "vnni",
    "AVX512BF16": "",
    "AVX512FP16": "fp16",  # no processor has it without AMX, which NumPy does not look for
    "ASIMDDP": "dot",
    "ASIMDHP": "",
    "SVE": "sve",
}


@cache
def features() -> list[str]:
    """Those of FEATURES that are there."""
    return [name for name in FEATURES if detected.get(name)]


@cache
def kind() -> str:
    """As in `x86_64-avx2` or `x86_64-avx512-vnni`."""
    return "-".join([platform.machine().lower(), *(FEATURES[name] for name in features() if FEATURES[name])])


def cuts_off_sums() -> bool:
    """Whether kernels for UINT8 × INT8 here add up in 16 bits: those for AVX2 and AVX-512 without VNNI do."""
    return "AVX2" in features() and "AVX512VNNI" not in features()
