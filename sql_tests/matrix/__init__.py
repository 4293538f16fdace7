"""The isolation matrix: everything there is x everybody x everything they could try.

A library, so that it can be run on any database: `run(connection)` answers a report, and decides nothing.
"""
