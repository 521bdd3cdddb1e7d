"""A model with two towers, one of images and one of texts, seen as a model of images and as one of texts.

What makes tensors of images or of texts looks at a manifest with nothing else in it; so each tower has its own.
"""

from __future__ import annotations

from msgspec.structs import replace

from shared.package.manifest import Tensor
from shared.package.processing import Similarity
from shared.serving.loaded import Loaded

IMAGE_AXES = 4


def of_images(loaded: Loaded) -> Loaded:
    """With the inputs of four axes alone, of which images.signature wants one."""
    images = [tensor for tensor in loaded.manifest.inputs if _is_image(tensor)]
    return replace(loaded, manifest=replace(loaded.manifest, inputs=images))


def of_texts(loaded: Loaded) -> Loaded:
    """With the other inputs and the tokenizer of the sentences that labels make; a model without towers as it is."""
    after = loaded.manifest.postprocess
    if not isinstance(after, Similarity):
        return loaded
    rest = [tensor for tensor in loaded.manifest.inputs if not _is_image(tensor)]
    return replace(loaded, manifest=replace(loaded.manifest, inputs=rest, preprocess=after.text))


def _is_image(tensor: Tensor) -> bool:
    return len(tensor.shape) == IMAGE_AXES
