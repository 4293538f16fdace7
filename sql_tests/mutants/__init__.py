"""Mutants: the database with one thing opened, and whether the tests notice.

Generated from the catalogue, planted one at a time in a transaction that is rolled back. `python -m
sql_tests.mutants` (or `make mutants`) plants all of them; the tests plant a sample.
"""
