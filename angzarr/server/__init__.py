"""Routers on the wire: serving, health, readiness, transport, reflection, logs."""
