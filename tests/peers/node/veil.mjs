// Login and proofs of possession as docs/spec/sign.md describes them, on the @noble packages: OPAQUE (RFC 9807) over
// ristretto255, then Ed25519. A tester, not a client to copy.

import { randomBytes } from "node:crypto";
import { ed25519, ristretto255, ristretto255_oprf } from "@noble/curves/ed25519.js";
import { argon2id } from "@noble/hashes/argon2.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";

const text = (string) => new TextEncoder().encode(string);
const join = (...parts) => Uint8Array.from(Buffer.concat(parts));
const number = (value, size) => {
  const out = Buffer.alloc(size);
  if (size === 8) out.writeBigUInt64BE(BigInt(value));
  else out.writeUIntBE(value, 0, size);
  return out;
};
const short = (bytes) => join(number(bytes.length, 2), bytes);
const same = (a, b) => Buffer.compare(a, b) === 0;
const { oprf } = ristretto255_oprf;
const deriveKey = (seed) => oprf.deriveKeyPair(seed, text("OPAQUE-DeriveDiffieHellmanKeyPair"));
const scalar = (bytes) => BigInt("0x" + Buffer.from(bytes).reverse().toString("hex"));
const shared = (point, secret) => ristretto255.Point.fromBytes(point).multiply(scalar(secret)).toBytes();
const labelled = (key, label, context) => {
  const name = text("OPAQUE-" + label);
  const info = join(number(64, 2), number(name.length, 1), name, number(context.length, 1), context);
  return expand(sha512, key, info, 64);
};

/** The client's half of OPAQUE-3DH. */
class Login {
  constructor(email, password) {
    this.email = text(email.trim().toLowerCase());
    this.password = text(password);
    this.blinding = oprf.blind(this.password);
    this.keys = deriveKey(randomBytes(32));
    this.ke1 = join(this.blinding.blinded, randomBytes(32), this.keys.publicKey);
  }

  finish(ke2) {
    const output = oprf.finalize(this.password, this.blinding.blind, ke2.slice(0, 32));
    const stretched = argon2id(output, new Uint8Array(16), { t: 3, m: 65536, p: 4, dkLen: 64 });
    const randomized = extract(sha512, join(output, stretched), new Uint8Array());
    const from = (info, length) => expand(sha512, randomized, info, length);
    const maskingInfo = join(ke2.slice(32, 64), text("CredentialResponsePad"));
    const pad = expand(sha512, from(text("MaskingKey"), 64), maskingInfo, 128);
    const clear = ke2.slice(64, 192).map((byte, at) => byte ^ pad[at]);
    const [serverPublic, nonce, tag] = [clear.slice(0, 32), clear.slice(32, 64), clear.slice(64)];
    const names = join(serverPublic, short(text("veilcloud")), short(this.email));
    if (!same(hmac(sha512, from(join(nonce, text("AuthKey")), 64), join(nonce, names)), tag)) {
      throw new Error("wrong password");
    }
    const own = deriveKey(from(join(nonce, text("PrivateKey")), 32));
    const share = ke2.slice(224, 256);
    const ikm = [[share, this.keys.secretKey], [serverPublic, this.keys.secretKey], [share, own.secretKey]];
    const prk = extract(sha512, join(...ikm.map(([point, secret]) => shared(point, secret))), new Uint8Array());
    const preamble = join(
      text("OPAQUEv1-"),
      short(text("Veil/opaque/v1")),
      short(this.email),
      this.ke1,
      short(text("veilcloud")),
      ke2.slice(0, 256),
    );
    const transcript = sha512(preamble);
    const handshake = labelled(prk, "HandshakeSecret", transcript);
    const none = new Uint8Array();
    const expected = hmac(sha512, labelled(handshake, "ServerMAC", none), transcript);
    if (!same(expected, ke2.slice(256))) throw new Error("another server");
    const ke3 = hmac(sha512, labelled(handshake, "ClientMAC", none), sha512(join(preamble, expected)));
    return { ke3, sessionKey: labelled(prk, "SessionKey", transcript) };
  }
}

/** Hb of docs/spec/core.md. */
function framed(tag, items) {
  const parts = Object.entries(items).map(([label, item]) =>
    join(short(text(label)), number(item.length, 4), item),
  );
  return sha256(join(short(text(tag)), ...parts));
}

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

/** What requests are signed with; `call(method, fields)` calls an RPC of AuthService. */
export async function login(email, password, call) {
  const attempt = new Login(email, password);
  const offer = await call("LoginStart", { email, ke1: attempt.ke1 });
  const { ke3, sessionKey } = attempt.finish(offer.ke2);
  const holder = randomBytes(32);
  const holderPublicKey = ed25519.getPublicKey(holder);
  const items = { ke1: attempt.ke1, ke2: offer.ke2, ke3, holder_pk: holderPublicKey };
  const digest = framed("Veil/login-bind/v1", items);
  const granted = await call("LoginFinish", {
    attemptId: offer.attemptId,
    ke3,
    holderPublicKey,
    holderSignature: ed25519.sign(digest, holder),
    sessionMac: hmac(sha256, sessionKey, digest),
  });
  return new Session(granted.session.capability, holder);
}

class Session {
  constructor(capability, holder) {
    this.capability = capability;
    this.holder = holder;
  }

  /** The two headers of one call to `path` with the message `body`. */
  headers(path, body) {
    const statement = join(
      number(1, 1),
      framed("Veil/vac-hash/v1", { capability: this.capability }),
      number(path.length, 4),
      text(path),
      framed("Veil/pop-body/v1", { body }),
      number(Date.now(), 8),
      randomBytes(16),
    );
    const signature = ed25519.sign(framed("Veil/pop/v1", { proof: statement }), this.holder);
    const proof = join(number(statement.length, 4), statement, signature);
    return { "veil-cap": base64url(this.capability), "veil-pop": base64url(proof) };
  }
}
