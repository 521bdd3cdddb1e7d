"""The page of the long proofs is made of what they left, and a proof that cannot fail does not hold."""

from __future__ import annotations

import pytest

from bench.trust import proof, table
from bench.trust.proof import Outcome, Proof, red
from bench.trust.rows import PROOFS
from bench.trust.suites import passing, with_bug

ONE = "tests/serving/test_models.py::test_the_least_recently_used_goes_first"


def row(outcome: Outcome, control: Outcome) -> Proof:
    return Proof(
        "row", "a title", "things", "memory", 10, lambda count, seed: outcome, "something", lambda seed: control
    )


def test_the_page_is_that_of_the_figures() -> None:
    assert table.PAGE.read_text() == table.markdown(PROOFS, proof.kept()), "python -m bench.trust --write"


@pytest.mark.parametrize(
    ("outcome", "control", "holds"),
    [
        (Outcome(10), Outcome(1, failures=["seen"]), True),
        (Outcome(10, failures=["wrong"]), Outcome(1, failures=["seen"]), False),
        (Outcome(10), Outcome(1), False),
    ],
)
def test_a_row_holds_when_nothing_failed_and_its_control_did(outcome: Outcome, control: Outcome, holds: bool) -> None:
    one = row(outcome, control)
    result = proof.carry_out(one, 10, 1)
    assert proof.holds(result) == holds
    page = table.markdown({"row": one}, {"row": result})
    assert ("does not hold" in page) != holds
    assert ("wrong" in page) == bool(outcome.failures)
    assert "Not run" not in page


def test_what_was_not_run_is_on_the_page() -> None:
    one = row(Outcome(4), Outcome(1, failures=["seen"]))
    assert "`row` (a title): not run" in table.markdown({"row": one}, {})
    assert "`row`: 4 of 10 things" in table.markdown({"row": one}, {"row": proof.carry_out(one, 4, 1)})


def test_tests_are_counted_and_fail_with_a_bug() -> None:
    outcome = passing(ONE)(1, 1)
    assert (outcome.n, outcome.figures["passed"], outcome.failures) == (1, 1, [])
    broken = with_bug("the newest goes first", ONE)(1)
    assert broken.failures == ["test_models::test_the_least_recently_used_goes_first"]


def test_an_assertion_is_a_failure_and_another_error_is_none() -> None:
    def wrong() -> Outcome:
        raise AssertionError("what was wrong")

    def unable() -> Outcome:
        raise RuntimeError("cannot be run")

    assert red(wrong).failures == ["what was wrong"]
    with pytest.raises(RuntimeError):
        red(unable)
