"""A client by grpcio that has no generated code: it learns the contract by reflection, logs in, puts a blob, reads it
back, and reads the details of an error. Exit status: 0 all as it should be, 1 not.

Arguments: ENDPOINT E-MAIL PROJECT ENV SEALED-FILE HEADERS-JSON; the password comes in PASSWORD.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

import veil


class Client:
    """Calls by name, with the types that reflection gave."""

    def __init__(self, endpoint: str) -> None:
        self.channel = grpc.insecure_channel(endpoint.split("://", 1)[1])
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)
        self.session: veil.Session | None = None

    def call(self, service: str, method: str, **fields):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        answer = message_factory.GetMessageClass(found.output_type)
        path, body = f"/{service}/{method}", request.SerializeToString()
        headers = self.session.headers(path, body) if self.session else {}
        kind = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        # The proof is over these very bytes, so they are not serialised again.
        return kind(path, response_deserializer=answer.FromString)(body, metadata=tuple(headers.items()), timeout=60)

    def login(self, email: str, password: bytes) -> None:
        auth = "veilcloud.auth.v1.AuthService"
        attempt = veil.Login(email, password)
        offer = self.call(auth, "LoginStart", email=email, ke1=attempt.ke1)
        holder, fields = veil.binding(attempt, offer.ke2)
        granted = self.call(auth, "LoginFinish", attempt_id=offer.attempt_id, **fields)
        self.session = veil.Session(granted.session.capability, holder)


def refused(call) -> tuple[grpc.RpcError, error_details_pb2.ErrorInfo]:
    """The error of a call that must fail, and its one ErrorInfo."""
    try:
        answer = call()
        list(answer) if hasattr(answer, "__iter__") else None
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        infos = [error_details_pb2.ErrorInfo.FromString(d.value) for d in status.details if d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
        assert len(infos) == 1 and infos[0].domain == "veilcloud", status
        return error, infos[0]
    raise AssertionError("the call did not fail")


def main() -> None:
    endpoint, email, project, env, file, headers = sys.argv[1:]
    client = Client(endpoint)
    services = client.database.get_services()
    assert "veilcloud.storage.v1.StorageService" in services, services

    try:
        client.login(email, b"not the password")
        raise AssertionError("a wrong password logs in")
    except ValueError:
        pass
    client.login(email, os.environ["PASSWORD"].encode())
    storage = "veilcloud.storage.v1.StorageService"
    blob = {"project_id": project, "env_name": env}
    sealed, given = Path(file).read_bytes(), json.loads(headers)
    seal = base64.urlsafe_b64decode(given["veil-seal"] + "==")
    put = client.call(storage, "PutBlob", **blob, ciphertext=sealed, seal=seal, if_none_match="*")
    assert put.blob.version == 1, put.blob
    pieces = list(client.call(storage, "GetBlob", **blob))
    assert b"".join(piece.data for piece in pieces) == sealed and pieces[0].blob.etag == put.blob.etag

    error, info = refused(lambda: client.call(storage, "GetBlob", **blob, version=9))
    assert (error.code(), info.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND"), error
    assert info.metadata["current_version"] == "1", info
    _, info = refused(lambda: client.call(storage, "StatBlob", project_id="x", env_name=env))
    assert info.reason == "FIELD_INVALID" and info.metadata["field"] == "project_id", info
    client.session = None
    error, info = refused(lambda: client.call(storage, "StatBlob", **blob))
    assert (error.code(), info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING"), error
    print(f"ok: {len(services)} services by reflection, login, {len(sealed)} bytes there and back, three errors")


if __name__ == "__main__":
    main()
