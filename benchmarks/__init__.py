"""Measurements of this package beside the raw drivers and its peers; see README.md."""
