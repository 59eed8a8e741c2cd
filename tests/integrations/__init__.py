"""Adapters of other frameworks, with the real frameworks."""
