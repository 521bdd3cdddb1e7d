"""A zygote on a kernel that takes no system-call filter: for test_confined."""

from __future__ import annotations

from shared.runtime import sandbox, zygote


def main() -> None:
    sandbox.filter_system_calls = lambda: False
    zygote.main()
