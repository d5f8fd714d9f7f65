"""Targets for a coverage-guided fuzzer; see README.md. Not part of the default run."""
