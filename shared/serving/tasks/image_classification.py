"""An image in, labels and scores out. What happens in between is declared by the manifest, never code."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from shared.errors import BadInput, TooLarge, Unsupported
from shared.registry.manifest import Manifest, Postprocess, Preprocess, Tensor
from shared.runtime.onnx import DTYPES
from shared.serving.cache import Loaded

MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def predict(loaded: Loaded, body: bytes, content_type: str, options: dict[str, str]) -> dict[str, Any]:
    """Classify one encoded image. Options: top_k, how many labels to answer."""
    if content_type and not content_type.startswith(("image/", "application/octet-stream")):
        raise Unsupported(f"model {loaded.name!r} takes an image (image/png, image/jpeg), not {content_type[:80]!r}")
    tensor = _image_input(loaded)
    plan = loaded.manifest.preprocess or _inferred(tensor)
    image = decode(body, plan.mode)
    output = _logits_output(loaded)
    feed = {tensor.name: preprocess(image, plan, tensor)}
    logits = loaded.session.run([output], feed)[0]
    after = loaded.manifest.postprocess or Postprocess()
    return {"predictions": labelled(logits[0], loaded.manifest, after, _top_k(options, after.top_k))}


def decode(body: bytes, mode: str) -> Image.Image:
    """Encoded bytes as an upright image in a colour mode. Raises BadInput, TooLarge."""
    if not body:
        raise BadInput("the body is empty: send the image's bytes, as in curl --data-binary @image.png")
    try:
        image: Image.Image = Image.open(io.BytesIO(body), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width}x{image.height}"
            raise TooLarge(f"the image has {size} pixels, more than {MAX_PIXELS:,} in all; send it smaller")
        upright = ImageOps.exif_transpose(image)
        return upright.convert("RGB" if mode == "BGR" else mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput("the body is no image that can be read: send a whole PNG or JPEG file") from error


def preprocess(image: Image.Image, plan: Preprocess, tensor: Tensor) -> np.ndarray:
    """The image as the model's input, of shape [1, C, H, W] or [1, H, W, C]."""
    size = plan.size or _size(tensor, plan.layout)
    if size:
        image = resized(image, size[0], size[1], plan)
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    pixels = pixels[:, :, ::-1] if plan.mode == "BGR" else pixels
    if tensor.datatype == "UINT8":
        values = pixels.astype(np.uint8)
    else:
        mean, std = np.asarray(plan.mean, np.float32), np.asarray(plan.std, np.float32)
        values = ((pixels * np.float32(plan.scale) - mean) / std).astype(DTYPES[tensor.datatype])
    return np.ascontiguousarray(values.transpose(2, 0, 1) if plan.layout == "NCHW" else values)[None]


def resized(image: Image.Image, height: int, width: int, plan: Preprocess) -> Image.Image:
    if image.size == (width, height):
        return image
    method = FILTERS[plan.interpolation]
    if plan.resize == "crop":
        return ImageOps.fit(image, (width, height), method)
    if plan.resize == "pad":
        return ImageOps.pad(image, (width, height), method)
    return image.resize((width, height), method)


def labelled(logits: np.ndarray, manifest: Manifest, after: Postprocess, top_k: int) -> list[dict[str, Any]]:
    """The best labels of one score vector of shape [K], best first."""
    scores = activated(np.asarray(logits, np.float64).reshape(-1), after.activation)
    best = np.argsort(-scores, kind="stable")[:top_k]
    names = manifest.labels
    return [{"label": names[i] if i < len(names) else str(i), "score": round(float(scores[i]), 6)} for i in best]


def activated(values: np.ndarray, activation: str) -> np.ndarray:
    if activation == "softmax":
        powers = np.exp(values - values.max())
        return np.asarray(powers / powers.sum())
    return 1 / (1 + np.exp(-values)) if activation == "sigmoid" else values


def _top_k(options: dict[str, str], default: int) -> int:
    text = options.get("top_k", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 16384):
        raise BadInput(f"top_k must be a whole number from 1 to 16384, not {text[:40]!r}")
    return int(text)


def _image_input(loaded: Loaded) -> Tensor:
    inputs = loaded.manifest.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise BadInput(
            f"model {loaded.name!r} does not take one batch of images: POST tensors to /v2/models/{loaded.name}/infer"
        )
    return inputs[0]


def _logits_output(loaded: Loaded) -> str:
    named = loaded.manifest.postprocess.output if loaded.manifest.postprocess else None
    return named or loaded.manifest.outputs[0].name


def _inferred(tensor: Tensor) -> Preprocess:
    layout = "NHWC" if tensor.shape[3] in (1, 3) and tensor.shape[1] not in (1, 3) else "NCHW"
    channels = tensor.shape[3] if layout == "NHWC" else tensor.shape[1]
    return Preprocess(mode="L" if channels == 1 else "RGB", layout=layout)  # type: ignore[arg-type]  # both are literals


def _size(tensor: Tensor, layout: str) -> list[int] | None:
    height, width = tensor.shape[2:4] if layout == "NCHW" else tensor.shape[1:3]
    return [height, width] if height > 0 and width > 0 else None
