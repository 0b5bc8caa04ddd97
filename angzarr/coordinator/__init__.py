"""The embedded coordinator: a whole event-sourced application in one process, on SQLite."""
