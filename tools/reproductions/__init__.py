"""Rebuilds committed results: one module a result."""
