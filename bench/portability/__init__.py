"""Quantised graphs of every form that exporters write, on several x86-64 processors, held against a simulation.

`python -m bench.portability`: the graphs (corpus.py) are served as the gate would serve them, run by ONNX Runtime on
this processor and, under QEMU, as older ones (processors.py), and compared with exact integer arithmetic
(simulation.py). `--control` leaves the gate's rewriting out, and has to fail on a processor without VNNI.
"""
