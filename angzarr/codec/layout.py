"""How a message keeps its values: the keys of its ``__dict__`` beside its fields.

A message of a prepared class holds the fields that are present, and:

* MARK: True once it was decoded or marked as being on the wire; False while it is an absent sub-message that
  somebody has read; missing when it was constructed.
* UNKNOWN: the unknown fields as they came, if there are any.

betterproto keeps ON_WIRE, UNKNOWN and GROUPS in every message, and a placeholder for absent fields.
"""

from betterproto import Message

__all__ = ["GROUPS", "MARK", "ON_WIRE", "UNKNOWN", "set_dict"]

MARK = "_angzarr_present"
UNKNOWN = "_unknown_fields"
ON_WIRE = "_serialized_on_wire"
GROUPS = "_group_current"

set_dict = Message.__dict__["__dict__"].__set__
"""``set_dict(message, values)`` makes ``values`` the ``__dict__`` of a message."""
