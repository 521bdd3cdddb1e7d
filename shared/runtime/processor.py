"""The kind of processor that this process runs on, as far as it decides which kernels ONNX Runtime uses.

Kinds are compared for equality, never ordered: answers of one kind prove nothing about another. The features come from
the processor itself (CPUID, through NumPy), not from the operating system's list, which an emulator does not change.
"""

from __future__ import annotations

import platform
from functools import cache

from numpy._core._multiarray_umath import __cpu_features__ as detected  # type: ignore[import-not-found]

# Features that decide which kernels of ONNX Runtime or NumPy run, with their part in the name of the kind.
FEATURES = {
    "SSE41": "",
    "AVX2": "avx2",
    "AVX512F": "avx512",
    "AVX512VNNI": "vnni",
    "AVX512BF16": "",
    "AVX512FP16": "fp16",  # stands for AMX too, which NumPy does not detect: no processor has it without
    "ASIMDDP": "dot",
    "ASIMDHP": "",
    "SVE": "sve",
}


@cache
def features() -> list[str]:
    """Those of FEATURES that this processor has."""
    return [name for name in FEATURES if detected.get(name)]


@cache
def kind() -> str:
    """The kind by name: `x86_64-avx2`, `x86_64-avx512-vnni`, …"""
    return "-".join([platform.machine().lower(), *(FEATURES[name] for name in features() if FEATURES[name])])


def cuts_off_sums() -> bool:
    """Whether kernels for UINT8 × INT8 sum in 16 bits here: those for AVX2 and AVX-512 without VNNI do."""
    return "AVX2" in features() and "AVX512VNNI" not in features()


def sums_widely() -> bool:
    """Whether kernels for UINT8 × INT8 sum in 32 bits here, by an instruction of their own (VNNI)."""
    return "AVX512VNNI" in features()
