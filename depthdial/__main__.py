"""``python -m depthdial``: the command where it is not on the path, as in a checkout that is not installed."""

from depthdial.cli import main

main()
