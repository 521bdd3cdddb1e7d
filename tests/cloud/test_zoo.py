"""Other people's models through the whole product, and ONNX Runtime's own numbers for the same file beside them."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import openai
import pytest
import tritonclient.http as triton
from amaas import Client
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFont
from tokenizers import Tokenizer

from tests.cloud.conftest import ROOT, Cloud
from tests.zoo import packages, tables

pytestmark = pytest.mark.cloud

Feeds = dict[str, np.ndarray]
NAMES = {"tensor(float)": "FP32", "tensor(float16)": "FP16", "tensor(int32)": "INT32", "tensor(int64)": "INT64"}
NAMES |= {"tensor(string)": "BYTES"}
# Against a session with ONNX Runtime's defaults: the gate fuses nodes, and threads add up in another order.
RTOL, ATOL = 1e-3, 1e-5
SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]


class Zoo:
    """Models that are made and pushed when first asked for, as a user would: the client sends the package's folder."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud, self.folder = cloud, folder
        self.client = Client(cloud.access["api_url"], cloud.access["token"])
        self.triton = triton.InferenceServerClient(str(cloud.access["api_url"]).removeprefix("http://"))
        self.headers = {"Authorization": f"Bearer {cloud.access['token']}"}
        self.bare = cache(self._bare)

    def _bare(self, name: str) -> ort.InferenceSession:
        """ONNX Runtime, as it comes, on the file that was pushed."""
        package = packages.make(self.folder, name)
        assert self.client.push(package)["state"] == "registered"
        return ort.InferenceSession(package / "model.onnx", providers=["CPUExecutionProvider"])

    def ask(self, name: str, feeds: Feeds) -> dict[str, np.ndarray]:
        """All outputs by name, in binary both ways; and the same from ONNX Runtime must be equal."""
        bare = self.bare(name)
        kinds = {arg.name: NAMES[arg.type] for arg in bare.get_inputs()}
        inputs = [
            triton.InferInput(input, list(array.shape), kinds[input]).set_data_from_numpy(array)
            for input, array in feeds.items()
        ]
        result = self.triton.infer(name, inputs, headers=self.headers)
        return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}

    def same(self, name: str, feeds: Feeds, atol: float = ATOL) -> list[np.ndarray]:
        """The service's outputs, which are ONNX Runtime's own."""
        answers = self.ask(name, feeds)
        wanted = [arg.name for arg in self.bare(name).get_outputs()]
        for output, expected in zip(wanted, self.bare(name).run(None, feeds), strict=True):
            assert answers[output].dtype == expected.dtype
            np.testing.assert_allclose(answers[output], expected, rtol=RTOL, atol=atol, err_msg=f"{name} {output}")
        return [answers[output] for output in wanted]


@pytest.fixture(scope="module")
def zoo(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return Zoo(cloud, tmp_path_factory.mktemp("zoo"))


# ---- magika: what kind of file is this?


def windows(content: bytes) -> np.ndarray:
    """What magika looks at: 1024 bytes of each end without white space, 256 where there is nothing."""
    first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    padding = [256] * (1024 - len(first)), [256] * (1024 - len(last))
    return np.array([[*first, *padding[0], *padding[1], *last]], np.int32)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("functions/inference/app.py", "python"),
        ("README.md", "markdown"),
        ("Makefile", "makefile"),
        ("examples/images/fashion-0000-ankle-boot.png", "png"),
    ],
)
def test_magika_knows_the_files_of_this_repository(zoo: Zoo, file: str, kind: str) -> None:
    feeds = {"bytes": windows((ROOT / file).read_bytes())}
    zoo.same("magika", feeds)
    tensor = triton.InferInput("bytes", [1, 2048], "INT32").set_data_from_numpy(feeds["bytes"])
    best = triton.InferRequestedOutput("target_label", class_count=1)
    answer = zoo.triton.infer("magika", [tensor], outputs=[best], headers=zoo.headers).as_numpy("target_label")
    assert answer.item().decode().split(":")[2] == kind


# ---- silero-vad: a recurrent model whose state travels with the caller


def voice(seconds: float, rate: int) -> np.ndarray:
    """A second of silence, then a hum with formants and syllables; no speech, but it moves the model."""
    time = np.arange(int(seconds * rate)) / rate
    hum = sum(np.sin(2 * np.pi * 140 * n * time) * np.exp(-(((140 * n - 700) / 500) ** 2)) for n in range(1, 20))
    return np.float32(0.2 * hum * (1 + np.sin(2 * np.pi * 4 * time)) * (time > 1))


@pytest.mark.parametrize(("rate", "chunk", "context"), [(16_000, 512, 64), (8_000, 256, 32)])
def test_silero_vad_hears_chunk_after_chunk(zoo: Zoo, rate: int, chunk: int, context: int) -> None:
    sound = voice(2, rate)[rate // 2 :]
    run: list[Callable[[Feeds], dict[str, np.ndarray]]] = [
        lambda feeds: zoo.ask("silero-vad", feeds),
        lambda feeds: dict(zip(["output", "stateN"], zoo.bare("silero-vad").run(None, feeds), strict=True)),
    ]
    heard = []
    for ask in run:
        state, before, chances = np.zeros((2, 1, 128), np.float32), np.zeros(context, np.float32), []
        for start in range(0, 24 * chunk, chunk):
            piece = np.concatenate([before, sound[start : start + chunk]])
            answer = ask({"input": piece[None], "state": state, "sr": np.array(rate, np.int64)})
            state, before = answer["stateN"], piece[-context:]
            chances.append(float(answer["output"].item()))
        heard.append((chances, state))
    np.testing.assert_allclose(heard[0][0], heard[1][0], rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(heard[0][1], heard[1][1], rtol=RTOL, atol=ATOL)
    assert np.ptp(heard[0][0]) > 0.01, "the sound changes what the model thinks"


# ---- PP-OCR: where is text, which way up, what does it say?


def line(text: str) -> Image.Image:
    """A line of text, 48 pixels high, black on white."""
    font = ImageFont.load_default(34)
    image = Image.new("RGB", (int(font.getlength(text)) + 20, 48), "white")
    ImageDraw.Draw(image).text((10, 4), text, "black", font)
    return image


def pixels(image: Image.Image) -> np.ndarray:
    """[1, 3, height, width], BGR, between -1 and 1: what PP-OCR's models take."""
    return np.float32(np.asarray(image)[None, :, :, ::-1].transpose(0, 3, 1, 2) / 127.5 - 1)


def page() -> tuple[Image.Image, tuple[int, int, int, int]]:
    """A picture with one word, and the box around it."""
    image, font = Image.new("RGB", (480, 320), "white"), ImageFont.load_default(40)
    drawing = ImageDraw.Draw(image)
    drawing.text((120, 200), "Invoice", "black", font)
    return image, tuple(int(side) for side in drawing.textbbox((120, 200), "Invoice", font))


@pytest.mark.parametrize("name", ["ocr-det", "ocr-det-beside"])
def test_pp_ocr_finds_text(zoo: Zoo, name: str) -> None:
    image, (left, top, right, bottom) = page()
    [chances] = zoo.same(name, {"x": pixels(image)})
    rows, columns = np.nonzero(chances[0, 0] > 0.3)
    found = columns.min(), rows.min(), columns.max(), rows.max()
    assert np.abs(np.subtract(found, (left, top, right, bottom))).max() < 15
    zoo.same(name, {"x": pixels(image.resize((256, 192)))})


@pytest.mark.parametrize("name", ["ocr-rec", "ocr-rec-fp16"])
@pytest.mark.parametrize("text", ["Invoice 2048", "Hello World"])
def test_pp_ocr_reads_text(zoo: Zoo, name: str, text: str) -> None:
    """CTC: the best character of each step, repetitions once, blanks not at all."""
    half = name.endswith("fp16")
    x = pixels(line(text)).astype(np.float16 if half else np.float32)
    # half precision has steps of 0.001 near 1
    [scores] = zoo.same(name, {"x": x}, atol=2e-3 if half else ATOL)
    held = zoo.bare(name).get_modelmeta().custom_metadata_map["character"].splitlines()
    best = scores[0].argmax(-1)
    kept = [index for index, before in zip(best, [-1, *best], strict=False) if index and index != before]
    assert "".join([*held, " "][index - 1] for index in kept) == text


def test_pp_ocr_sees_what_is_upside_down(zoo: Zoo) -> None:
    upright, path = line("Invoice 20"), zoo.folder / "line.png"
    for image, label in ((upright, "0"), (upright.rotate(180), "180")):
        zoo.same("ocr-cls", {"x": pixels(image.resize((192, 48)))})
        image.save(path)
        best = zoo.client.predict("ocr-cls", path)["predictions"][0]
        assert (best["label"], best["score"] > 0.9) == (label, True)


# ---- MiniLM: text to vector


def embedded(zoo: Zoo, name: str, texts: list[str]) -> np.ndarray:
    """Written apart from the service: tokens, ONNX Runtime, the mean over the tokens, length 1.

    Padded as tokenizer.json says: in int8, the range of a tensor's values has the padding in it.
    """
    tokens = Tokenizer.from_file(str(zoo.folder / name / "tokenizer.json")).encode_batch(texts)
    feeds = {
        "input_ids": np.array([each.ids for each in tokens]),
        "attention_mask": np.array([each.attention_mask for each in tokens]),
        "token_type_ids": np.array([each.type_ids for each in tokens]),
    }
    [hidden] = zoo.bare(name).run(None, feeds)
    mask = feeds["attention_mask"][:, :, None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


# what sentence-transformers publishes for SENTENCES, to four digits
SIMILARITIES = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]


@pytest.mark.parametrize(("name", "near"), [("minilm", 1e-4), ("minilm-int8", 0.05)])
def test_minilm_answers_openais_client(zoo: Zoo, name: str, near: float) -> None:
    zoo.bare(name)
    client = openai.OpenAI(base_url=f"{zoo.cloud.access['api_url']}/v1", api_key=zoo.cloud.access["token"])
    answer = client.embeddings.create(model=name, input=SENTENCES)
    vectors = np.array([each.embedding for each in answer.data])
    np.testing.assert_allclose(vectors, embedded(zoo, name, SENTENCES), rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(vectors @ vectors.T, SIMILARITIES, atol=near)


@pytest.mark.parametrize("name", ["minilm", "minilm-int8"])
def test_minilm_takes_tokens(zoo: Zoo, name: str) -> None:
    ids = np.random.default_rng(0).integers(1000, 20_000, (2, 40))
    mask = np.ones_like(ids)
    mask[1, 30:] = 0
    zoo.same(name, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})


# ---- a scikit-learn pipeline that takes strings, and inputs that may be left out


def test_a_pipeline_with_strings(zoo: Zoo) -> None:
    table = tables.rows(50, seed=7)
    table["country"][0] = "nowhere that was trained on"
    answers = zoo.ask("orders", {name: column[:, None] for name, column in table.items()})
    fitted, matrix = tables.pipeline(), tables.matrix(table)
    labels, scores = zoo.bare("orders").run(None, {name: column[:, None] for name, column in table.items()})
    assert [label.decode() for label in answers["output_label"]] == labels.tolist() == fitted.predict(matrix).tolist()
    expected = [[row["kept"], row["returned"]] for row in scores]
    np.testing.assert_allclose(answers["output_probability"], expected, rtol=1e-6)
    np.testing.assert_allclose(answers["output_probability"], fitted.predict_proba(matrix), atol=1e-5)

    lines = [",".join(table), *(",".join(str(column[n]) for column in table.values()) for n in range(50))]
    results = zoo.client.predict("orders", "\n".join(lines).encode(), content_type="text/csv")["results"]
    assert [result["predictions"][0]["label"] for result in results] == labels.tolist()
    best = [result["predictions"][0]["score"] for result in results]
    np.testing.assert_allclose(best, np.max(expected, axis=1), atol=1e-5)


def test_an_optional_input(zoo: Zoo) -> None:
    """letters x times: the text of `letter` (a string with a default) is compared with x, and the matches scaled."""
    defaults = [
        numpy_helper.from_array(np.array([2], np.float32), "scale"),
        numpy_helper.from_array(np.array(["a"], object), "letter"),
    ]
    nodes = [
        helper.make_node("StringConcat", ["x", "letter"], ["joined"]),
        helper.make_node("RegexFullMatch", ["joined"], ["same"], pattern=r"(aa|bb|cc)"),
        helper.make_node("Cast", ["same"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ones", "scale"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.STRING, ["N"]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("letter", TensorProto.STRING, [1]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])]
    graph = helper.make_graph(nodes, "optional", inputs, outputs, defaults)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path = zoo.folder / "optional.onnx"
    onnx.save(made, path)
    zoo.client.push(path)
    bare = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    text = np.array(list(string.ascii_lowercase[:4]), object)
    described = zoo.triton.get_model_metadata("optional", headers=zoo.headers)
    assert [tensor["name"] for tensor in described["inputs"]] == ["x"]
    assert {tensor["name"] for tensor in described["parameters"]["optional_inputs"]} == {"scale", "letter"}
    for extra in ({}, {"scale": np.array([5], np.float32)}, {"letter": np.array(["c"], object)}):
        given = {"x": text} | extra
        tensors = [
            triton.InferInput(name, list(array.shape), "FP32" if name == "scale" else "BYTES").set_data_from_numpy(
                array
            )
            for name, array in given.items()
        ]
        answer = zoo.triton.infer("optional", tensors, headers=zoo.headers).as_numpy("y")
        assert answer.tolist() == bare.run(None, given)[0].tolist()
        plain = zoo.client.predict("optional", {"inputs": {name: array.tolist() for name, array in given.items()}})
        assert plain["outputs"]["y"] == answer.tolist()
