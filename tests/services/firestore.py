"""Firestore for tests: a server that runs already, or the emulator of npm's @firestore-emulator.

    npm install --ignore-scripts @firestore-emulator/server@0.3.15

That emulator does not know some of what the API promises (googleapis/google/firestore/v1:
firestore.proto, write.proto, common.proto), which is added here: a precondition on the time of the
last update, with times that differ for each write; BatchWrite, whose writes fail one by one;
queries in the order of document names, with a projection. Google's own emulator, named in
PRAISON_TEST_FIRESTORE_HOST, has all of that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port, missing
from tests.services.process import OwnProcess

HOST, NODE_MODULES = "PRAISON_TEST_FIRESTORE_HOST", "PRAISON_TEST_NODE_MODULES"
PROJECT = "praison-test"

_SCRIPT = """
const {createRequire} = require("module");
const inside = createRequire(require.resolve("@firestore-emulator/server"));
const {FirestoreServer, FirestoreStateCollection, FirestoreStateDocument} =
  inside("@firestore-emulator/server");
const grpc = inside("@grpc/grpc-js");
const proto = inside("@firestore-emulator/proto/dist/google/firestore/v1/firestore");

const {server, state} = new FirestoreServer();

// The original copies the collection for each new document.
FirestoreStateCollection.prototype.getDocument = function (name) {
  return this.documents[name] ??=
    new FirestoreStateDocument(this.emitter, this.database, this, name, {}, {});
};

let last = 0;
const writeDocument = state.writeV1Document.bind(state);
const write = (each) => {
  const condition = each.has_current_document && each.current_document;
  if (condition && condition.has_update_time) {
    const {metadata} = state.getDocument(each.has_delete ? each.delete : each.update.name);
    const {seconds, nanos} = condition.update_time;
    if (!metadata.hasExist || metadata.updatedAt.getTime() !== seconds * 1000 + nanos / 1e6)
      throw Object.assign(new Error("the stored version does not match"),
                          {code: grpc.status.FAILED_PRECONDITION});
  }
  last = Math.max(last + 1, Date.now());
  return writeDocument(new Date(last), each).toObject();
};
const failure = (error) => ({code: error.code ?? grpc.status.UNKNOWN, message: error.message});

const handle = (name, answer) => {
  const method = proto.UnimplementedFirestoreService.definition[name];
  server.unregister(method.path);
  server.register(method.path, (call, callback) => {
    try {
      callback(null, answer(call.request.writes));
    } catch (error) {
      callback({...failure(error), details: error.message});
    }
  }, method.responseSerialize, method.requestDeserialize, "unary");
};
handle("Commit", (writes) => proto.CommitResponse.fromObject({write_results: writes.map(write)}));
handle("BatchWrite", (writes) => {
  const status = [], write_results = [];
  for (const each of writes) {
    let result = {}, outcome = {code: grpc.status.OK};
    try { result = write(each); } catch (error) { outcome = failure(error); }
    write_results.push(result);
    status.push(outcome);
  }
  return proto.BatchWriteResponse.fromObject({status, write_results});
});

const holds = {1: (a, b) => a < b, 2: (a, b) => a <= b, 3: (a, b) => a > b, 4: (a, b) => a >= b};
const query = state.v1Query.bind(state);
state.v1Query = (parent, wanted) => {
  if (!wanted.order_by.length || wanted.order_by[0].field.field_path !== "__name__")
    return query(parent, wanted);
  const prefix = `${parent}/${wanted.from[0].collection_id}/`;
  const filters = wanted.where.composite_filter.filters.map((filter) => filter.field_filter);
  return state.getCollection(prefix.slice(0, -1)).getAllDocuments()
    .filter((document) => document.metadata.hasExist && filters.every(
      ({op, value}) => holds[op](prefix + document.name, value.reference_value)))
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .slice(0, wanted.limit.value)
    .map((document) => ({
      toV1DocumentObject: () => {
        const found = document.toV1DocumentObject();
        const selected = wanted.select.fields.map((field) => field.field_path);
        found.fields = Object.fromEntries(
          Object.entries(found.fields).filter(([name]) => selected.includes(name)));
        return found;
      },
    }));
};

const port = process.argv[1];
server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
  if (error) throw error;
  console.log(bound);
});
"""


class OwnFirestore(OwnProcess):
    """An emulator that a test may kill, stop and start as it likes. It keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._node, self._modules = _node()
        self.port = free_port()

    @property
    def host(self) -> str:
        """What FIRESTORE_EMULATOR_HOST is to be."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, at the port that it had, and wait until it listens."""
        process = self._run(
            [self._node, "-e", _SCRIPT, str(self.port)],
            env={**os.environ, "NODE_PATH": str(self._modules)},
            stdout=subprocess.PIPE,
            stderr=None,
        )
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    def kill(self) -> None:
        """See `OwnProcess.kill`."""
        process = self._process
        super().kill()
        # Not before: what it says would end it.
        if process is not None and process.stdout is not None:
            process.stdout.close()


@contextmanager
def firestore() -> Iterator[str]:
    """Yield host:port of an emulator; what was stored there is deleted."""
    host = os.environ.get(HOST)
    if host:
        yield host
        forget = f"http://{host}/emulator/v1/projects/{PROJECT}/databases/(default)/documents"
        urllib.request.urlopen(urllib.request.Request(forget, method="DELETE"), timeout=30).close()
        return
    own = OwnFirestore()
    own.start()
    try:
        yield own.host
    finally:
        own.kill()


def _node() -> tuple[str, Path]:
    """Return the path of node, and the folder of npm packages."""
    named = os.environ.get(NODE_MODULES)
    modules = Path(named) if named else Path(__file__).parents[2] / "node_modules"
    node = shutil.which("node")
    if node is None:
        missing(NODE_MODULES, "node was not found")
    if not (modules / "@firestore-emulator" / "server").is_dir():
        missing(NODE_MODULES, f"{modules} has no @firestore-emulator/server")
    return node, modules
