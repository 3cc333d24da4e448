"""Policies out to robots: one ONNX file with a contract, and the proof that it is what was trained."""
