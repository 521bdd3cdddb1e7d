"""Quantized graphs of every form that exporters write, on several processors: writes results/portability.md.

`python -m bench.portability`: the graphs (tests/portability/corpus) are served as the gate would serve them, run by
ONNX Runtime on this processor and, under QEMU, as older ones, and compared with exact integer arithmetic. `--control`
leaves the gate's rewriting out, and has to fail on a processor without VNNI.
"""
