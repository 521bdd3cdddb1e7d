"""A graph's weights beside it are sent with it, whatever they are called; and one that is not there is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from amaas import AmaasError, Client
from amaas.api import graph
from onnx import TensorProto, helper, numpy_helper

from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.support import linear


def save(folder: Path, name: str, location: str = "", model: onnx.ModelProto | None = None) -> Path:
    """A model with its weights in `location`, beside it; without one, within."""
    model = model or onnx.load_from_string(linear([[1.0] * 400, [2.0] * 400]))
    external = {"save_as_external_data": True, "location": location, "size_threshold": 0} if location else {}
    onnx.save_model(model, folder / name, **external)
    return folder / name


def external(name: str, location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    return tensor


@pytest.mark.parametrize("location", ["net.onnx.data", "net.onnx_data", "weights", "w-1.bin"])
def test_a_file_brings_its_weights(client: Client, service: Service, tmp_path: Path, location: str) -> None:
    path = save(tmp_path, "net.onnx", location)
    (tmp_path / "net.onnx.old").write_bytes(b"not a part of it")
    assert client.push(path)["state"] == "registered"
    sent = {"model.onnx": path.read_bytes(), location: (tmp_path / location).read_bytes()}
    assert service.sent_files() == sent


def test_a_model_that_is_one_file_brings_nothing_else(client: Client, service: Service, tmp_path: Path) -> None:
    path = save(tmp_path, "net.onnx")
    (tmp_path / "net.onnx.data").write_bytes(b"of an earlier export")
    client.push(path)
    assert list(service.sent_files()) == ["model.onnx"]


def test_a_folder_brings_them_whatever_they_end_in(client: Client, service: Service, package: Path) -> None:
    save(package, "model.onnx", "parameters")
    client.push(package)
    assert "parameters" in service.sent_files()


def test_weights_of_another_spelling_are_named(client: Client, tmp_path: Path) -> None:
    file = save(tmp_path, "net.onnx", "net.onnx.data")
    (tmp_path / "net.onnx.data").rename(tmp_path / "Net.onnx.data")
    with pytest.raises(AmaasError, match=r"which is not there: rename Net\.onnx\.data to that"):
        client.push(file)


def test_weights_that_are_missing_are_named(run: Run, service: Service, tmp_path: Path) -> None:
    path = save(tmp_path, "net.onnx", "net.onnx.data")
    (tmp_path / "net.onnx.data").unlink()
    refused = run("push", str(path))
    assert refused.exit_code == 1 and not service.calls
    assert refused.stderr == (
        f"amaas: {path} keeps weights in 'net.onnx.data', which is not there: put that file beside it, or save the "
        "model as one file\n"
    )


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "sub/net.data", "./net.data", "..", "model.onnx"])
def test_weights_are_taken_from_beside_the_graph_alone(
    client: Client, service: Service, tmp_path: Path, location: str
) -> None:
    model = onnx.load_from_string(linear([[1.0]]))
    model.graph.initializer.append(external("w", location))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(AmaasError, match=r"net\.onnx keeps weights in .*: save the model again .* such as net\.data"):
        client.push(path)
    assert not service.calls


def test_all_places_of_tensors_are_looked_at(tmp_path: Path) -> None:
    node = helper.make_node("If", ["c"], ["y"])
    branch = helper.make_graph([], "b", [], [], [external("in_branch", "branch.bin")])
    node.attribute.append(helper.make_attribute("then_branch", branch))
    node.attribute.append(helper.make_attribute("value", external("constant", "constant.bin")))
    model = helper.make_model(helper.make_graph([node], "g", [], [], [external("w", "a.bin"), external("v", "a.bin")]))
    function = helper.make_function("d", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 20)])
    function.node[0].attribute[1].t.external_data[0].value = "function.bin"
    model.functions.append(function)
    sparse = onnx.SparseTensorProto(values=external("s", "values.bin"), indices=external("i", "indices.bin"))
    model.graph.sparse_initializer.append(sparse)
    # of a tensor whose data is within, and of a note that only looks like one, nothing is meant
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3), "within"))
    model.graph.initializer[-1].external_data.add(key="location", value="left.bin")
    model.metadata_props.add(key="location", value="Berlin")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = graph.locations(tmp_path / "m.onnx")
    assert found is not None and sorted(found) == [
        "a.bin", "branch.bin", "constant.bin", "function.bin", "indices.bin", "values.bin",
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"graph", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a" * 9, b"PK\x03\x04", b"\xff" * 99])
def test_what_is_no_onnx_has_no_weights_by_name(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(body)
    assert graph.locations(tmp_path / "m.onnx") is None


def test_no_cut_of_a_model_ends_in_an_error_of_ours(tmp_path: Path) -> None:
    whole = save(tmp_path, "net.onnx", "net.onnx.data").read_bytes()
    for end in range(1, len(whole)):
        (tmp_path / "cut.onnx").write_bytes(whole[:end])
        assert graph.locations(tmp_path / "cut.onnx") in (None, [], ["net.onnx.data"])
