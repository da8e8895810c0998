"""``python -m seglock``: the same program as the ``seglock`` command."""

from seglock.cli import main

main()
