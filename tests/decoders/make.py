"""Tiny decoders with random weights, as exporters write them, and what transformers makes of some tokens.

    python -m tests.decoders.make optimum     in an environment with requirements/exports.txt
    python -m tests.decoders.make genai       in one with requirements/language.txt; after the other

writes tests/decoders/models: NAME.onnx and NAME.npz (tokens [60]; logits [60, vocabulary], of FP32, after each token).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import transformers

FOLDER = Path(__file__).with_name("models")
VOCABULARY, HEADS, WIDTH = 96, 2, 16
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": HEADS, "max_position_embeddings": 128}
ENDS: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
WINDOW = 16


def configurations() -> dict[str, Any]:
    """Grouped queries; a sliding window; several heads with learned positions."""
    gpt2 = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128}
    return {
        "llama": transformers.LlamaConfig(**SMALL, **ENDS),
        "mistral": transformers.MistralConfig(**SMALL, **ENDS, sliding_window=WINDOW),
        "gpt2": transformers.GPT2Config(**gpt2, **ENDS),
    }


def checkpoint(name: str, folder: Path) -> None:
    """A model of the configuration with weights by chance, and the reference beside the exports."""
    model = transformers.AutoModelForCausalLM.from_config(configurations()[name]).eval()
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            # by the name: how a release of transformers begins is its own affair
            random = np.random.default_rng(list(key.encode()))
            spread = 1.0 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
            parameter.copy_(torch.from_numpy(random.normal(0, spread, tuple(parameter.shape))))
        tokens = np.random.default_rng(0).integers(0, VOCABULARY, 60)
        logits = model(torch.tensor(tokens[None])).logits[0].float().numpy()
    model.save_pretrained(folder)
    np.savez_compressed(FOLDER / f"{name}.npz", tokens=tokens, logits=logits)


def optimum() -> None:
    from optimum.exporters.onnx import main_export

    def export(model: Path, into: Path, task: str) -> None:
        main_export(str(model), str(into), task=task, library_name="transformers", do_validation=False)

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for name in configurations():
            checkpoint(name, work / name)
            export(work / name, work / "past", "text-generation-with-past")
            shutil.copy(work / "past" / "model.onnx", FOLDER / f"{name}-optimum.onnx")
    onnx.save(merged(onnx.load(FOLDER / "llama-optimum.onnx")), FOLDER / "llama-merged.onnx")
    onnx.save(together(onnx.load(FOLDER / "gpt2-optimum.onnx")), FOLDER / "gpt2-together.onnx")


def merged(model: Any) -> Any:
    """As decoder_model_merged.onnx: of two branches, the first call takes the one that knows no caches."""
    helper, graph = onnx.helper, model.graph
    past = [value.name for value in graph.input if value.name.startswith("past")]
    empty = np.zeros((1, HEADS, 0, WIDTH), np.float32)

    def branch(name: str, without: list[str]) -> Any:
        """The graph's nodes with names of their own, and caches of no tokens in the place of some inputs."""
        inner = {output for node in graph.node for output in node.output} | set(without)
        nodes = []
        for node in graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{name}/{node.name}"
            for names in (copy.input, copy.output):
                names[:] = [f"{name}/{one}" if one in inner else one for one in names]
            nodes.append(copy)
        outputs = []
        for output in graph.output:
            outputs.append(onnx.ValueInfoProto())
            outputs[-1].CopyFrom(output)
            outputs[-1].name = f"{name}/{output.name}"
        nothing = [onnx.numpy_helper.from_array(empty, f"{name}/{one}") for one in without]
        return helper.make_graph(nodes, name, [], outputs, nothing)

    names = [output.name for output in graph.output]
    branches = {"then_branch": branch("cached", []), "else_branch": branch("first", past)}
    graph.node.clear()
    graph.node.append(helper.make_node("If", ["use_cache_branch"], names, **branches))
    graph.input.append(helper.make_tensor_value_info("use_cache_branch", onnx.TensorProto.BOOL, [1]))
    del graph.value_info[:]
    return model


def together(model: Any) -> Any:
    """As older exports: a layer's keys and values are one tensor, past_N → present_N, [2, batch, heads, …]."""
    graph, helper = model.graph, onnx.helper
    for kind, values, before in (("past_key_values", graph.input, True), ("present", graph.output, False)):
        for layer in range(2):
            parts = [value for value in values if value.name.startswith(f"{kind}.{layer}.")]
            sizes = [size.dim_param or size.dim_value for size in parts[0].type.tensor_type.shape.dim]
            joined = f"{'past' if before else 'present'}_{layer}"
            for part in parts:
                values.remove(part)
            values.append(helper.make_tensor_value_info(joined, onnx.TensorProto.FLOAT, [2, *sizes]))
            names = [part.name for part in parts]
            if before:
                for place, name in enumerate(names):
                    index = f"{name}.index"
                    graph.initializer.append(helper.make_tensor(index, onnx.TensorProto.INT64, [], [place]))
                    graph.node.insert(0, helper.make_node("Gather", [joined, index], [name], axis=0))
            else:
                axes = f"present.{layer}.axes"
                graph.initializer.append(helper.make_tensor(axes, onnx.TensorProto.INT64, [1], [0]))
                for name in names:
                    graph.node.append(helper.make_node("Unsqueeze", [name, axes], [f"{name}.one"]))
                graph.node.append(helper.make_node("Concat", [f"{name}.one" for name in names], [joined], axis=0))
    onnx.checker.check_model(model)
    return model


def genai() -> None:
    for name, precision in (("llama", "fp32"), ("mistral", "fp32"), ("llama", "fp16")):
        with tempfile.TemporaryDirectory() as temporary:
            folder, built = Path(temporary) / name, Path(temporary) / "built"
            checkpoint(name, folder)
            tokenizer().save_pretrained(folder)
            command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(folder), "-o", str(built)]
            subprocess.run([*command, "-p", precision, "-e", "cpu"], check=True, capture_output=True)
            model = onnx.load(built / "model.onnx")
            if name == "mistral":
                window(model, WINDOW)
            onnx.save(model, FOLDER / f"{name}-genai{'-fp16' if precision == 'fp16' else ''}.onnx")


def window(model: Any, size: int) -> None:
    """What the builder leaves out: its graphs look at all tokens, and its runtime forgets the oldest ones."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "local_window_size":
                attribute.i = size


def tokenizer() -> Any:
    """Which the builder copies."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {f"w{number}": number for number in range(VOCABULARY)}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="w0")), bos_token="w1", eos_token="w2", pad_token="w2"
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    {"optimum": optimum, "genai": genai}[sys.argv[1]]()
