# Made at run time, of praison_persist/compat/modules.py.
from logging import Logger

from praison_persist.registry import PluginRegistry as PluginRegistry
from praison_persist.registry import create_lazy_getattr as create_lazy_getattr

logger: Logger
