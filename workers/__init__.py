"""The workers: they wake, claim, handle and record what the database asks for."""
