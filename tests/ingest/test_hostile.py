"""Every attack of the corpus is refused with its own code and a reason, and nothing else is affected."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Verdict
from tests.ingest.conftest import Gate, package
from tests.ingest.corpus import ATTACKS
from tests.support import linear


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """All attacks at once, two at a time: they are processes of their own anyway."""
    root = tmp_path_factory.mktemp("attacks")

    def run(name: str) -> Verdict:
        attack = ATTACKS[name]
        return check_model(package(root / name, {"model.onnx": attack.build()}), None, attack.limits)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(ATTACKS, pool.map(run, ATTACKS), strict=True))


@pytest.mark.parametrize("name", ATTACKS)
def test_refused_with_its_code(verdicts: dict[str, Verdict], name: str) -> None:
    verdict = verdicts[name]
    assert not verdict.accepted
    assert verdict.code == ATTACKS[name].code, verdict.reason
    assert verdict.optimized is None
    assert len(verdict.reason) > 30 and "Traceback" not in verdict.reason


def test_a_good_model_passes_after_them(verdicts: dict[str, Verdict], gate: Gate) -> None:
    assert len(verdicts) == len(ATTACKS)
    assert gate(linear([[1.0], [2.0]])).accepted


def test_a_package_without_a_model_is_refused_without_a_worker(tmp_path: Path) -> None:
    verdict = check_model(package(tmp_path, {"weights.bin": b"x"}), None)
    assert (verdict.accepted, verdict.code) == (False, "not_onnx")
    assert "model.onnx" in verdict.reason
