"""A handler that does what there is no way around, in the fewest lines: what the function is measured beside.

Files come over HTTP, the session is ONNX Runtime's with one thread, caches go in and out of each step as arrays. There
is no alias, no signature, no wall, no tokenizer, no template, no text.
"""

import json
import os
import tempfile
import urllib.request

import numpy as np
import onnxruntime as ort

FOLDER = tempfile.mkdtemp()
for name, url in json.loads(os.environ["FILES"]).items():
    urllib.request.urlretrieve(url, os.path.join(FOLDER, name))
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.path.join(FOLDER, "model.onnx"), options)
names = [spec.name for spec in session.get_inputs() if spec.name.startswith("past")]
HEADS, WIDTH = int(os.environ["HEADS"]), int(os.environ["WIDTH"])


def handler(event, context):
    caches = {name: np.zeros((1, HEADS, 0, WIDTH), np.float32) for name in names}
    tokens, length, answer = event["prompt"], 0, []
    for _ in range(event["tokens"]):
        length += len(tokens)
        feeds = {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, length), np.int64), **caches}
        logits, *present = session.run(None, feeds)
        caches = dict(zip(names, present, strict=True))
        tokens = [int(logits[0, -1].argmax())]
        answer += tokens
    return {"statusCode": 200, "tokens": answer}
