"""No-limit Texas hold'em as plain functions over a `Hand`: nothing in here knows about commands or events."""
