"""The command line."""

from morl.cli.main import main

__all__ = ["main"]
