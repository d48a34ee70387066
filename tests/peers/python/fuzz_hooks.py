"""What schemathesis needs to get past the gate: every request is signed as it goes out, and some of the invented ids are
made real ones. The rest is schemathesis' own: it reads the served OpenAPI and judges each answer by it.

Loaded by SCHEMATHESIS_HOOKS. ENDPOINT, EMAIL, PASSWORD, PROJECT and ENV say where and as whom.
"""

from __future__ import annotations

import os
import random
import threading
import urllib.parse

import requests
import schemathesis

import rest_client

ENDPOINT, EMAIL = os.environ["ENDPOINT"], os.environ["EMAIL"]
PASSWORD = os.environ["PASSWORD"].encode()
REAL = {"project_id": os.environ["PROJECT"], "env_name": os.environ["ENV"]}
ENDED = {"CREDENTIAL_REVOKED", "CREDENTIAL_EXPIRED"}
# Of the ids that would be good ones, so many in ten are those that exist.
REAL_IN_TEN = 7


class Signer(requests.auth.AuthBase):
    """Signs what is sent, to the byte. A session that the test itself has ended is replaced."""

    def __init__(self) -> None:
        self.lock, self.session = threading.Lock(), None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with self.lock:
            if self.session is None:
                self.session = rest_client.login(ENDPOINT, EMAIL, PASSWORD)
            session = self.session
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        parts = urllib.parse.urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        request.headers.update(session.headers(f"{request.method} {target}", body))
        return request

    def forget(self, response) -> None:
        kind = response.headers.get("content-type", [""])[0]
        if response.status_code == 401 and kind.startswith("application/problem+json"):
            if response.json().get("reason") in ENDED:
                with self.lock:
                    self.session = None


SIGNER = Signer()


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    kwargs["auth"] = SIGNER


@schemathesis.hook
def after_call(context, case, response) -> None:
    SIGNER.forget(response)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name, value in REAL.items():
        if name in (path_parameters or {}) and random.Random(str(path_parameters[name])).randrange(10) < REAL_IN_TEN:
            if isinstance(path_parameters[name], str) and path_parameters[name].isascii():
                path_parameters[name] = value
    return path_parameters
