"""Messages generated from proto files. Written by `angzarr protos compile`; do not edit."""

from . import _registry as _registry  # noqa: E402
