"""``python -m angzarr.cli`` is the ``angzarr`` command."""

from angzarr.cli import main

if __name__ == "__main__":
    main()
