"""A zygote whose runners are taken over by their model, once they are confined. Its file says what they do."""

from __future__ import annotations

import mmap
import os
from typing import NoReturn

import numpy as np

from shared.runtime import exchange, runner, sandbox, zygote
from shared.runtime.exchange import ALIGNMENT, ANSWERS, AREA_BYTES, WORD, Answer, Tensor
from shared.runtime.signature import TensorSpec
from shared.runtime.zygotes import Order

FLOOD, TEXTS, AREA, WORDS, STAY = b"flood", b"texts", b"area", b"words", b"stay"
CALLERS = "what a caller sent"
MANY = 60 << 20


def main(order: Order, channel: int, area_file: int, files: list[int], zygote: int) -> NoReturn:
    sandbox.die_with_parent()
    area = mmap.mmap(area_file, AREA_BYTES)
    deed = mmap.mmap(files[0], 0, access=mmap.ACCESS_READ)[:]
    taken = runner.Runner(channel, area)
    sandbox.limit_resources(taken.address_space() + order.memory)
    filtered = sandbox.filter_system_calls()
    datatype = "BYTES" if deed == TEXTS else "FP32"
    taken._send(exchange.Ready([TensorSpec("x", "FP32", [-1])], [], [TensorSpec("y", datatype, [-1])], filtered))
    if deed == FLOOD:
        taken._receive()
        while True:  # answers that nobody has asked for, and requests that nobody reads
            taken._send(Answer([Tensor("y", "FP32", [0], 0)]))
    while taken._receive():
        if deed == TEXTS:
            os.write(channel, _empty_texts(area).to_bytes(WORD, "little"))
        elif deed == WORDS:
            taken._send(exchange.Failure("Unloadable", CALLERS))
        else:
            if deed == AREA:
                for start in range(0, AREA_BYTES, exchange.MiB):
                    area[start : start + exchange.MiB] = b"x" * exchange.MiB
            taken._send(Answer([Tensor("y", "FP32", [1], 4)]), [np.zeros(1, np.float32)])
    while deed == STAY:
        pass
    os._exit(0)


def _empty_texts(area: mmap.mmap) -> int:
    """The message of an answer with MANY texts; its length."""
    size = 5 + MANY
    length = exchange.write(area, ANSWERS, Answer([Tensor("y", "BYTES", [MANY], size)]))
    start = ANSWERS.start + length
    start += -start % ALIGNMENT
    area[start : start + size] = b"\xdd" + MANY.to_bytes(4, "big") + b"\xa0" * MANY
    return length


runner.main = main
del main
main = zygote.main
