"""Pure rules of the workers: no input, no output, nothing else of ours."""
