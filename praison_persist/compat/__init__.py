"""praisonai's own module tree over praison_persist, name for name.

`praison_persist.compat.persistence`, `.db` and `._registry` are what `praisonai.persistence`,
`praisonai.db` and `praisonai._registry` are: changing the import is enough. For programs that
cannot be changed, `install()` puts the same modules under the original names.

No module of these trees is a file: `modules.MODULES` says which there are and where their names
live. Importing one imports no store and no driver; asking it for a name does.
"""

from __future__ import annotations

import sys

from praison_persist.compat.finder import TableFinder
from praison_persist.compat.installation import install, is_installed, uninstall

__all__ = ["install", "is_installed", "uninstall"]

if not any(
    isinstance(finder, TableFinder) and finder.parent == __name__ for finder in sys.meta_path
):
    # First: the stubs of these trees are in folders, which would be found as namespace packages.
    sys.meta_path.insert(0, TableFinder(__name__))
