"""The networks for small images: any size and channels, what ONNX Runtime makes of them, and the mirror."""

from __future__ import annotations

from collections import Counter

import onnx
import onnxruntime
import pytest
import torch

from training import export
from training.errors import TrainingError
from training.kinds.images import Images
from training.networks.small import MirrorResNet, QuickCNN, SmallResNet


def kind(channels: int, height: int, width: int) -> Images:
    mode = "L" if channels == 1 else "RGB"
    return Images({"mode": mode, "size": [height, width], "scale": 1 / 255, "mean": [0.5] * channels, "std": [1.0]})


@pytest.mark.parametrize("make", [QuickCNN, SmallResNet, MirrorResNet])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 21, 34)])
def test_any_size_is_exported_as_it_is_computed(make: type[torch.nn.Module], shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = make(shape, 7).eval()
    session = onnxruntime.InferenceSession(export.to_onnx(network, kind(*shape)))
    images = torch.randn(3, *shape)
    with torch.no_grad():
        want = network(images)
    torch.testing.assert_close(torch.from_numpy(session.run(None, {"image": images.numpy()})[0]), want)


def test_the_quick_one_is_three_fused_convolutions_and_a_product() -> None:
    made = onnx.load_from_string(export.to_onnx(QuickCNN((1, 28, 28), 10).eval(), kind(1, 28, 28)))
    counted = Counter(node.op_type for node in made.graph.node)
    assert counted == {"Conv": 3, "Relu": 3, "MaxPool": 1, "Reshape": 1, "Gemm": 1}
    assert made.ByteSize() < 270_000


def test_a_mirror_image_gets_the_same_answer_once_trained() -> None:
    torch.manual_seed(0)
    network, images = MirrorResNet((1, 12, 12), 3), torch.randn(4, 1, 12, 12)
    with torch.no_grad():
        assert not torch.allclose(network(images), network(images.flip(3)))
        network.eval()
        torch.testing.assert_close(network(images), network(images.flip(3)))


def test_too_small_images_are_refused_with_advice() -> None:
    with pytest.raises(TrainingError, match="7x28 are too small for this network: use at least 8x8"):
        QuickCNN((1, 7, 28), 10)
