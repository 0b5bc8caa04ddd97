"""Six-player no-limit hold'em, event sourced: a whole application on real input (see README.md beside this file)."""
