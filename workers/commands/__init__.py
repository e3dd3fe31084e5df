"""What each command does; `workers/cli.py` parses their arguments and imports them when called."""
