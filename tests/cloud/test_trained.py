"""From data to an answer in one go: amaas train, package, upload event, version, canary, prediction; of each kind."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.settings import ROOT, tool
from tests.cloud.conftest import Cloud

pytestmark = pytest.mark.cloud
# the bundled model is version 1; version 2 is trained here, on the real data, as briefly as shows that it was trained
KINDS: dict[str, tuple[str, list[str], tuple[str, str], str | None]] = {
    "fashion-mnist": (
        "fashion-mnist",
        ["--model", "quick-cnn", "--epochs", "1", "--batch", "256", "--shift", "0"],
        ("examples/images/fashion-0002-trouser.png", "image/png"),
        "Trouser",
    ),
    "languages": (
        "fortunes",
        [
            "--model",
            "gru",
            "--epochs",
            "2",
            "--optimizer",
            "adamw",
            "--lr",
            "0.01",
            "--embedding",
            "24",
            "--hidden",
            "32",
        ],
        ("Без труда не вытащишь и рыбку из пруда.", "text/plain"),
        None,
    ),
    "spoken-digits": (
        "spoken-digits",
        ["--epochs", "3", "--optimizer", "adamw", "--lr", "0.01", "--widths", "8", "16", "16", "32"],
        ("examples/sounds/spoken-seven.wav", "audio/wav"),
        None,
    ),
    "wine": (
        "wine",
        ["--epochs", "20", "--batch", "16", "--optimizer", "adamw", "--lr", "0.01"],
        ("examples/tables/wine.csv", "text/csv"),
        None,
    ),
}


def amaas(cloud: Cloud, *words: str) -> Any:
    env = os.environ | {"AMAAS_URL": cloud.access["api_url"], "AMAAS_TOKEN": cloud.access["token"]}
    command = [tool("client", "amaas"), *words]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


# of all kinds, tests/training goes from files to packages in each run
LONG = ("languages", "spoken-digits")


@pytest.mark.parametrize("bundled", [pytest.param(name, marks=[pytest.mark.soak] * (name in LONG)) for name in KINDS])
def test_trained_pushed_checked_registered_and_asked(cloud: Cloud, bundled: str, tmp_path: Path) -> None:
    data, options, (sent, content_type), right = KINDS[bundled]
    model = f"trained-{bundled}"
    amaas(cloud, "push", f"layers/models/{bundled}", "--model", model)
    said = ["--data", data, "--model", model, "--canary", "50", "--local", "--out", str(tmp_path / "out")]
    amaas(cloud, "train", *said, "--json", "--", *options, "--device", "cpu")
    described = cloud.api.get(f"/models/{model}").json()
    assert [version["version"] for version in described["versions"]] == [2, 1]
    assert described["aliases"]["production"]["split"] == {"1": 50, "2": 50}
    manifest = cloud.api.get(f"/models/{model}/versions/2").json()
    assert manifest["lineage"]["step"] == "train" and manifest["metrics"]["test_accuracy"] > 0.5
    assert "Test accuracy" in manifest["card"] and manifest["dataset"]["splits"]["test"] > 20
    uploads = cloud.api.get(f"/models/{model}/uploads").json()["uploads"]
    assert [upload["state"] for upload in uploads] == ["registered", "registered"]
    labels, answered = set(), set()
    body = (ROOT / sent).read_bytes() if content_type != "text/plain" else sent.encode()
    for key in range(20):
        headers = {"Content-Type": content_type, "X-Request-Key": f"customer-{key}"}
        answer = cloud.api.post(f"/models/{model}/predict", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        answers = found.get("results", [found])  # a table has as many as it has rows
        labels |= {one["predictions"][0]["label"] for one in answers}
        answered.add(found["version"])
    assert answered == {1, 2}  # the canary has its share, the version before the rest
    assert labels <= set(manifest["labels"])
    assert right is None or right in labels
