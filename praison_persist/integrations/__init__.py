"""The same history for other frameworks: thin adapters over the stores of this package.

Each module needs its framework, which the extra of the same name installs, and is imported by its
own name: nothing here is loaded before.
"""
