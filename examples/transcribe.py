"""What is said in a sound, by a model of speech: python examples/transcribe.py MODEL FILE

In the client's environment (.local/envs/client/bin/python). The service is found as by `amaas`: AMAAS_URL and
AMAAS_TOKEN, or the nearest .local/amaas.json. It asks by OpenAI's route, which has five minutes; /predict has 29
seconds, in which a model of several hundred MB may not be loaded yet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
from amaas.api.endpoint import resolve

PATIENCE = 300.0  # seconds


def transcribe(model: str, sound: Path) -> str:
    """The text. Raises SystemExit with what the service says where there is none."""
    url, token = resolve()
    answer = httpx.post(
        f"{url}/v1/audio/transcriptions",
        headers={"Authorization": f"Bearer {token}"},
        data={"model": model},
        files={"file": (sound.name, sound.read_bytes())},
        timeout=PATIENCE,
    )
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"{sound} was not transcribed: {answer.status_code} {answer.text}")
    return str(answer.json()["text"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(transcribe(sys.argv[1], Path(sys.argv[2])))
