"""`python -m praison_persist` is `praison-persist`."""

from __future__ import annotations

import sys

from praison_persist.cli import main

if __name__ == "__main__":
    sys.exit(main())
