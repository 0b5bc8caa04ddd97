"""Dispatch from bytes to bytes: only what a handler looks at becomes objects.

The request is scanned where it lies. Every shortcut here recognises one encoding, the one that serialisers write, by a
test that proves it well-formed; whatever else comes goes to the codec, piece by piece, and so means and fails exactly
what it means and fails there. `tests/router/test_bytes.py` holds both paths equal.
"""
