"""REST as docs/rest.md describes it, by the standard library's HTTP client. Prints nothing; `fuzz.py` uses it too."""

from __future__ import annotations

import base64
import json
import urllib.request

import veil


def post(endpoint: str, path: str, message: dict) -> dict:
    body = json.dumps(message).encode()
    request = urllib.request.Request(endpoint + path, data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def login(endpoint: str, email: str, password: bytes) -> veil.Session:
    text = lambda data: base64.b64encode(data).decode()
    attempt = veil.Login(email, password)
    offer = post(endpoint, "/v1/auth/login/start", {"email": email, "ke1": text(attempt.ke1)})
    holder, fields = veil.binding(attempt, base64.b64decode(offer["ke2"]))
    camel = {"ke3": "ke3", "holder_public_key": "holderPublicKey", "holder_signature": "holderSignature", "session_mac": "sessionMac"}
    message = {camel[name]: text(value) for name, value in fields.items()}
    granted = post(endpoint, "/v1/auth/login/finish", {"attemptId": offer["attemptId"], **message})
    return veil.Session(base64.b64decode(granted["session"]["capability"]), holder)
