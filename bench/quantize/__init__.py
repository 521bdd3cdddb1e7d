"""Our quantizing steps beside ONNX Runtime's own calls with their defaults: size, error, time."""
