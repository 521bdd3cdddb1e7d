"""A seeded bug: a change of one function's text, that a proof must find out. It shows that the proof can fail.

A test session has one with  pytest -p tests.simulation.seeded --seeded-bug NAME
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import NamedTuple

import pytest


class Bug(NamedTuple):
    """where: module:function, or module:Class.method. text and changed: of its source; the text is there once.

    proof: the test, or tests, that find it out, where the simulation is not to: a rule of what it stands for, or of
    what it leaves out.
    """

    name: str
    where: str
    text: str
    changed: str
    proof: str = ""

    @property
    def room(self) -> str:
        """The part of the product that it is in."""
        return self.where.split(":")[0].removeprefix("shared.").split(".")[0]


def function_of(bug: Bug) -> FunctionType:
    module, _, path = bug.where.partition(":")
    place = importlib.import_module(module)
    for name in path.split("."):
        place = getattr(place, name)
    function = inspect.unwrap(place.fget if isinstance(place, property) else place)  # type: ignore[arg-type]
    assert isinstance(function, FunctionType), bug.where
    return function


@contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """The product with a bug in it. Only the code is exchanged: it is there whoever has imported the function."""
    function = function_of(bug)
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(bug.text)
    assert count == 1, f"{bug.name}: the text is {count} times in {bug.where}: write it anew"
    scope = dict(function.__globals__)
    exec(compile(source.replace(bug.text, bug.changed), f"<{bug.name}>", "exec"), scope)
    made = scope[function.__name__]
    before, function.__code__ = function.__code__, inspect.unwrap(getattr(made, "fget", made)).__code__
    try:
        yield
    finally:
        function.__code__ = before


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeded-bug", help="the name of a bug of tests/simulation/bugs.py to run the session with")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """After the collection, which imports the tests, and so what they replace."""
    from tests.simulation.bugs import named

    with seeded(named(session.config.getoption("--seeded-bug"))):
        yield
