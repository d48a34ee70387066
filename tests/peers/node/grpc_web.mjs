// grpc-web, the gRPC project's own browser client. Arguments: see contract.mjs; the password comes in PASSWORD.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import grpcWeb from "grpc-web";
import xhr from "xmlhttprequest-ssl";
import { endpoint, errorInfo, run, service } from "./contract.mjs";

// The client is made for browsers.
globalThis.XMLHttpRequest = xhr.XMLHttpRequest ?? xhr;

/** One call: url, request message, headers, method. */
function prepared(name, method, fields, session) {
  const contract = service(name);
  const found = contract.methods.find((candidate) => candidate.name === method);
  const path = `/${contract.typeName}/${method}`;
  const body = toBinary(found.input, create(found.input, fields));
  const kind = found.methodKind === "unary" ? grpcWeb.MethodType.UNARY : grpcWeb.MethodType.SERVER_STREAMING;
  const read = (bytes) => fromBinary(found.output, bytes);
  const descriptor = new grpcWeb.MethodDescriptor(path, kind, Uint8Array, Object, (bytes) => bytes, read);
  return [endpoint + path, body, session?.headers(path, body) ?? {}, descriptor];
}

/** Both formats are used: text (the one that streams) and binary. */
const clients = {
  unary: new grpcWeb.GrpcWebClientBase({ format: "binary" }),
  stream: new grpcWeb.GrpcWebClientBase({ format: "text" }),
};

/** google.rpc.Status: its details as Any. */
function details(base64) {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
  const reader = new BinaryReader(bytes);
  const found = [];
  while (reader.pos < bytes.length) {
    const [number, type] = reader.tag();
    if (number === 3) found.push(fromBinary(AnySchema, reader.bytes()));
    else reader.skip(type);
  }
  return found;
}

await run({
  call: (...args) => clients.unary.unaryCall(...prepared(...args)),
  stream: (...args) =>
    new Promise((done, failed) => {
      const answers = [];
      const stream = clients.stream.serverStreaming(...prepared(...args));
      stream.on("data", (answer) => answers.push(answer));
      stream.on("error", failed);
      stream.on("end", () => done(answers));
    }),
  failure: (error) => {
    const any = details(error.metadata?.["grpc-status-details-bin"] ?? "");
    const info = any.find((detail) => detail.typeUrl.endsWith("/google.rpc.ErrorInfo"));
    return { code: error.code, info: info && errorInfo(info.value) };
  },
});
