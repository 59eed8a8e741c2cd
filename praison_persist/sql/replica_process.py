"""The program of `replica`: brings a file up to date for each line that it reads.

Run as a file, so that it loads nothing of this package. Its first line is a JSON object with path,
url and auth_token; it answers each further line with null, or with what went wrong.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Serve until the input ends, as it does when its owner dies."""
    # The client writes its log to standard output.
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    request = json.loads(sys.stdin.readline())
    connection = None
    for _line in sys.stdin:
        failure = None
        try:
            # Imported here: its absence is an answer too.
            import libsql_experimental  # noqa: PLC0415 - see above

            if connection is None:
                connection = libsql_experimental.connect(  # pyright: ignore[reportAttributeAccessIssue]  # an extension without types
                    request["path"], sync_url=request["url"], auth_token=request["auth_token"]
                )
            connection.sync()
        except BaseException as error:  # noqa: BLE001 - also the panics of its Rust; all are told
            failure = " ".join(str(error).split()) or type(error).__name__
        print(json.dumps(failure), file=answers, flush=True)


if __name__ == "__main__":
    main()
