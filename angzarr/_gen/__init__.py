"""The messages that angzarr speaks on the wire. Written by `nox -s protos`; do not edit."""

from pathlib import Path


def descriptor_set() -> bytes:
    """The serialized FileDescriptorSet of everything here, with all imports."""
    return Path(__file__).with_name("descriptors.binpb").read_bytes()
