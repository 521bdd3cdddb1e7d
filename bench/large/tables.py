"""The tables of results/large.md, of the figures that each part has kept; and what follows of them: costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.page import table
from shared.cost.prices import REMEMBERED as PRICES

Figures = dict[str, Any]
MB_PER_CORE = 1769  # of a function's memory: by so much, it gets a core
HOURS = 730  # of a month
# a function's memory in MB, the threads that it is given, and at most how many of its cores that uses
SIZES = ((1769, 1), (3008, 1), (3538, 2))
NAMES = {"fp32": "FP32", "weight8": "8 bits", "int8": "8 bits, GenAI's", "int4": "4 bits, GenAI's"}


def decode(figures: Figures) -> str:
    columns = ["form", "MB", "prefill, tokens per CPU s", "÷ GenAI", "decode", "÷ GenAI"]
    columns += ["the loop's share of a token", "memory of its own, MB", "of which weights and caches"]
    rows = [
        [
            NAMES[form], f"{one['weights_mb']:.0f}", f"{one['prefill']:.0f}", f"{one['prefill_to_genai']:.2f}",
            f"{one['decode']:.1f}", f"{one['decode_to_genai']:.2f}", f"{one['loop_share']:.1%}",
            f"{one['memory_mb']:.0f}", f"{one['weights_mb'] + one['caches_mb']:.0f}",
        ]
        for form, one in figures["forms"].items()
    ]  # fmt: skip
    return table(columns, rows)


def llama(figures: Figures) -> str:
    columns = ["form", "llama.cpp's", "prefill, tokens per CPU s", "llama.cpp", "ratio", "decode", "llama.cpp", "ratio"]
    rows = [
        [
            NAMES[form], figures["types"][form], f"{one['prefill']:.0f}", f"{one['llama_prefill']:.0f}",
            f"**{one['prefill_ratio']:.2f}**", f"{one['decode']:.1f}", f"{one['llama_decode']:.1f}",
            f"**{one['decode_ratio']:.2f}**",
        ]
        for form, one in figures["forms"].items()
    ]  # fmt: skip
    return table(columns, rows)


def service(figures: Figures) -> str:
    columns = ["form", "cold: first token, s", "bare", "ratio", "warm: first token, ms", "bare", "ratio"]
    columns += ["a further token, ms", "bare", "more CPU"]
    rows = []
    for form, one in figures["forms"].items():
        cold, ours, bare = one["cold"], one["warm"]["ours"], one["warm"]["bare"]
        rows.append([
            form, f"{cold['ours']:.2f}", f"{cold['bare']:.2f}", f"**{cold['ours'] / cold['bare']:.2f}**",
            f"{ours['first'] * 1e3:.0f}", f"{bare['first'] * 1e3:.0f}", f"**{ours['first'] / bare['first']:.2f}**",
            f"{ours['further'] * 1e3:.1f}", f"{bare['further'] * 1e3:.1f}", f"**{ours['cpu'] / bare['cpu'] - 1:+.1%}**",
        ])  # fmt: skip
    return table(columns, rows)


def threads(figures: Figures) -> str:
    columns = ["form", "prefill, tokens per s, one thread", "two ÷ one", "decode, one thread", "two ÷ one"]
    rows = [
        [NAMES[form], *(f"{one[key]:{how}}" for key, how in zip(
            ("prefill", "prefill_ratio", "decode", "decode_ratio"), (".0f", ".2f", ".1f", ".2f"), strict=True
        ))]
        for form, one in figures["forms"].items()
    ]  # fmt: skip
    return table(columns, rows)


def gate(figures: Figures) -> str:
    columns = ["model", "largest file, MB", "seconds", "CPU s", "resident at most, MB", "1.7 × the file + 512"]
    rows = [
        [
            name, f"{one['largest_mb']:,.0f}", f"{one['seconds']:.1f}", f"{one['cpu_s']:.1f}",
            f"{one['resident_mb']:,.0f}", f"{1.7 * one['largest_mb'] + 512:,.0f}",
        ]
        for name, one in figures["models"].items()
    ]  # fmt: skip
    return table(columns, rows)


def costs(threads: Figures) -> str:
    """Of tokens per second of time, by memory: a function is paid by both."""
    columns = ["form", "memory, MB", "threads", "USD for a million tokens out", "in", "a machine costs as much at"]
    columns += ["and can do at most"]
    month = PRICES.instance.hour * HOURS
    rows = []
    for form, one in threads["forms"].items():
        for memory, count in SIZES:
            faster = (one["decode_ratio"], one["prefill_ratio"]) if count == 2 else (1.0, 1.0)
            second = memory / 1024 * PRICES.gb_second
            out, read = (second / rate * 1e6 for rate in (one["decode"] * faster[0], one["prefill"] * faster[1]))
            most = one["decode"] * PRICES.instance.vcpus * HOURS * 3600 / 1e6
            rows.append([
                NAMES[form], f"{memory:,}", str(count), f"{out:.2f}", f"{read:.2f}",
                f"{month / out:,.0f} million a month", f"{most:,.0f} million",
            ])  # fmt: skip
    machine = f"{PRICES.instance.name}, {PRICES.instance.vcpus:g} vCPUs for {month:.0f} USD a month"
    return f"{PRICES.region}, {PRICES.date} ({PRICES.source}); the machine is a {machine}.\n\n{table(columns, rows)}"


def batch(figures: Figures) -> str:
    columns = ["form", "decode, tokens per CPU s", *(f"{n} at once ÷ 1" for n in figures["at_once"] if n > 1)]
    rows = [
        [NAMES[form], f"{one['decode']['1']:.1f}"]
        + [f"**{one['decode'][str(n)] / one['decode']['1']:.2f}**" for n in figures["at_once"] if n > 1]
        for form, one in figures["forms"].items()
    ]
    return table(columns, rows)


TABLES: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "decode": ("Beside ONNX Runtime GenAI", decode),
    "llama": ("Beside llama.cpp", llama),
    "service": ("The function, beside a bare handler", service),
    "batch": ("Several texts in a step, as batch jobs read them", batch),
    "threads": ("With a second thread", threads),
    "gate": ("The gate", gate),
}
