"""Login and proofs of possession as docs/spec/sign.md describes them, from the text alone: OPAQUE (RFC 9807) over
ristretto255 (RFC 9496, RFC 9497), then Ed25519. Nothing here is constant-time: it is a tester, not a client to copy.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = (-121665 * pow(121666, -1, P)) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
OPRF = b"OPRFV1-\x00-ristretto255-SHA512"
CONTEXT = b"Veil/opaque/v1"
SERVER = b"veilcloud"
NH = 64


def _odd(x: int) -> bool:
    return x % P % 2 == 1


def _abs(x: int) -> int:
    return P - x % P if _odd(x) else x % P


def _sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496, 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    right, flipped, flipped_i = check == u % P, check == -u % P, check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return right or flipped, _abs(r)


SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
assert SQRT_AD_MINUS_ONE**2 % P == (-D - 1) % P
INVSQRT_A_MINUS_D = _sqrt_ratio(1, -1 - D)[1]
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P


class Element:
    """An element of ristretto255, by one point of edwards25519 in extended coordinates."""

    def __init__(self, x: int, y: int, z: int, t: int) -> None:
        self.at = (x % P, y % P, z % P, t % P)

    @classmethod
    def decode(cls, data: bytes) -> Element:
        s = int.from_bytes(data, "little")
        if len(data) != 32 or s >= P or _odd(s):
            raise ValueError("not an element")
        u1, u2 = (1 - s * s) % P, (1 + s * s) % P
        v = (-(D * u1 * u1) - u2 * u2) % P
        square, root = _sqrt_ratio(1, v * u2 * u2)
        den_x, den_y = root * u2 % P, root * root * u2 * v % P
        x, y = _abs(2 * s * den_x), u1 * den_y % P
        if not square or _odd(x * y) or y == 0:
            raise ValueError("not an element")
        return cls(x, y, 1, x * y)

    def encode(self) -> bytes:
        x, y, z, t = self.at
        u1, u2 = (z + y) * (z - y) % P, x * y % P
        root = _sqrt_ratio(1, u1 * u2 * u2)[1]
        den1, den2 = root * u1 % P, root * u2 % P
        z_inv = den1 * den2 * t % P
        if _odd(t * z_inv):
            x, y, den = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
        else:
            den = den2
        if _odd(x * z_inv):
            y = -y % P
        return _abs(den * (z - y)).to_bytes(32, "little")

    def __add__(self, other: Element) -> Element:
        (x1, y1, z1, t1), (x2, y2, z2, t2) = self.at, other.at
        a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
        c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
        e, f, g, h = b - a, d - c, d + c, b + a
        return Element(e * f, g * h, f * g, e * h)

    def __mul__(self, scalar: int) -> Element:
        total, step = Element(0, 1, 1, 0), self
        while scalar:
            if scalar & 1:
                total = total + step
            step, scalar = step + step, scalar >> 1
        return total


BASE = Element.decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))


def _map(data: bytes) -> Element:
    """RFC 9496, 4.3.4, MAP."""
    t = int.from_bytes(data, "little") % 2**255 % P
    r = SQRT_M1 * t * t % P
    u, v = (r + 1) * ONE_MINUS_D_SQ % P, (-1 - r * D) * (r + D) % P
    square, s = _sqrt_ratio(u, v)
    c = -1 % P
    if not square:
        s, c = -_abs(s * t) % P, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1, w2, w3 = 2 * s * v, n * SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
    return Element(w0 * w3, w2 * w1, w1 * w3, w0 * w2)


def _expand_message(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd of RFC 9380 with SHA-512, 64 bytes out."""
    dst += bytes([len(dst)])
    first = hashlib.sha512(bytes(128) + message + b"\x00\x40\x00" + dst).digest()
    return hashlib.sha512(first + b"\x01" + dst).digest()


def _to_group(message: bytes) -> Element:
    wide = _expand_message(message, b"HashToGroup-" + OPRF)
    return _map(wide[:32]) + _map(wide[32:])


def _short(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _derive_key(seed: bytes) -> tuple[int, bytes]:
    data = seed + _short(b"OPAQUE-DeriveDiffieHellmanKeyPair")
    for counter in range(256):
        wide = _expand_message(data + bytes([counter]), b"DeriveKeyPair" + OPRF)
        scalar = int.from_bytes(wide, "little") % ORDER
        if scalar:
            return scalar, (BASE * scalar).encode()
    raise ValueError("no key")


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha512")


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    out, last = b"", b""
    while len(out) < length:
        last = _mac(key, last + info + bytes([len(out) // NH + 1]))
        out += last
    return out[:length]


def _labelled(key: bytes, label: bytes, context: bytes) -> bytes:
    label = b"OPAQUE-" + label
    info = struct.pack(">H", NH) + bytes([len(label)]) + label + bytes([len(context)]) + context
    return _expand(key, info, NH)


class Login:
    """The client's half of OPAQUE-3DH."""

    def __init__(self, email: str, password: bytes) -> None:
        self.email, self.password = email.strip().lower().encode(), password
        self.blind = int.from_bytes(os.urandom(64), "little") % ORDER
        self.secret = int.from_bytes(os.urandom(64), "little") % ORDER
        blinded = (_to_group(password) * self.blind).encode()
        self.ke1 = blinded + os.urandom(32) + (BASE * self.secret).encode()

    def finish(self, ke2: bytes) -> tuple[bytes, bytes]:
        """KE3 and the session key; ValueError when the password or the server is not the right one."""
        evaluated, masking_nonce, masked = ke2[:32], ke2[32:64], ke2[64:192]
        server_share, server_mac = ke2[224:256], ke2[256:320]
        unblinded = (Element.decode(evaluated) * pow(self.blind, -1, ORDER)).encode()
        oprf = hashlib.sha512(_short(self.password) + _short(unblinded) + b"Finalize").digest()
        argon = Argon2id(salt=bytes(16), length=64, iterations=3, lanes=4, memory_cost=65536)
        randomized = _mac(b"", oprf + argon.derive(oprf))
        masking_key = _expand(randomized, b"MaskingKey", NH)
        pad = _expand(masking_key, masking_nonce + b"CredentialResponsePad", 128)
        clear = bytes(a ^ b for a, b in zip(pad, masked, strict=True))
        server_public, nonce, tag = clear[:32], clear[32:64], clear[64:]
        auth_key = _expand(randomized, nonce + b"AuthKey", NH)
        names = server_public + _short(SERVER) + _short(self.email)
        if not hmac.compare_digest(_mac(auth_key, nonce + names), tag):
            raise ValueError("wrong password")
        private, _ = _derive_key(_expand(randomized, nonce + b"PrivateKey", 32))

        preamble = b"OPAQUEv1-" + _short(CONTEXT) + _short(self.email) + self.ke1 + _short(SERVER) + ke2[:256]
        share, public = Element.decode(server_share), Element.decode(server_public)
        ikm = (share * self.secret).encode() + (public * self.secret).encode() + (share * private).encode()
        prk, transcript = _mac(b"", ikm), hashlib.sha512(preamble)
        handshake = _labelled(prk, b"HandshakeSecret", transcript.digest())
        session_key = _labelled(prk, b"SessionKey", transcript.digest())
        expected = _mac(_labelled(handshake, b"ServerMAC", b""), transcript.digest())
        if not hmac.compare_digest(expected, server_mac):
            raise ValueError("another server")
        transcript.update(expected)
        return _mac(_labelled(handshake, b"ClientMAC", b""), transcript.digest()), session_key


def framed(tag: str, **items: bytes) -> bytes:
    """Hb of docs/spec/core.md."""
    frame = _short(tag.encode())
    for label, item in items.items():
        frame += _short(label.encode()) + struct.pack(">I", len(item)) + item
    return hashlib.sha256(frame).digest()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Session:
    """What a request is signed with."""

    capability: bytes
    holder: Ed25519PrivateKey

    def headers(self, target: str, body: bytes) -> dict[str, str]:
        """`target`: the gRPC path, or `METHOD SP path?query`."""
        statement = b"\x01" + framed("Veil/vac-hash/v1", capability=self.capability)
        statement += struct.pack(">I", len(target)) + target.encode() + framed("Veil/pop-body/v1", body=body)
        statement += struct.pack(">Q", time.time_ns() // 1_000_000) + os.urandom(16)
        signature = self.holder.sign(framed("Veil/pop/v1", proof=statement))
        proof = struct.pack(">I", len(statement)) + statement + signature
        return {"veil-cap": base64url(self.capability), "veil-pop": base64url(proof)}


def binding(login: Login, ke2: bytes) -> tuple[Ed25519PrivateKey, dict[str, bytes]]:
    """A fresh holder key, and the fields of LoginFinishRequest but for the attempt."""
    ke3, session_key = login.finish(ke2)
    holder = Ed25519PrivateKey.generate()
    public = holder.public_key().public_bytes_raw()
    digest = framed("Veil/login-bind/v1", ke1=login.ke1, ke2=ke2, ke3=ke3, holder_pk=public)
    return holder, {
        "ke3": ke3,
        "holder_public_key": public,
        "holder_signature": holder.sign(digest),
        "session_mac": hmac.digest(session_key, digest, "sha256"),
    }
