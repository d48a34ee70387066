// What both clients share: the contract from a descriptor set (no generated code), and what they do with the server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { login } from "./veil.mjs";

const [descriptors, endpoint, email, project, env, file, headers] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));

export { endpoint };
export const service = (name) => registry.getService(`veilcloud.${name}`);

/** google.rpc.ErrorInfo, which the set does not have. */
export function errorInfo(bytes) {
  const info = { metadata: {} };
  const fields = (reader, end, visit) => {
    while (reader.pos < end) {
      const [number, type] = reader.tag();
      if (!visit(number)) reader.skip(type);
    }
  };
  const reader = new BinaryReader(bytes);
  fields(reader, bytes.length, (number) => {
    if (number === 1) return (info.reason = reader.string());
    if (number === 2) return (info.domain = reader.string());
    if (number !== 3) return false;
    const pair = [];
    const end = reader.uint32() + reader.pos;
    fields(reader, end, (at) => at <= 2 && ((pair[at - 1] = reader.string()), true));
    info.metadata[pair[0]] = pair[1] ?? "";
    return true;
  });
  return info;
}

/**
 * Logs in, puts a blob, reads it back, reads three errors. `call(service, method, fields, session)` gives the answer or
 * throws; `stream` gives the answers of a stream in a list; `failure(error)` gives code and ErrorInfo.
 */
export async function run({ call, stream, failure }) {
  const auth = (method, fields) => call("auth.v1.AuthService", method, fields);
  await assert.rejects(login(email, "not the password", auth), /wrong password/);
  const session = await login(email, process.env.PASSWORD, auth);
  const blob = { projectId: project, envName: env };
  const sealed = Uint8Array.from(readFileSync(file));
  const given = JSON.parse(headers);
  const seal = Uint8Array.from(Buffer.from(given["veil-seal"], "base64url"));
  const storage = "storage.v1.StorageService";
  const put = await call(storage, "PutBlob", { ...blob, ciphertext: sealed, seal, ifNoneMatch: "*" }, session);
  assert.equal(put.blob.version, 1n);
  const pieces = await stream(storage, "GetBlob", blob, session);
  assert.ok(Buffer.concat(pieces.map((piece) => piece.data)).equals(sealed));
  assert.equal(pieces[0].blob.etag, put.blob.etag);

  const refused = async (promise) => {
    const error = await promise.then(() => assert.fail("the call did not fail"), (error) => error);
    const found = failure(error);
    assert.equal(found.info?.domain, "veilcloud", String(error));
    return found;
  };
  const NOT_FOUND = 5;
  const UNAUTHENTICATED = 16;
  const absent = await refused(stream(storage, "GetBlob", { ...blob, version: 9n }, session));
  assert.deepEqual([absent.code, absent.info.reason], [NOT_FOUND, "VERSION_NOT_FOUND"]);
  assert.equal(absent.info.metadata.current_version, "1");
  const wrong = await refused(call(storage, "StatBlob", { ...blob, projectId: "x" }, session));
  assert.deepEqual([wrong.info.reason, wrong.info.metadata.field], ["FIELD_INVALID", "project_id"]);
  const nobody = await refused(call(storage, "StatBlob", blob));
  assert.deepEqual([nobody.code, nobody.info.reason], [UNAUTHENTICATED, "CREDENTIAL_MISSING"]);
  console.log(`ok: login, ${sealed.length} bytes there and back, three errors`);
}
