"""The sandbox of the gate's worker and of runners: limits of resources, and no files, network or other processes.

It is entered before a model is read.

Linux only. The resource limits always hold; the system-call filter only if the kernel supports it: the verdict says so
(`"seccomp"`). Numbers and structures: linux/seccomp.h, linux/filter.h and the two architectures' system-call tables.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 3, 4, 22, 38
EPERM, ENOSYS = 1, 38
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06  # classic BPF opcodes, 32-bit absolute
NR, ARCH, ARG0, ARG1, ARG2 = 0, 4, 16, 24, 32  # offsets in struct seccomp_data, little endian
CLONE_THREAD, PROT_EXEC = 0x10000, 0x4

# Computing, memory, and file descriptors that are already open. All others are refused: opening, linking or renaming
# files, sockets, exec, fork, ptrace, signals to others, other processes' memory.
ALLOWED: dict[str, tuple[int, int]] = {  # name → (x86_64, aarch64); -1: that architecture has none
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "munmap": (11, 215),
    "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66), "poll": (7, -1), "ppoll": (271, 73),
    "sched_yield": (24, 124), "mremap": (25, 216), "mincore": (27, 232), "dup": (32, 23),
    "nanosleep": (35, 101), "getpid": (39, 172), "exit": (60, 93), "uname": (63, 160), "getrlimit": (97, 163),
    "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "set_robust_list": (273, 99), "getcpu": (309, 168),
    "getrandom": (318, 278), "membarrier": (324, 283), "rseq": (334, 293), "time": (201, -1),
    "gettimeofday": (96, 169),
}  # fmt: skip
CONDITIONAL = {  # those that could name another process, or do more than computing
    "mmap": (9, 222), "mprotect": (10, 226), "clone": (56, 220), "clone3": (435, 435), "tgkill": (234, 131),
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "fcntl": (72, 25), "madvise": (28, 233),
}  # fmt: skip
# Of a descriptor, its flags and copies of it. F_SETOWN and F_SETSIG would have the kernel send signals to others.
FCNTL = (1, 2, 3, 1030)  # F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
POISON = (100, 101)  # MADV_HWPOISON, MADV_SOFT_OFFLINE: of pages that another process has, too
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def limit_resources(memory: int, cpu_seconds: int | None = None, *, threads: bool = False, file_bytes: int = 0) -> None:
    """Limit this process: memory in bytes of address space, cpu_seconds from now on; no core dumps.

    threads: it starts some. They count as processes, of which there are none otherwise. file_bytes: up to which it may
    write an open file; 0: none.
    """
    _limit(resource.RLIMIT_AS, memory)
    if cpu_seconds is not None:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int(spent.ru_utime + spent.ru_stime) + 1 + cpu_seconds
        # SIGXCPU, so that the supervisor sees the cause; then SIGKILL
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    _limit(resource.RLIMIT_NOFILE, 32)
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    if not threads:
        _limit(resource.RLIMIT_NPROC, 0)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def die_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def filter_system_calls() -> bool:
    """Refuse all system calls but ALLOWED from now on. Returns whether the kernel accepted the filter."""
    machine = MACHINES.get(platform.machine())
    if machine is None or _prctl(PR_SET_NO_NEW_PRIVS, 1) != 0:
        return False
    code = b"".join(_program(*machine))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    return _prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program)) == 0


@contextmanager
def unreadable() -> Iterator[None]:
    """For the supervisor: processes of the same user cannot read its memory and environment meanwhile.

    This keeps the function's credentials from the worker if the kernel accepts no filter. Root could still read them.
    """
    before = _prctl(PR_GET_DUMPABLE)
    _prctl(PR_SET_DUMPABLE, 0)
    try:
        yield
    finally:
        _prctl(PR_SET_DUMPABLE, before)


def _prctl(option: int, *values: int) -> int:
    arguments = [ctypes.c_ulong(value) for value in (*values, *(0,) * (4 - len(values)))]
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, *arguments))


def _program(column: int, architecture: int) -> Iterator[bytes]:
    """The filter: each rule that does not match falls through to the next one; the last step refuses."""
    yield _step(LOAD, ARCH)
    yield _step(EQUAL, architecture, 1, 0)
    yield _step(RETURN, KILL)
    yield _step(LOAD, NR)
    yield _step(EQUAL, CONDITIONAL["clone3"][column], 0, 1)
    yield _step(RETURN, ERRNO | ENOSYS)  # its flags are behind a pointer: the C library then falls back to clone
    for numbers in ALLOWED.values():
        if numbers[column] >= 0:
            yield _step(EQUAL, numbers[column], 0, 1)
            yield _step(RETURN, ALLOW)
    for name in ("mmap", "mprotect"):
        yield from _rule(CONDITIONAL[name][column], ARG2, ANY_BIT, PROT_EXEC, allow_on_match=False)
    yield from _rule(CONDITIONAL["clone"][column], ARG0, ANY_BIT, CLONE_THREAD)
    yield from _rule(CONDITIONAL["tgkill"][column], ARG0, EQUAL, os.getpid())  # abort() signals itself
    yield from _rule(CONDITIONAL["prlimit64"][column], ARG0, EQUAL, 0)
    yield from _rule(CONDITIONAL["sched_setaffinity"][column], ARG0, EQUAL, 0)
    yield from _rule(CONDITIONAL["madvise"][column], ARG2, EQUAL, *POISON, allow_on_match=False)
    yield from _rule(CONDITIONAL["fcntl"][column], ARG1, EQUAL, *FCNTL)
    yield _step(RETURN, ERRNO | EPERM)


def _rule(number: int, argument: int, test: int, *values: int, allow_on_match: bool = True) -> list[bytes]:
    """Allow or refuse one system call by the lower 32 bits of one argument: it matches where one of the values does."""
    matched, otherwise = (ALLOW, ERRNO | EPERM) if allow_on_match else (ERRNO | EPERM, ALLOW)
    tests = [step for value in values for step in (_step(test, value, 0, 1), _step(RETURN, matched))]
    return [_step(EQUAL, number, 0, len(tests) + 2), _step(LOAD, argument), *tests, _step(RETURN, otherwise)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
