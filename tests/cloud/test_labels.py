"""Labels on the running cloud: an answer's id, given back with what would have been right, makes an accuracy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from local.settings import ROOT
from tests.cloud.conftest import Cloud
from tests.cloud.running import resource, until

pytestmark = pytest.mark.cloud
ENVIRONMENTS = ROOT / ".local" / "envs"
PACKAGE, IMAGES = ROOT / "layers" / "models" / "fashion-mnist", ROOT / "examples" / "images"


def test_labels_that_come_later_say_how_often_a_version_was_right(cloud: Cloud) -> None:
    files = {path.name: path.read_bytes() for path in PACKAGE.iterdir()}
    assert cloud.upload("labeled", files)["version"] == 1
    cloud.api.put("/models/labeled/aliases/production", json={"version": 1})
    labels = []
    for image in sorted(IMAGES.glob("fashion-*.png")):
        answer = cloud.api.post("/models/labeled/predict", content=image.read_bytes())
        label = answer.json()["predictions"][0]["label"]
        labels.append({"answer_id": answer.headers["x-amaas-answer-id"], "label": label})
    labels[0]["label"] = "Bag" if labels[0]["label"] != "Bag" else "Coat"
    given = cloud.api.post("/models/labeled/feedback", json={"labels": labels})
    assert (given.status_code, given.json()) == (202, {"accepted": len(labels), "refused": []})

    def measured() -> dict[str, Any]:
        answer = cloud.api.get("/models/labeled/accuracy")
        assert answer.status_code == 200, answer.text
        [week] = answer.json()["measured"]
        return dict(week)

    before = measured()
    assert (before["version"], before["items"], before["right"]) == (1, len(labels), len(labels) - 1)

    def merged() -> bool:
        reply = cloud.aws("lambda").invoke(FunctionName=resource(cloud, "CountsFunction"), Payload=b"{}")
        assert "FunctionError" not in reply, json.loads(reply["Payload"].read())
        raws = cloud.s3.list_objects_v2(Bucket=cloud.access["bucket"], Prefix="feedback/raw/labeled/")
        return bool(raws["KeyCount"] == 0)

    until(merged)
    assert measured()["right"] == before["right"]
    receipt = cloud.api.delete("/models/labeled/feedback")
    assert receipt.status_code == 200, receipt.text
    assert receipt.json()["objects"] >= 1
    assert cloud.api.get("/models/labeled/accuracy").json()["measured"] == []


def test_the_traffic_of_the_examples_is_answered_and_labeled(cloud: Cloud) -> None:
    files = {path.name: path.read_bytes() for path in PACKAGE.iterdir()}
    cloud.upload("clothes", files)
    command = [str(ENVIRONMENTS / "client" / "bin" / "python"), "examples/traffic.py", "clothes", "2"]
    access = {"AMAAS_URL": cloud.access["api_url"], "AMAAS_TOKEN": cloud.access["token"]}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | access, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"version 1: (\d+) of 20 answers were right\n", done.stdout)
    assert match, done.stdout
    [week] = cloud.api.get("/models/clothes/accuracy").json()["measured"]
    assert (week["items"], week["right"]) == (20, int(match[1]))
