"""The encryption of sessions: Fernet (AES-128 in CBC mode with HMAC-SHA256) of cryptography."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from praison_persist._json import dumps, loads
from praison_persist._lazy import load
from praison_persist.errors import ConfigurationError
from praison_persist.sessions.messages import CompactionCheckpoint, SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot

__all__ = ["Cipher", "generate_session_key"]

# As in praisonaiagents, whose encrypted sessions are read as well.
_PREFIX = "praisonai:enc:v1:"
_ENVELOPE = "__enc__"
# Content that is no text: its JSON is encrypted. No text begins so once it is encrypted.
_JSON_PREFIX = "praisonai:enc:json:v1:"


def generate_session_key() -> str:
    """Return a new key. Keep it safe: without it the sessions cannot be read any more.

    Raises:
        MissingDependencyError: the package cryptography is not installed.
    """
    key: bytes = _fernet().generate_key()
    return key.decode()


def _fernet() -> Any:
    return load("cryptography.fernet:Fernet", name="EncryptedSessionStore", extra="encryption")


class Cipher:
    """Encrypts and decrypts what sessions hold; what is not encrypted is read as it is."""

    def __init__(self, key: str | bytes) -> None:
        """See the class.

        Raises:
            ConfigurationError: it is no key.
            MissingDependencyError: the package cryptography is not installed.
        """
        fernet = _fernet()
        try:
            self._fernet = fernet(key)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                "key is no Fernet key (32 bytes in URL-safe base64); make one with "
                "praison_persist.generate_session_key()"
            ) from error
        self._invalid = load(
            "cryptography.fernet:InvalidToken", name="EncryptedSessionStore", extra="encryption"
        )

    def seal(self, text: str) -> str:
        """Encrypt a text; the same one never looks the same twice."""
        token: bytes = self._fernet.encrypt(text.encode("utf-8", "surrogatepass"))
        return f"{_PREFIX}{token.decode()}"

    def open(self, text: str) -> str:
        """Decrypt a text.

        Raises:
            ConfigurationError: it was encrypted with another key, or has been changed since.
        """
        if not text.startswith(_PREFIX):
            return text
        try:
            plain: bytes = self._fernet.decrypt(text.removeprefix(_PREFIX).encode())
        except self._invalid as error:
            raise ConfigurationError(
                "a session cannot be decrypted: its key is another one, or it has been changed "
                "since; open the store with the key it was written with"
            ) from error
        return plain.decode("utf-8", "surrogatepass")

    def _seal_dict(self, value: dict[str, Any]) -> dict[str, Any]:
        return {_ENVELOPE: self.seal(dumps(value))} if value else {}

    def _open_dict(self, value: dict[str, Any]) -> dict[str, Any]:
        sealed = value.get(_ENVELOPE)
        if len(value) != 1 or not isinstance(sealed, str) or not sealed.startswith(_PREFIX):
            return value
        opened = loads(self.open(sealed))
        return opened if isinstance(opened, dict) else value

    def seal_message(self, message: SessionMessage) -> SessionMessage:
        """Return an encrypted copy of a message."""
        content, calls = message.content, message.tool_calls
        if isinstance(content, list):
            content = _JSON_PREFIX + self.seal(dumps(content))
        elif content is not None:
            content = self.seal(content)
        return replace(
            message,
            content=content,
            metadata=self._seal_dict(message.metadata),
            tool_calls=[self.seal(dumps(calls))] if calls else calls,
        )

    def open_message(self, message: SessionMessage) -> SessionMessage:
        """Return a decrypted copy of a message.

        Raises:
            ConfigurationError: see `open`.
        """
        content, calls = message.content, message.tool_calls
        if isinstance(content, str) and content.startswith(_JSON_PREFIX):
            content = loads(self.open(content.removeprefix(_JSON_PREFIX)))
        elif isinstance(content, str):
            content = self.open(content)
        if calls and len(calls) == 1 and isinstance(calls[0], str):
            opened = loads(self.open(calls[0])) if calls[0].startswith(_PREFIX) else calls
            calls = opened if isinstance(opened, list) else calls
        metadata = self._open_dict(message.metadata)
        return replace(message, content=content, metadata=metadata, tool_calls=calls)

    def seal_header(self, header: ExtendedSessionData) -> None:
        """Encrypt, in place, all but messages and snapshots."""
        header.title = self.seal(header.title) if header.title else header.title
        header.metadata = self._seal_dict(header.metadata)
        header.runtime_state = {
            runtime: {turn: self._seal_dict(state) for turn, state in turns.items()}
            for runtime, turns in header.runtime_state.items()
        }
        header.last_compaction = self._checkpoint(
            header.last_compaction, self.seal, self._seal_dict
        )

    def open_header(self, header: ExtendedSessionData) -> None:
        """Decrypt, in place, what `seal_header` encrypts.

        Raises:
            ConfigurationError: see `open`.
        """
        header.title = self.open(header.title) if header.title else header.title
        header.metadata = self._open_dict(header.metadata)
        header.runtime_state = {
            runtime: {turn: self._open_dict(state) for turn, state in turns.items()}
            for runtime, turns in header.runtime_state.items()
        }
        header.last_compaction = self._checkpoint(
            header.last_compaction, self.open, self._open_dict
        )

    @staticmethod
    def _checkpoint(
        checkpoint: CompactionCheckpoint | None, text: Any, document: Any
    ) -> CompactionCheckpoint | None:
        if checkpoint is None:
            return None
        return replace(
            checkpoint,
            summary=text(checkpoint.summary),
            metadata=document(checkpoint.metadata),
        )

    def sealed_label(self, snapshot: SessionSnapshot) -> SessionSnapshot:
        """Return a copy of a snapshot's header with its label and metadata encrypted."""
        label = self.seal(snapshot.label) if snapshot.label else snapshot.label
        return replace(snapshot, label=label, metadata=self._seal_dict(snapshot.metadata))

    def sealed_session(self, session: ExtendedSessionData) -> ExtendedSessionData:
        """Return an encrypted copy of a whole session."""
        sealed = ExtendedSessionData.from_dict(session.to_dict())
        self.seal_header(sealed)
        sealed.messages = [self.seal_message(message) for message in session.messages]
        sealed.archived_messages = [self.seal_message(m) for m in session.archived_messages]
        sealed.snapshots = [self._sealed_snapshot(snapshot) for snapshot in session.snapshots]
        return sealed

    def _sealed_snapshot(self, snapshot: SessionSnapshot) -> SessionSnapshot:
        sealed = self.sealed_label(snapshot)
        if snapshot.transcript is not None:
            state = ExtendedSessionData.from_dict(snapshot.transcript)
            state.metadata = {}
            sealed.transcript = _transcript(self.sealed_session(state))
        return sealed

    def open_session(self, session: ExtendedSessionData) -> None:
        """Decrypt a whole session in place.

        Raises:
            ConfigurationError: see `open`.
        """
        self.open_header(session)
        session.messages = [self.open_message(message) for message in session.messages]
        session.archived_messages = [self.open_message(m) for m in session.archived_messages]
        for snapshot in session.snapshots:
            snapshot.label = self.open(snapshot.label) if snapshot.label else snapshot.label
            snapshot.metadata = self._open_dict(snapshot.metadata)
            if snapshot.transcript is not None:
                state = ExtendedSessionData.from_dict(snapshot.transcript)
                self.open_session(state)
                snapshot.transcript = _transcript(state)


def _transcript(state: ExtendedSessionData) -> dict[str, Any]:
    """Return what a snapshot keeps of a session."""
    whole = state.to_dict()
    kept = ("messages", "archived_messages")
    return {name: whole[name] for name in kept} | {"last_compaction": whole.get("last_compaction")}
