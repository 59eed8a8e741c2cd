"""Names of praisonai that are not kept, and why."""

from __future__ import annotations

_LOGGER = "the logger of a module that does not exist here; configure logging by logger name"
_TYPING = "a name of typing that the module imports"
_BRIDGE = "a helper of praisonai._async_bridge that the module imports"
_VENDOR = "a name of the vendor's client that the module imports"

# name -> why it is in no module
EVERYWHERE = {
    "TYPE_CHECKING": _TYPING,
    "logger": _LOGGER,
    "run_sync": _BRIDGE,
    "aiosqlite": _VENDOR,
    "libsql": _VENDOR,
    "RedisStorageAdapter": "a class of praisonai.storage that the module imports",
    "ensure_praisonai_code": "a function of praisonai's start that the module imports",
    **dict.fromkeys(
        (
            *("Batch", "DataType", "DistanceMetricType", "ExpirySet", "ExpiryType"),
            *("FtCreateOptions", "FtSearchOptions", "GlideClientConfiguration", "GlideClientSync"),
            *("NodeAddress", "NumericField", "ReturnField", "ServerCredentials", "TextField"),
            *("VectorAlgorithm", "VectorField", "VectorFieldAttributesHnsw", "VectorType", "ft"),
        ),
        _VENDOR,
    ),
}

# class -> method -> why the class here has none
MEMBERS: dict[str, dict[str, str]] = {
    "LangChainKnowledgeStore": {
        "similarity_search": "a text without an embedding is searched by search(text=…)",
    },
    "LightRAGKnowledgeStore": {
        "query": "asks a language model over a graph, which is not kept here",
    },
}
