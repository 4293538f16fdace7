"""One module per noun: its Typer app and nothing that prints."""
