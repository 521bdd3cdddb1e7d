"""What a package's own amaas.json may look like: as editors of any system write it."""

from __future__ import annotations

import json
from pathlib import Path

from amaas import Client

from tests.client.gateway import Service


def test_a_manifest_may_begin_with_a_byte_order_mark(client: Client, service: Service, package: Path) -> None:
    """As Notepad and PowerShell write it."""
    written = {"name": "marked", "preprocess": {"tokenizer": "words.json"}}
    (package / "amaas.json").write_text(json.dumps(written), encoding="utf-8-sig")
    (package / "words.json").write_text("{}")
    assert client.push(package)["model"] == "marked"
    assert "words.json" in service.sent_files()
