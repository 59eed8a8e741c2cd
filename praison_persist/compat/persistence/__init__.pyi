# Its modules are made at run time, of praison_persist/compat/modules.py.
from typing import Any

def __getattr__(name: str) -> Any: ...
