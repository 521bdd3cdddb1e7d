"""What the benchmarks run is what is deployed."""

from __future__ import annotations

from bench import deployed
from tests.cloud.template import TEMPLATE


def test_benchmarks_run_in_the_environment_that_is_deployed() -> None:
    everywhere = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    declared = everywhere | TEMPLATE["Resources"]["InferenceFunction"]["Properties"]["Environment"]["Variables"]
    assert deployed.DEPLOYED.items() <= declared.items()
    assert {name for name in declared if name.startswith(("MALLOC", "OPENBLAS"))} == set(deployed.DEPLOYED)
