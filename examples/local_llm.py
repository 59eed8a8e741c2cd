"""A small OpenAI-compatible server on 127.0.0.1: examples and tests need no key and no network.

`python examples/local_llm.py --port 8080`, or `with LocalLLM() as llm:`. An answer depends on the
request alone; `reply` lists the directives. In strict mode it refuses, as OpenAI does, a transcript
whose tool calls and results do not pair up: a resumed conversation that is answered is valid.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from types import TracebackType

Json = dict[str, Any]

MODEL = "gpt-4o-mini"
EMBEDDING_DIMENSION = 8
INPUT_TOKENS, OUTPUT_TOKENS = 11, 7  # reported for every request

_REFLECTION = '{"reflection": "The answer is complete.", "satisfactory": "yes"}'
_NAME_GIVEN = re.compile(r"\bmy name is (\w[\w'-]*)", re.IGNORECASE)
_NAME_ASKED = re.compile(r"\bwhat(?:'s| is| was) my name\b|\bmy name\s*\?", re.IGNORECASE)
_TOOL = re.compile(r"\bTOOL(S2)? (\w+) (?=\{)")


class ApiError(Exception):
    """The request is answered with `status` and an error object in OpenAI's form."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = "server_error" if ours else "invalid_request_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says: text, or tool calls, after `delay_s` seconds."""

    content: str = ""
    calls: tuple[Call, ...] = ()
    delay_s: float = 0.0


def text_of(content: object) -> str:
    """Return the text of a message's content: None, a string or a list of parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def check_messages(messages: Sequence[Json]) -> None:
    """Refuse what the chat completions endpoint refuses about tool calls.

    Raises:
        ApiError: status 400, with OpenAI's message.
    """
    called: list[str] = []  # by the last assistant message
    missing: list[str] = []  # those of them without a result so far
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            answered = _answered_call(message, index, called)
            missing = [call_id for call_id in missing if call_id != answered]
        else:
            _check_none_missing(missing, index)
            called = missing = _called(message, index)
    _check_none_missing(missing, len(messages))


def _answered_call(message: Json, index: int, called: Sequence[str]) -> str:
    """Return the tool call id of a result, which has to be one of `called`."""
    call_id = message.get("tool_call_id")
    param = f"messages[{index}].tool_call_id"
    if not call_id:
        text = f"Missing required parameter: '{param}'."
        raise ApiError(400, text, param, "missing_required_parameter")
    if not called:  # the spelling is OpenAI's
        text = "messages with role 'tool' must be a response to a preceeding message with "
        raise ApiError(400, f"Invalid parameter: {text}'tool_calls'.", f"messages.[{index}].role")
    if call_id not in called:
        text = f"'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message."
        raise ApiError(400, f"Invalid parameter: {text}", param)
    return str(call_id)


def _check_none_missing(missing: Sequence[str], index: int) -> None:
    """Refuse tool calls that have no result where `messages[index]` begins."""
    if missing:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        )
        raise ApiError(400, text + ", ".join(missing), f"messages.[{index}].role")


def _called(message: Json, index: int) -> list[str]:
    """Return the ids of the calls in an assistant message; refuse one that says nothing."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant":
        return []
    if calls == []:
        param = f"messages[{index}].tool_calls"
        text = "Expected an array with minimum length 1, but got an empty array instead."
        raise ApiError(400, f"Invalid '{param}': empty array. {text}", param, "empty_array")
    if not calls and message.get("content") is None:
        text = "Invalid value for 'content': expected a string, got null."
        raise ApiError(400, text, f"messages.[{index}].content")
    return [str(call["id"]) for call in calls or ()]


def check_items(items: Sequence[Json]) -> None:
    """Refuse what the responses endpoint refuses: calls and results without a partner.

    Raises:
        ApiError: status 400, with OpenAI's message.
    """
    calls = {item.get("call_id") for item in items if item.get("type") == "function_call"}
    results = {item.get("call_id") for item in items if item.get("type") == "function_call_output"}
    for call_id in calls - results:
        raise ApiError(400, f"No tool output found for function call {call_id}.", "input")
    for call_id in results - calls:
        text = f"No tool call found for function call output with call_id {call_id}."
        raise ApiError(400, text, "input")


def messages_of(items: Sequence[Json], instructions: str | None) -> list[Json]:
    """Return a responses request as chat messages; adjacent calls share one message."""
    messages: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
    for item in items:
        if item.get("type") == "function_call":
            if not (messages and messages[-1].get("tool_calls")):
                messages.append({"role": "assistant", "content": None, "tool_calls": []})
            call = Call(str(item.get("call_id")), str(item.get("name")), str(item.get("arguments")))
            messages[-1]["tool_calls"].append(_tool_call(call))
        elif item.get("type") == "function_call_output":
            result = {"tool_call_id": item.get("call_id"), "content": item.get("output")}
            messages.append({"role": "tool", **result})
        else:
            messages.append({"role": item.get("role"), "content": item.get("content")})
    return messages


def reply(messages: Sequence[Json], tools: Collection[str] = ()) -> Reply:
    """Return the answer to a transcript, decided by its last user message.

    The message may be a chain of steps, `A THEN B THEN C`; each round of tool calls after it uses
    up one. A step may contain:

    - `TOOL name {json}`: call a tool, if it is among the `tools` offered;
    - `TOOLS2 name {json}|{json}`: call it twice, in parallel;
    - `FAIL`, `FAIL400`: an HTTP error, 500 or 400;
    - `SLOW seconds`: wait first, then do what else the step says;
    - `ECHO text`: answer `ECHO(n): text`; n messages, not counting system ones, came before.

    When the steps are used up, or the next tool is not offered, the answer is `TOOL RESULT: a & b`,
    the results of the last round. Without a directive it is chat: it knows the name from
    "My name is ...", and repeats the rest.

    Raises:
        ApiError: the step is FAIL or FAIL400.
    """
    users = [i for i, message in enumerate(messages) if message.get("role") == "user"]
    if not users:
        return Reply("You said nothing.")
    before, asked, after = messages[: users[-1]], messages[users[-1]], messages[users[-1] + 1 :]
    steps = re.split(r"\s+THEN\s+", text_of(asked.get("content")).strip())
    rounds = sum(1 for message in after if message.get("tool_calls"))
    step = steps[rounds] if rounds < len(steps) else None
    if rounds and (step is None or not _possible(step, tools)):
        return Reply("TOOL RESULT: " + " & ".join(_last_results(after)))
    return _perform(step or "", before, tools)


def _possible(step: str, tools: Collection[str]) -> bool:
    """Whether a step calls no tool, or one that is offered."""
    directive = _TOOL.search(step)
    return directive is None or directive[2] in tools


def _last_results(after: Sequence[Json]) -> list[str]:
    """Return the tool results that follow the last assistant message."""
    results: list[str] = []
    for message in after:
        if message.get("role") == "tool":
            results.append(text_of(message.get("content")))
        else:
            results.clear()
    return results


def _perform(step: str, before: Sequence[Json], tools: Collection[str]) -> Reply:
    """Return the answer to one step; `before` is the transcript up to its message."""
    if failure := re.search(r"\bFAIL(400)?\b", step):
        status = int(failure[1] or 500)
        raise ApiError(status, f"scripted failure {status}")
    slow = re.search(r"\bSLOW ([\d.]+)", step)
    delay_s = float(slow[1]) if slow else 0.0
    directive = _TOOL.search(step)
    if directive and directive[2] in tools:
        return Reply(calls=tuple(_calls(directive)), delay_s=delay_s)
    return Reply(_chat(step, before), delay_s=delay_s)


def _calls(directive: re.Match[str]) -> Iterator[Call]:
    """Yield the calls of a TOOL or TOOLS2 directive, with fresh ids."""
    text, start = directive.string, directive.end()
    for _ in range(2 if directive[1] else 1):
        end = json.JSONDecoder().raw_decode(text, start)[1]
        yield Call(_new_id("call"), directive[2], text[start:end])
        start = end + 1  # past the bar


def _chat(step: str, before: Sequence[Json]) -> str:
    """Return the text that answers a step without tool calls."""
    if echo := re.search(r"\bECHO (.*)", step, re.DOTALL):
        return f"ECHO({sum(1 for m in before if m.get('role') != 'system')}): {echo[1]}"
    if "'satisfactory'" in step:  # the Agent wants the model to reflect on its answer
        return _REFLECTION
    if _NAME_ASKED.search(step):
        said = [text_of(m.get("content")) for m in before if m.get("role") == "user"]
        names = _NAME_GIVEN.findall("\n".join([*said, step]))
        return f"Your name is {names[-1]}." if names else "I do not know your name."
    return f"You said: {step}"


def _new_id(kind: str) -> str:
    """Return an id that starts with its kind, as the real ones do."""
    return f"{kind}_{uuid.uuid4().hex[:12]}"


def _tool_call(call: Call) -> Json:
    """Return a tool call as chat completions write it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _head(prefix: str, kind: str, model: str) -> Json:
    """Return the fields that chat completions and their chunks begin with."""
    return {"id": _new_id(prefix), "object": kind, "created": int(time.time()), "model": model}


def _usage(given: str, made: str) -> Json:
    """Return the token counts under the names of an endpoint."""
    total = INPUT_TOKENS + OUTPUT_TOKENS
    return {given: INPUT_TOKENS, made: OUTPUT_TOKENS, "total_tokens": total}


def chat_completion(answer: Reply, model: str) -> Json:
    """Return the whole answer of the chat completions endpoint."""
    message: Json = {"role": "assistant", "content": answer.content or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [_tool_call(call) for call in answer.calls]
    reason = "tool_calls" if answer.calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    usage = _usage("prompt_tokens", "completion_tokens")
    return {**_head("chatcmpl", "chat.completion", model), "choices": [choice], "usage": usage}


def chat_chunks(answer: Reply, model: str, *, include_usage: bool) -> Iterator[Json]:
    """Yield the same answer as chunks; token counts come last, and only if asked for."""
    head = _head("chatcmpl", "chat.completion.chunk", model)
    for delta in _deltas(answer):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "tool_calls" if answer.calls else "stop"
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    if include_usage:
        yield {**head, "choices": [], "usage": _usage("prompt_tokens", "completion_tokens")}


def _deltas(answer: Reply) -> Iterator[Json]:
    """Yield the changes that add up to the answer; arguments arrive in two halves."""
    yield {"role": "assistant", "content": None if answer.calls else ""}
    for word in _words(answer.content):
        yield {"content": word}
    for index, call in enumerate(answer.calls):
        opening = _tool_call(Call(call.id, call.name, ""))
        yield {"tool_calls": [{"index": index, **opening}]}
        middle = len(call.arguments) // 2
        for part in (call.arguments[:middle], call.arguments[middle:]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _words(text: str) -> list[str]:
    """Split a text into the pieces it is streamed in; joined, they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def response(answer: Reply, model: str) -> Json:
    """Return the whole answer of the responses endpoint."""
    head = {"id": _new_id("resp"), "object": "response", "created_at": int(time.time())}
    state: Json = {"status": "completed", "error": None, "incomplete_details": None, "metadata": {}}
    options = {"instructions": None, "parallel_tool_calls": True, "tool_choice": "auto"}
    numbers = {"temperature": 1.0, "top_p": 1.0, "tools": [], "model": model}
    usage = _usage("input_tokens", "output_tokens")
    usage["input_tokens_details"] = {"cached_tokens": 0}
    usage["output_tokens_details"] = {"reasoning_tokens": 0}
    return {**head, **state, **options, **numbers, "output": _output(answer), "usage": usage}


def _output(answer: Reply) -> list[Json]:
    """Return the items of a response: its calls, or one message."""
    if answer.calls:
        return [_function_call(call) for call in answer.calls]
    part: Json = {"type": "output_text", "text": answer.content, "annotations": []}
    head = {"type": "message", "id": _new_id("msg"), "status": "completed"}
    return [{**head, "role": "assistant", "content": [part]}]


def _function_call(call: Call) -> Json:
    """Return a tool call as responses write it: with an id of its own."""
    head = {"type": "function_call", "id": _new_id("fc"), "status": "completed"}
    return {**head, "call_id": call.id, "name": call.name, "arguments": call.arguments}


def response_events(answer: Reply, model: str) -> Iterator[Json]:
    """Yield the same answer as the numbered events of a stream."""
    for number, event in enumerate(_events(response(answer, model))):
        yield {**event, "sequence_number": number}


def _events(whole: Json) -> Iterator[Json]:
    """Yield the events that build a response."""
    begun = {**whole, "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": begun}
    for index, item in enumerate(whole["output"]):
        empty: Json = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        started = {**item, "status": "in_progress", **empty}
        yield {"type": "response.output_item.added", "output_index": index, "item": started}
        for event in _item_events(item):
            yield {**event, "output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole}


def _item_events(item: Json) -> Iterator[Json]:
    """Yield what happens inside one output item."""
    if item["type"] == "function_call":
        arguments = item["arguments"]
        yield {"type": "response.function_call_arguments.delta", "delta": arguments}
        yield {"type": "response.function_call_arguments.done", "arguments": arguments}
        return
    part = item["content"][0]
    empty = {**part, "text": ""}
    yield {"type": "response.content_part.added", "content_index": 0, "part": empty}
    for word in _words(part["text"]):
        yield {"type": "response.output_text.delta", "content_index": 0, "delta": word}
    yield {"type": "response.output_text.done", "content_index": 0, "text": part["text"]}
    yield {"type": "response.content_part.done", "content_index": 0, "part": part}


def embeddings(texts: Sequence[str]) -> Json:
    """Return an embedding for each text: equal texts get equal vectors, in every process."""
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}
    return {"object": "list", "model": "local-embedding", "data": data, "usage": usage}


def _vector(text: str) -> list[float]:
    """Return `EMBEDDING_DIMENSION` numbers below 1 that depend on the text only."""
    digest = uuid.uuid5(uuid.NAMESPACE_OID, text).bytes
    return [byte / 256 for byte in digest[:EMBEDDING_DIMENSION]]


class _Server(ThreadingHTTPServer):
    """Holds what the handlers share."""

    daemon_threads = True

    def __init__(self, port: int, chunk_delay_s: float, *, strict: bool) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.chunk_delay_s = chunk_delay_s
        self.strict = strict
        self.requests: list[Json] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up, as a cancelled turn does, is no error here."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer on a kept connection waits 40 ms for an ACK

    @property
    def _llm(self) -> _Server:
        """The server, by its own type."""
        return cast("_Server", self.server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
        """Say nothing about each request."""

    def do_GET(self) -> None:
        """List the one model."""
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "local"}
        self._send(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """Record the request, then answer it."""
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        record: Json = {"path": self.path, "time": time.time(), **body}
        self._llm.requests.append(record)
        try:
            self._route(record)
        except ApiError as error:
            self._send(error.status, error.body)

    def _route(self, record: Json) -> None:
        """Dispatch on the path."""
        if self.path.endswith("/chat/completions"):
            self._chat_completions(record)
        elif self.path.endswith("/responses"):
            self._responses(record)
        elif self.path.endswith("/embeddings"):
            given = record["input"]
            self._send(200, embeddings(given if isinstance(given, list) else [given]))
        else:
            raise ApiError(404, f"Invalid URL (POST {self.path})")

    def _chat_completions(self, record: Json) -> None:
        """Answer a chat completions request."""
        if self._llm.strict:
            check_messages(record["messages"])
        answer = self._wait_for_reply(record)
        if record.get("stream"):
            usage = bool((record.get("stream_options") or {}).get("include_usage"))
            self._stream(chat_chunks(answer, record["model"], include_usage=usage))
            self._send_event("[DONE]")
        else:
            self._send(200, chat_completion(answer, record["model"]))

    def _responses(self, record: Json) -> None:
        """Answer a responses request; its transcript is recorded as `messages` too."""
        given = record["input"]
        items: list[Json] = (
            [{"role": "user", "content": given}] if isinstance(given, str) else given
        )
        record["messages"] = messages_of(items, record.get("instructions"))
        if self._llm.strict:
            check_items(items)
        answer = self._wait_for_reply(record)
        if record.get("stream"):
            self._stream(response_events(answer, record["model"]))
        else:
            self._send(200, response(answer, record["model"]))

    @staticmethod
    def _wait_for_reply(record: Json) -> Reply:
        """Return the scripted answer when its delay is over."""
        tools = [tool.get("function", tool).get("name", "") for tool in record.get("tools") or ()]
        answer = reply(record["messages"], tools)
        time.sleep(answer.delay_s)
        return answer

    def _send(self, status: int, body: Json) -> None:
        """Send one JSON document."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-should-retry", "false")  # the openai client obeys: no wait on FAIL
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[Json]) -> None:
        """Send server-sent events; the end of the connection ends the stream."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in events:
            self._send_event(json.dumps(event))
            time.sleep(self._llm.chunk_delay_s)

    def _send_event(self, data: str) -> None:
        """Send one server-sent event."""
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


class LocalLLM:
    """The server, running while the context is entered.

    Args:
        port: 0 takes a free one; it is bound at construction.
        chunk_delay_s: the pause after each event of a stream.
        strict: refuse transcripts that OpenAI would refuse.
    """

    def __init__(self, port: int = 0, chunk_delay_s: float = 0.0, *, strict: bool = True) -> None:
        self._server = _Server(port, chunk_delay_s, strict=strict)
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), name="local-llm", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """The address to give to a client, with `/v1`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def requests(self) -> list[Json]:
        """Every POST so far, oldest first: its body, and `path` and `time` (Unix seconds)."""
        return self._server.requests

    @property
    def chat_requests(self) -> list[Json]:
        """Those of `requests` that ask for an answer; all have `messages`, on any endpoint."""
        endpoints = ("/chat/completions", "/responses")
        return [request for request in self.requests if request["path"].endswith(endpoints)]

    def environment(self) -> dict[str, str]:
        """Return the variables that send openai, litellm and praisonaiagents here, untracked."""
        return {
            "OPENAI_API_KEY": "local",
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_BASE": self.base_url,
            "OPENAI_MODEL_NAME": MODEL,
            "MODEL_NAME": MODEL,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # litellm would download the map
            "PRAISONAI_TELEMETRY_DISABLED": "true",
            "DO_NOT_TRACK": "true",
            "OTEL_SDK_DISABLED": "true",
        }


def main() -> None:
    """Serve until interrupted; print the environment as lines a shell can evaluate."""
    parser = argparse.ArgumentParser(description="Serve a scripted, OpenAI-compatible model.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--lenient", action="store_true", help="accept unpaired tool calls")
    options = parser.parse_args()
    with LocalLLM(options.port, strict=not options.lenient) as llm:
        for name, value in llm.environment().items():
            print(f"export {name}={value}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("# stopped")


if __name__ == "__main__":
    main()
