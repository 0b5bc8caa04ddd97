"""The `angzarr` command."""
