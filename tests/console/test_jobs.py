"""Jobs: a batch and its failures; a training's curves as they grow, and its end."""

from __future__ import annotations

import json

import httpx
import pytest
from playwright.sync_api import expect

import functions.training.app as training
from shared import keys
from shared.config import Config
from shared.jobs.batch import job as batch_jobs
from shared.jobs.batch.work import process
from shared.jobs.training import job as jobs
from tests.console import world
from tests.console.conftest import Opened, settled
from tests.console.world import ConsoleService
from tests.jobs_batch.world import MANIFEST, chunks, echo, for_ever
from tests.jobs_training.conftest import BUCKET, Queue


@pytest.fixture
def job(service: ConsoleService, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a job that has trained two epochs."""
    monkeypatch.setattr(training, "config", lambda: Config(bucket=BUCKET))
    monkeypatch.setattr(training, "queue", Queue)
    headers = {"Authorization": f"Bearer {service.tokens['ann']}"}
    asked = {"model": "fashion", "data": "fashion-mnist", "arguments": {"epochs": 5}}
    answer = httpx.post(f"{service.api_url}/training-jobs", json=asked, headers=headers)
    assert answer.is_success, answer.text
    number: str = answer.json()["id"]
    jobs.write_report(service.store, number, 1, "running")
    epochs(service, number, 2)
    return number


def epochs(service: ConsoleService, job: str, count: int) -> None:
    rows = [
        {"epoch": n, "training_loss": 1 / n, "validation_loss": 1.2 / n, "validation_accuracy": 1 - 0.4 / n}
        for n in range(1, count + 1)
    ]
    service.store.put(keys.training_metrics(job), "\n".join(map(json.dumps, rows)).encode())


def test_curves_grow_while_a_job_trains(opened: Opened, service: ConsoleService, job: str) -> None:
    page = settled(opened("/jobs"))
    page.get_by_role("table", name="Training jobs").get_by_role("link", name=job).click()
    loss = page.locator("figure", has=page.get_by_role("heading", name="Loss"))
    loss.locator("summary").click()
    expect(loss.get_by_role("table").locator("tbody tr")).to_have_count(2)
    expect(loss.locator(".legend")).to_contain_text("validation loss")
    epochs(service, job, 3)
    expect(loss.get_by_role("table").locator("tbody tr")).to_have_count(3, timeout=20_000)
    expect(loss.get_by_role("table")).to_contain_text("0.4")


def test_why_a_job_failed_is_said(opened: Opened, service: ConsoleService, job: str) -> None:
    jobs.write_report(service.store, job, 1, "failed", "the loss became nan in epoch 3: give a smaller --lr")
    page = settled(opened(f"/jobs/training/{job}"))
    expect(page.locator(".note.bad")).to_contain_text("The loss became nan in epoch 3")


def test_a_batch_shows_how_far_it_is_and_why_inputs_failed(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/jobs"))
    page.get_by_role("table", name="Batch jobs").get_by_role("link", name=world.BATCH).click()
    expect(page.locator(".progress")).to_contain_text("30 of 60 inputs, 8 of them with an error of their own")
    failures = page.get_by_role("table", name="Inputs with an error")
    expect(failures.locator("tbody tr")).to_have_count(8)
    expect(failures).to_contain_text("wines.jsonl:1")
    expect(failures).to_contain_text("Refused, as asked.")
    job = batch_jobs.read(service.store, world.BATCH)
    process(service.store, job, 1, chunks(service.store, job)[1], MANIFEST, echo, for_ever)
    expect(page.locator(".progress")).to_contain_text("60 of 60 inputs, 15 of them", timeout=20_000)
    expect(failures.locator("tbody tr")).to_have_count(15)
