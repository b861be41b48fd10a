"""`python -m reverie` is the `reverie` command."""

import sys

from reverie.cli import command

sys.argv[0] = "reverie"  # as config.json shall remember the command
command()
