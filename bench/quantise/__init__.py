"""Our quantising steps beside ONNX Runtime's own calls with their defaults: size, error, time.

`python -m bench.quantise`, in the environment `training`. Needs .local/zoo/minilm, which the Makefile makes; the
ResNet-18 is trained on Fashion-MNIST where it is not there yet, which takes minutes.
"""
