"""One module per outside thing, each fulfilling a port of `workers.ports`."""
