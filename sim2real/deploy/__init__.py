"""A policy on a robot: a fixed-rate loop that always ends in a safe stop. It needs NumPy and onnxruntime."""
