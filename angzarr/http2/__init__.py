"""HTTP/2 as gRPC's clients and servers need it: bytes in and events out, without any input or output of its own.

Each end there is twice, with h2's methods and events: made for gRPC (`lean_client` and `lean_server`, on what both have
in `lean` and `receiving`), and h2 itself with a few answers changed (`stock`; `light` spares it what it repeats for
every call). `frames`, `headers`, `patience` and `answers` are the parts.
"""
