"""Calls a model that sorts clothes, and says of each answer what it should have been.

    python examples/traffic.py MODEL [ROUNDS]

Each round sends the ten pictures beside this file; their names say what is on them. How often each version was right is
printed at the end, as the answers have it. It needs the client only: .local/envs/client/bin/python, after `make run`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from amaas import AmaasError, Client

LABELS = {"ankle-boot": "Ankle boot", "t-shirt-top": "T-shirt/top"}


def main(model: str, rounds: int) -> None:
    called, right = Counter[int](), Counter[int]()
    with Client() as client:
        for number in range(rounds):
            labels = []
            for picture in sorted((Path(__file__).parent / "images").glob("fashion-*.png")):
                name = picture.stem.split("-", 2)[2]
                label = LABELS.get(name, name.capitalize())
                # in a split, the key decides which version answers: another one for each call
                answer = client.predict(model, picture, key=f"{number}-{name}")
                labels.append({"answer_id": answer["answer_id"], "label": label})
                called[answer["version"]] += 1
                right[answer["version"]] += answer["predictions"][0]["label"] == label
            client.give_labels(model, labels)
    for version in sorted(called):
        print(f"version {version}: {right[version]} of {called[version]} answers were right")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Calls a model that sorts clothes, and labels its answers.")
    parser.add_argument("model")
    parser.add_argument("rounds", nargs="?", type=int, default=40, help="of ten pictures each; %(default)s if left out")
    chosen = parser.parse_args()
    try:
        main(chosen.model, chosen.rounds)
    except AmaasError as error:
        sys.exit(f"traffic: {error}")
