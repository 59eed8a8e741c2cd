"""State that expires, counts and is compared before it is set, in any of the state stores.

PRAISON_STATE_URL names one (redis://…, mongodb://…, dynamodb://…, all in docs/state.md); without
it state is kept in SQLite.
"""

from __future__ import annotations

from surroundings import surroundings

from praison_persist import ConflictError, db, get_env_var


def main() -> None:
    """Use one of each, and leave the counter."""
    with (
        surroundings(),
        db(database_url="sqlite:///state.db", state_url=get_env_var("state_url")) as kept,
    ):
        state = kept.state_store
        state.set("example:seen", {"by": "ada"}, ttl=3600)
        left = state.ttl("example:seen")
        print(f"Seen by {state.get('example:seen')['by']}, for an hour: {left in (3599, 3600)}")

        state.delete("example:visits")
        for _ in range(3):
            state.incr("example:visits")
        print(f"{state.get('example:visits')} visits")

        state.set("example:plan", "pack")
        first = state.get_versioned("example:plan")
        state.set("example:plan", "go")  # by somebody else
        try:
            if first is not None:
                state.set("example:plan", "stay", expected_version=first.version)
        except ConflictError:
            print(f"The plan has changed meanwhile: {state.get('example:plan')}")
        print(f"Keys: {sorted(state.scan_prefix('example:'))}")


if __name__ == "__main__":
    main()
