// @connectrpc/connect-web, over gRPC-Web. Arguments: see contract.mjs; the password comes in PASSWORD.

import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { endpoint, errorInfo, run, service } from "./contract.mjs";

/** A client whose requests this session signs. */
function client(name, session) {
  // The transport serialises the same message in the same way.
  const sign = (request, message) => {
    const body = toBinary(request.method.input, message);
    const headers = session?.headers(new URL(request.url).pathname, body) ?? {};
    Object.entries(headers).forEach(([name, value]) => request.header.set(name, value));
  };
  // A stream's request is a stream of one message, which is read once: the proof needs it before.
  const interceptor = (next) => async (request) => {
    if (!request.stream) {
      sign(request, request.message);
      return next(request);
    }
    const messages = [];
    for await (const message of request.message) messages.push(message);
    sign(request, messages[0]);
    const again = (async function* () {
      yield* messages;
    })();
    return next({ ...request, message: again });
  };
  const transport = createGrpcWebTransport({ baseUrl: endpoint, interceptors: [interceptor] });
  return createClient(service(name), transport);
}

const camel = (method) => method[0].toLowerCase() + method.slice(1);

await run({
  call: async (name, method, fields, session) => client(name, session)[camel(method)](fields),
  stream: async (name, method, fields, session) => {
    const answers = [];
    for await (const answer of client(name, session)[camel(method)](fields)) answers.push(answer);
    return answers;
  },
  failure: (error) => {
    const detail = error.details?.find((detail) => detail.type === "google.rpc.ErrorInfo");
    return { code: error.code, info: detail && errorInfo(detail.value) };
  },
});
