"""Messages as JSON and back, by the rules of proto3's JSON mapping.

betterproto's own ``to_dict`` and ``from_dict`` are not used: they lose presence, accept values of the wrong type and
ignore fields they do not know.
"""

from angzarr.cli.jsonform.failures import JsonError
from angzarr.cli.jsonform.names import Names
from angzarr.cli.jsonform.reading import loads, read_message
from angzarr.cli.jsonform.writing import write_message

__all__ = ["JsonError", "Names", "loads", "read_message", "write_message"]
