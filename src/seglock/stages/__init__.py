"""One module per pipeline stage or command: read files, call the rooms below, write files."""
