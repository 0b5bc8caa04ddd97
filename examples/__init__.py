"""Applications that show angzarr in use; `examples.poker` is the full one."""
