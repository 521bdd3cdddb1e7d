"""Each option of the optimization does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training import export
from training.loop import epochs, learner
from training.loop.state import State
from training.networks import find as networks
from training.optimizers import Average, optimizer_for, rate, schedule_for
from training.settings import recipe, settings

from .conftest import Run

Fit = Callable[..., nn.Module]


def given(*more: str) -> Any:
    return settings(["--data", "x", "--out", "y", *more])


@pytest.fixture
def fit(folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """A short run; the network that it would have packaged."""

    def start(*more: str) -> nn.Module:
        packaged: list[nn.Module] = []
        monkeypatch.setattr(export, "package", lambda network, *_, **__: packaged.append(network))
        assert run(folder, tmp_path / "out", "--epochs", "2", *more) == 0
        return packaged[0]

    return start


def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]


def differ(a: nn.Module, b: nn.Module) -> float:
    """The largest difference of a weight."""
    return max(float((p - q).detach().abs().max()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_sgd_steps_as_nesterov_wrote_it() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    optimizer = optimizer_for(network, given("--lr", "0.1", "--momentum", "0.5", "--weight-decay", "0").optimization)
    for _ in range(2):
        network.weight.grad = torch.ones(1, 1)
        optimizer.step()
    # velocity 1, then 1.5; each step goes gradient + 0.5 * velocity
    assert network.weight.item() == pytest.approx(1 - 0.1 * (1.5 + 1.75))


def test_adamw_decays_weights_apart_from_the_gradient() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    optimizer = optimizer_for(
        network, given("--optimizer", "adamw", "--lr", "0.1", "--weight-decay", "0.5").optimization
    )
    network.weight.grad = torch.full((1, 1), 1e3)
    optimizer.step()
    assert network.weight.item() == pytest.approx(1 * (1 - 0.1 * 0.5) - 0.1, rel=1e-4)  # the size of a gradient is lost
    assert (given("--optimizer", "adamw").optimization.lr, given().optimization.lr) == (0.001, 0.05)


def walk(*more: str) -> tuple[list[float], list[float]]:
    """(learning rate, momentum) at each of 100 steps."""
    optimization = given("--lr", "1", *more).optimization
    optimizer = optimizer_for(nn.Linear(1, 1), optimization)
    schedule = schedule_for(optimizer, optimization, 100)
    rates, momenta = [], []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return rates, momenta


def test_cosine_rises_for_the_warm_up_then_falls() -> None:
    rates, momenta = walk("--warmup", "0.2")
    assert rates.index(max(rates)) == 20
    assert rates == [rate(step / 100, 0.2) for step in range(100)]
    assert set(momenta) == {0.9}
    assert walk("--warmup", "0")[0][0] == 1


def test_one_cycle_moves_the_momentum_against_the_rate() -> None:
    rates, momenta = walk("--schedule", "one-cycle")
    assert max(rates) == rates[29] == pytest.approx(1)
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[-1] < 1e-4
    assert (max(momenta), min(momenta)) == pytest.approx((0.95, 0.85)) and momenta.index(min(momenta)) == 29


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
@pytest.mark.parametrize("warmup", ["0", "0.1", "0.2", "0.5"])
def test_one_cycle_of_few_steps(steps: int, warmup: str) -> None:
    optimization = given("--schedule", "one-cycle", "--lr", "1", "--warmup", warmup).optimization
    optimizer = optimizer_for(nn.Linear(1, 1), optimization)
    schedule = schedule_for(optimizer, optimization, steps)
    for step in range(steps):
        assert 0 < optimizer.param_groups[0]["lr"] <= 1
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_one_cycle_swings_around_the_momentum_that_was_given() -> None:
    _, momenta = walk("--schedule", "one-cycle", "--momentum", "0.5")
    assert (max(momenta), min(momenta)) == pytest.approx((0.55, 0.45))


def test_the_average_follows_weights_and_statistics() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(network, 0.9)
    for value in range(1, 200):
        nn.init.constant_(network[0].weight, float(value))
        network[1].running_mean.fill_(float(value))
        network[1].num_batches_tracked.fill_(value)
        average.update(network)
    # in the long run an average of decay d lags a ramp by d / (1 - d)
    assert average.network[0].weight.flatten().tolist() == pytest.approx([199 - 9] * 4, rel=1e-3)
    assert average.network[1].running_mean.tolist() == pytest.approx([190, 190], rel=1e-3)
    assert int(average.network[1].num_batches_tracked) == 199


def test_the_average_is_kept_where_it_validates_better() -> None:
    network = nn.Linear(2, 2)
    state = State(network, torch.optim.SGD(network.parameters()), None, *(torch.Generator() for _ in range(2)))  # type: ignore[arg-type]
    better = {"weight": torch.ones(2, 2)}
    state.consider(0.5, 2.0, network.state_dict())
    state.consider(0.6, 1.0, better)
    state.consider(0.6, 1.0, network.state_dict())
    assert torch.equal(state.best_weights["weight"], torch.ones(2, 2))
    better["weight"].zero_()
    assert torch.equal(state.best_weights["weight"], torch.ones(2, 2))  # a copy
    state.consider(0.6, 0.9, better)  # as accurate, and surer of it
    assert torch.equal(state.best_weights["weight"], torch.zeros(2, 2))


def test_a_run_exports_the_average_when_it_wins(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    averages: list[nn.Module] = []
    real = epochs.evaluate

    def judged(network: nn.Module, *rest: Any) -> dict[str, Any]:
        averaged = len(averages) and network is averages[0]
        return real(network, *rest) | {"accuracy": 0.9 if averaged else 0.4}

    class Watched(Average):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            averages.append(self.network)

    monkeypatch.setattr(learner, "Average", Watched)
    monkeypatch.setattr(epochs, "evaluate", judged)
    network = fit("--ema", "0.5", "--epochs", "1")
    assert differ(network, averages[0]) == 0
    assert rows(tmp_path)[0]["ema_validation_accuracy"] == 0.9


def test_label_smoothing_and_clipping_reach_the_step(fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    norms: list[float] = []
    step = torch.optim.SGD.step

    def watched(optimizer: torch.optim.SGD, *rest: Any) -> Any:
        gradients = [p.grad.flatten() for p in optimizer.param_groups[0]["params"]]
        norms.append(float(torch.cat(gradients).norm()))
        return step(optimizer, *rest)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    fit()
    free, norms[:] = max(norms), []
    fit("--clip", str(free / 4))
    assert max(norms) == pytest.approx(free / 4, rel=1e-3)
    fit("--label-smoothing", "0.9", "--lr", "1e-9")
    smoothed = rows(tmp_path)[0]["loss"]
    fit("--lr", "1e-9")
    assert smoothed != rows(tmp_path)[0]["loss"]


def test_patience_ends_a_run_that_stalls(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit("--epochs", "9", "--patience", "2", "--lr", "1e-9")
    assert len(rows(tmp_path)) == 3
    assert "stopped early: no progress in 2 epochs, the best was epoch 1" in capsys.readouterr().out


def test_bf16_channels_last_and_compile_compute_the_same_thing(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = fit()
    seen: list[torch.Tensor] = []
    real = torch.nn.functional.cross_entropy
    monkeypatch.setattr(
        torch.nn.functional, "cross_entropy", lambda logits, *a, **k: (seen.append(logits), real(logits, *a, **k))[1]
    )
    assert 0 < differ(fit("--bf16", "--no-measure"), usual) < 0.1
    assert seen[0].dtype == torch.bfloat16
    forward = networks.TutorialCNN.forward
    layouts: list[bool] = []
    monkeypatch.setattr(
        networks.TutorialCNN,
        "forward",
        lambda network, x: (layouts.append(network.features[3].weight.is_contiguous()), forward(network, x))[1],
    )
    assert differ(fit("--channels-last", "--no-measure"), usual) < 1e-4
    assert not layouts[-2]
    monkeypatch.setattr(networks.TutorialCNN, "forward", forward)
    compiled: list[str] = []
    real_compile = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda network, backend: (compiled.append(backend), real_compile(network, backend=backend))[1]
    )
    assert differ(fit("--compile", "eager", "--no-measure"), usual) < 1e-4
    assert compiled == ["eager"]


def test_the_recipe_names_what_is_not_usual() -> None:
    network = {"network": "TutorialCNN"}
    usual = recipe(given(), network, "image")
    assert "schedule" not in usual and "warmup" not in usual
    changed = recipe(given("--schedule", "one-cycle", "--ema", "0.99", "--optimizer", "adamw"), network, "image")
    assert {key: changed[key] for key in changed.keys() - usual.keys()} == {
        "schedule": "one-cycle",
        "warmup": 0.3,
        "ema": 0.99,
    }
    assert (changed["optimizer"], changed["lr"]) == ("AdamW", 0.001)
