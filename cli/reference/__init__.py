"""The generated pages of docs/: each is a function from the tree to a text, the same on every machine."""
