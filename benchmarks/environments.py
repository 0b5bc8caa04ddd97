"""Interpreters of their own for what we are compared with, made on first use and kept between runs."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import gettempdir


def python_with(requirement: str) -> str:
    """An interpreter of this Python's version in an environment that has one requirement installed.

    Args:
        requirement: as pip takes it, such as ``"angzarr-client==0.3.1"``.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = re.sub(r"[^a-z0-9.]+", "-", requirement.lower())
    home = Path(os.environ.get("XDG_CACHE_HOME", gettempdir())) / "angzarr-benchmarks" / f"{name}-{version}"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement]
    subprocess.run(install, check=True)
    return str(python)
