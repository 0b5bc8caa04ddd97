"""`python -m examples.poker`."""

from examples.poker.cli import main

raise SystemExit(main())
