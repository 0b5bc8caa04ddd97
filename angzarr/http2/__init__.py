"""HTTP/2 as gRPC's clients and servers need it: bytes in and events out, without any input or output of its own.

Each end there is twice, with h2's methods and events: made for gRPC (`lean_client`, `lean_server`, which share
`frames`, `headers`, `patience` and `receiving`), and h2 itself with a few answers changed (`stock_client`,
`stock_server`). `light` takes from h2 the work it repeats for every call.
"""
