"""The `autexor` command line: one file per noun under `cli.commands`, one printer (`cli.output`)."""
