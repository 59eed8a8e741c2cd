"""What LangGraph's serializer makes of a value, as JSON: its type, and its bytes in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from praison_persist.errors import InvalidDataError

__all__ = ["Packed", "pack", "unpack"]

Packed = list[str]  # [type, base64]


def pack(serde: SerializerProtocol, value: Any) -> Packed:
    """Serialize a value."""
    kind, data = serde.dumps_typed(value)
    return [kind, base64.b64encode(data).decode("ascii")]


def unpack(serde: SerializerProtocol, packed: Packed) -> Any:
    """Return the value.

    Raises:
        InvalidDataError: `pack` did not write this.
    """
    try:
        kind, text = packed
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidDataError(
            f"A {type(packed).__name__} in the state store is no serialized value of LangGraph; "
            "were keys of this prefix written by something else?"
        ) from error
    return serde.loads_typed((kind, data))
