"""A zygote whose runners look around instead of loading a model, after they were confined: for test_confined.

What they see is the reason for which the model cannot be loaded.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import re
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from shared.runtime import runner, zygote
from shared.runtime.signature import Unloadable
from shared.runtime.zygotes import Order

# What is looked for; this text itself does not match.
CANARY = re.compile(rb"canary-[0-9a-f]{32}-end")
PROTECTED = ("[vvar", "[vsyscall", "[vdso")
F_SETSIG = 10
opened: list[int] = []
libc = ctypes.CDLL(None, use_errno=True)
confine, prepare = runner.main, runner._prepare


def searched_memory(maps: int) -> list[str]:
    """Every canary in this process's readable memory, by the name of the mapping. maps: /proc/self/maps, opened."""
    text = b"".join(iter(lambda: os.read(maps, 65536), b"")).decode()
    places: list[str] = []
    for line in text.splitlines():
        addresses, rights, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        label = name[0] if name else "anonymous"
        if "r" not in rights or label.startswith(PROTECTED) or label.startswith("/memfd:amaas"):
            continue  # the last one is the area: sparse, and the caller's own
        region = (ctypes.c_char * (end - start)).from_address(start)
        places += [label for _ in CANARY.finditer(region)]
    return places


def attempts() -> dict[str, Callable[[], Any]]:
    parent = os.getppid()
    return {
        "open": lambda: open("/etc/passwd"),
        "own environment": lambda: open("/proc/self/environ"),
        "its parent's environment": lambda: open(f"/proc/{parent}/environ"),
        "create": lambda: open("/tmp/amaas-made-by-a-model", "w"),
        "list": lambda: os.listdir("/"),
        "socket": lambda: socket.socket(),
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "kill": lambda: os.kill(parent, 0),
        "kill init": lambda: os.kill(1, 0),
        "signals of its socket": lambda: fcntl.fcntl(3, F_SETSIG, 9),
        "an owner of its socket": lambda: fcntl.fcntl(3, fcntl.F_SETOWN, parent),
        "signals when there is something to read": lambda: fcntl.fcntl(3, fcntl.F_SETFL, os.O_ASYNC),
        "a lease": lambda: fcntl.fcntl(4, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "its parent's processor": lambda: os.sched_setaffinity(parent, {0}),
        "its parent's priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
        "its parent's limits": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
        "ptrace": lambda: _refused(libc.ptrace(16, parent, 0, 0)),
        "memory of others": lambda: _refused(libc.process_vm_readv(parent, 0, 0, 0, 0, 0)),
        "more descriptors": lambda: _refused(libc.recvmsg(3, 0, 0)),
        "a shorter area": lambda: os.ftruncate(3, 0),
        "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "its limits": lambda: _refused(libc.setrlimit(9, ctypes.byref((ctypes.c_ulong * 2)(2**62, 2**62)))),
    }


def _refused(result: int) -> None:
    if result != -1 or ctypes.get_errno() != 1:
        raise RuntimeError(f"{result}, {ctypes.get_errno()}")
    raise PermissionError


def look(*_: Any) -> NoReturn:
    allowed = []
    for name, attempt in attempts().items():
        try:
            attempt()
            allowed.append(name)
        except PermissionError:
            pass
        except Exception as error:
            allowed.append(f"{name}: {error!r}")
    seen = {
        "canaries": searched_memory(opened[0]),
        "allowed": allowed,
        "environment": sorted(os.environ),
        "descriptors": [n for n in range(64) if _is_open(n) and n not in opened],
    }
    raise Unloadable(json.dumps(seen))


def _is_open(descriptor: int) -> bool:
    try:
        os.close(os.dup(descriptor))
    except OSError:
        return False
    return True


def opening(*arguments: Any) -> NoReturn:
    opened.append(os.open("/proc/self/maps", os.O_RDONLY))
    confine(*arguments)


def preparing(order: Order, model: mmap.mmap, data: list[mmap.mmap]) -> Callable[[], NoReturn]:
    """Whatever a model's or a tokenizer's runner imports is there."""
    prepare(order, model, data)
    return lambda: look(model)


def main() -> None:
    runner._prepare = preparing
    runner.main = opening  # type: ignore[assignment]
    zygote.main()


if __name__ == "__main__":  # a negative control: it finds what is there
    sys.stdout.write(json.dumps(searched_memory(os.open("/proc/self/maps", os.O_RDONLY))))
