"""How near images are to sentences, by a model with a tower for each, which it runs at once."""

from __future__ import annotations

import numpy as np

from shared.errors import BadInput
from shared.package.processing import Similarity
from shared.serving.inputs import images, texts, towers
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification


def per_run(loaded: Loaded) -> int:
    """How many images go into one run."""
    tower = towers.of_images(loaded)
    return 1 if images.any_size(tower) else batching.per_run(tower)


def scores(
    loaded: Loaded, plan: Similarity, bodies: list[bytes], sentences: list[str], multi_label: bool
) -> np.ndarray:
    """[images, sentences]: shares of 1, or each sentence by itself. Raises BadInput, TooLarge."""
    seen, _ = images.feeds(towers.of_images(loaded), bodies)
    read, _ = texts.feeds(towers.of_texts(loaded), [*sentences])
    values = np.asarray(loaded.session.run([plan.output], seen | read)[0])
    if values.dtype.kind != "f" or values.shape != (len(bodies), len(sentences)):
        raise BadInput(
            f"output {plan.output!r} of shape {list(values.shape)} is no table of logits of {len(bodies)} images and "
            f"{len(sentences)} sentences"
        )
    return classification.activated(values.astype(np.float64), "sigmoid" if multi_label else "softmax")
