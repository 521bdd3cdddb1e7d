"""What counts as right, and a worker that is killed by a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from bench.portability import running
from bench.portability.running import Answer, Job, judged
from tests.portability import corpus
from tests.portability.corpus.graphs import Case, Graph
from tests.portability.corpus.simulation import simulate
from tools import processors

EXACT = np.arange(100, dtype=np.float32)


def verdict(actual: np.ndarray, step: float = 0.0, noise: float = 1e-4) -> running.Verdict:
    return judged(Case("case", b"", {}, step, noise), [EXACT], Answer((actual,)))


def test_the_same_values_are_right() -> None:
    assert verdict(EXACT).right and verdict(EXACT).noise == 0


def test_one_step_at_rare_places_is_right() -> None:
    actual = EXACT.copy()
    actual[[3, 50]] += 1
    assert verdict(actual, step=1).right


def test_one_step_at_many_places_is_wrong() -> None:
    assert "of the outputs differ" in verdict(EXACT + 1, step=1).reason


def test_two_steps_at_one_place_are_wrong() -> None:
    actual = EXACT.copy()
    actual[3] += 2
    assert verdict(actual, step=1).reason == "differs by 2.0 steps"


def test_noise_beyond_the_allowance_is_wrong() -> None:
    assert not verdict(EXACT * 1.01, noise=1e-3).right
    assert verdict(EXACT * 1.01, noise=2e-2).right


@pytest.mark.parametrize("actual", [EXACT[:50], EXACT.astype(np.float64), np.full(100, np.nan, np.float32)])
def test_another_shape_type_or_no_number_is_wrong(actual: np.ndarray) -> None:
    assert not verdict(actual, step=1).right


def test_no_answer_is_wrong_and_says_where_it_ended() -> None:
    for stage, words in (("load", "refused at load"), ("run", "fails at run"), ("crash", "ends the process")):
        result = judged(Case("case", b"", {}), [EXACT], Answer(stage=stage))
        assert not result.right and result.noise is None and words in result.reason


def _doubling() -> Graph:
    g = Graph("double", 13)
    x = g.input(np.float32([1, 2]))
    g.output(g.node("Add", [x, x]), 1, 1)
    return g


def test_a_model_that_ends_the_process_costs_no_other_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    g = _doubling()
    real, calls = processors.run, []

    def killed_once(processor: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        calls.append(processor)
        if len(calls) == 1:
            (Path(arguments[-1]) / "started.txt").write_text("0")
            return subprocess.CompletedProcess(arguments, -11, "", "")
        return real(processor, arguments)

    monkeypatch.setattr(processors, "run", killed_once)
    model = g.model().SerializeToString()
    first, second = running.answers("native", [Job(model, g.feeds), Job(model, g.feeds, "off")])[0]
    assert (first.stage, first.reason) == ("crash", "exit status -11")
    assert second.outputs[0].tolist() == [2, 4]


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "no such module")
    monkeypatch.setattr(processors, "run", lambda processor, arguments: failed)
    with pytest.raises(RuntimeError, match="no such module"):
        running.answers("native", [])


def test_a_model_that_cannot_be_loaded_says_so() -> None:
    (answer,), _ = running.answers("native", [Job(b"no model", {}, "off")])
    assert answer.stage == "load" and answer.reason


def test_the_corpus_is_the_same_each_time_and_large() -> None:
    first, second = corpus.cases(), corpus.cases.__wrapped__()  # once more, without the cache
    assert len(first) >= 300
    assert [case.model for case in first] == [case.model for case in second]
    assert all(
        np.array_equal(a.feeds[name], b.feeds[name]) for a, b in zip(first, second, strict=True) for name in a.feeds
    )


def test_the_short_corpus_is_part_of_it() -> None:
    assert [case.name for case in corpus.short()] == list(corpus.SHORT)


def test_a_network_with_a_parent_may_be_as_far_from_it_as_the_simulation() -> None:
    case = next(case for case in corpus.cases() if case.name.startswith("dynamic 17 f32×s8 per tensor"))
    halved = onnx.load_from_string(case.model)
    [weights] = [
        tensor for tensor in halved.graph.initializer if tensor.data_type == onnx.TensorProto.INT8 and tensor.dims
    ]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) // 2, weights.name))
    parent = halved.SerializeToString()
    allowed, outputs = running.expectation(Case("case", case.model, case.feeds, parent=parent))
    assert allowed.noise == pytest.approx(running.CHAOTIC, rel=0.05)  # twice the weights: as far off as it is large
    assert np.array_equal(outputs[0], simulate(parent, case.feeds)[0])


def test_of_two_forms_the_wrong_one_counts_and_then_the_noisier() -> None:
    fine, noisy = running.Verdict(True, 0.0), running.Verdict(True, 0.01)
    wrong, refused = running.Verdict(False, 0.5, "noise"), running.Verdict(False, None, "refused at load")
    assert running.worse(None, fine) is fine
    assert running.worse(fine, noisy) is noisy and running.worse(noisy, fine) is noisy
    assert running.worse(noisy, wrong) is wrong and running.worse(wrong, noisy) is wrong
    assert running.worse(fine, refused) is refused and running.worse(refused, fine) is refused
