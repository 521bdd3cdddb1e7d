"""Files and folders that are no package, and are not converted here: what they are, and what to do to have ONNX."""

from __future__ import annotations

from pathlib import Path

TORCH = "torch.onnx.export(model, inputs, 'model.onnx')"
KERAS = "python -m tf2onnx.convert --keras model.h5 --output model.onnx"
SAVED_MODEL = "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
OPTIMUM = "optimum-cli export onnx --model FOLDER OUT"
PADDLE = "paddle2onnx --model_dir FOLDER --save_file model.onnx"
# by the ending of a file's name: what makes ONNX of it
EXPORTS = {
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ptl", ".ckpt", ".torchscript", ".mar"), TORCH),
    ".safetensors": OPTIMUM,
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".keras": "model.export('model.onnx', format='onnx')",
    ".pb": SAVED_MODEL,
    ".tflite": "python -m tf2onnx.convert --tflite model.tflite --output model.onnx",
    ".cbm": "model.save_model('model.onnx', format='onnx')",
    ".pdmodel": PADDLE,
    ".pdparams": PADDLE,
}
# of those that nothing makes ONNX of: what to take instead
INSTEAD = {
    **dict.fromkeys(
        (".gguf", ".ggml", ".llamafile"),
        "has the weights of llama.cpp alone: take the folder that they were made of, in Hugging Face's form, export it "
        "as by `python -m onnxruntime_genai.models.builder -i FOLDER -o OUT -p int8 -e cpu`, and push OUT",
    ),
    ".pmml": "is PMML, of which no ONNX is made: push the model that it was made of, as by `amaas push model.joblib`",
    **dict.fromkeys(
        (".mlmodel", ".mlpackage", ".engine", ".plan", ".trt", ".caffemodel", ".params", ".rds", ".rdata"),
        "is no ONNX: export the model to ONNX by the library that it was made with, and push that",
    ),
    **dict.fromkeys(
        (".gz", ".xz", ".bz2", ".zst", ".7z", ".rar"),
        "is packed in a way that is not unpacked here: unpack it, and push the file or the folder, or a zip of it",
    ),
}  # fmt: skip
WEIGHTS = (".bin", ".index", ".msgpack")  # of no form that is known by the ending alone


def refusal_of_file(path: Path) -> str | None:
    """A sentence on a file that is no ONNX by its name; None of others."""
    suffix = path.suffix.lower()
    if suffix in EXPORTS:
        return f"{path.name} is no ONNX: make some of it, as by `{EXPORTS[suffix]}`, and push that"
    return f"{path.name} {INSTEAD[suffix]}" if suffix in INSTEAD else None


def graphs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".onnx" and file.is_file())


def advice_on_folder(folder: Path) -> str:
    """The end of a sentence on a folder without model.onnx; empty where nothing in it is known."""
    several = graphs(folder)
    if several:
        return f" of {', '.join(file.name for file in several)[:200]}: push one of these files, or name one model.onnx"
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if not files and not any(folder.iterdir()):
        return ": the folder is empty"
    for file in files:
        if said := refusal_of_file(file):
            return f"; {said}"
    if (folder / "config.json").is_file() and any(file.suffix in WEIGHTS for file in files):
        return f"; export the model first, as by `{OPTIMUM}`, and push OUT"
    inner = sorted(one for one in folder.iterdir() if one.is_dir() and (graphs(one) or (one / "amaas.json").is_file()))
    return f": push {inner[0]}, which has one" if inner else ": put one into it, or push another folder"
