"""Definitions: lazy tables in, small frames out. Start at `occasions`."""
