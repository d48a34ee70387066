//! docs/spec/key.md a second time, from the page and with nothing but the curve, the hashes and the cipher: what the
//! crate makes must open here, and what is made here must be what the crate makes.
#![allow(dead_code, reason = "each test file uses its part")]

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT as B;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha512};

pub type Items<'a> = [(&'a str, &'a [u8])];

pub fn frame(tag: &str, items: &Items<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((tag.len() as u16).to_be_bytes());
    out.extend(tag.as_bytes());
    for (label, bytes) in items {
        out.extend((label.len() as u16).to_be_bytes());
        out.extend(label.as_bytes());
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(*bytes);
    }
    out
}

pub fn wide(tag: &str, items: &Items<'_>) -> [u8; 64] {
    Sha512::digest(frame(tag, items)).into()
}

pub fn hs(tag: &str, items: &Items<'_>) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&wide(tag, items))
}

pub fn hb(tag: &str, items: &Items<'_>) -> [u8; 32] {
    Sha256::digest(frame(tag, items)).into()
}

/// Ĝ.
pub fn second_base() -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&wide("Veil/tdh2-gen/v1", &[]))
}

pub fn enc(point: &RistrettoPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

pub fn point(bytes: &[u8]) -> RistrettoPoint {
    CompressedRistretto::from_slice(bytes).expect("32 bytes").decompress().expect("a point")
}

pub fn scalar(bytes: &[u8]) -> Scalar {
    let bytes = bytes.try_into().expect("32 bytes");
    Option::from(Scalar::from_canonical_bytes(bytes)).expect("below the order")
}

pub fn nonce(purpose: &str, random: &[u8], secret: &[u8], statement: &Items<'_>) -> Scalar {
    let mut items = vec![("purpose", purpose.as_bytes()), ("random", random), ("secret", secret)];
    items.extend_from_slice(statement);
    hs("Veil/nonce/v1", &items)
}

/// λ_i of one index among all.
pub fn lagrange(indices: &[u16], own: u16) -> Scalar {
    indices.iter().filter(|other| **other != own).fold(Scalar::ONE, |product, other| {
        product * Scalar::from(*other) * (Scalar::from(*other) - Scalar::from(own)).invert()
    })
}

/// Fields of a ciphertext, as points and scalars.
#[derive(Clone)]
pub struct Sealed {
    pub context: [u8; 21],
    pub r: RistrettoPoint,
    pub r_hat: RistrettoPoint,
    pub c: Scalar,
    pub z: Scalar,
    pub body: Vec<u8>,
}

/// To whom, for what.
#[derive(Clone, Copy)]
pub struct To<'a> {
    pub context: [u8; 21],
    pub key: RistrettoPoint,
    pub label: &'a [u8],
}

impl Sealed {
    pub fn parse(bytes: &[u8]) -> Self {
        assert_eq!(bytes[0], 1);
        let len = u32::from_be_bytes(bytes[150..154].try_into().expect("4 bytes")) as usize;
        assert_eq!(bytes.len(), 154 + len);
        Self {
            context: bytes[1..22].try_into().expect("21 bytes"),
            r: point(&bytes[22..54]),
            r_hat: point(&bytes[54..86]),
            c: scalar(&bytes[86..118]),
            z: scalar(&bytes[118..150]),
            body: bytes[154..].to_vec(),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        out.extend(self.context);
        out.extend(enc(&self.r));
        out.extend(enc(&self.r_hat));
        out.extend(self.c.as_bytes());
        out.extend(self.z.as_bytes());
        out.extend((self.body.len() as u32).to_be_bytes());
        out.extend(&self.body);
        out
    }

    /// The challenge that these two commitments make.
    pub fn challenge(&self, to: &To<'_>, w: &RistrettoPoint, w_hat: &RistrettoPoint) -> Scalar {
        hs(
            "Veil/tdh2-enc/v1",
            &[
                ("context", &to.context),
                ("key", &enc(&to.key)),
                ("R", &enc(&self.r)),
                ("R_hat", &enc(&self.r_hat)),
                ("body", &self.body),
                ("label", to.label),
                ("W", &enc(w)),
                ("W_hat", &enc(w_hat)),
            ],
        )
    }

    /// Proves it honestly, with r and s.
    pub fn prove(&mut self, to: &To<'_>, r: &Scalar, s: &Scalar) {
        self.c = self.challenge(to, &(s * B), &(s * second_base()));
        self.z = s + self.c * r;
    }

    pub fn verifies(&self, to: &To<'_>) -> bool {
        let w = self.z * B - self.c * self.r;
        let w_hat = self.z * second_base() - self.c * self.r_hat;
        self.context == to.context && self.challenge(to, &w, &w_hat) == self.c
    }

    /// Opens it with rY.
    pub fn open(&self, to: &To<'_>, shared: &RistrettoPoint) -> Option<Vec<u8>> {
        let key = message_key(to, &self.r, shared);
        ChaCha20Poly1305::new(&key.into()).decrypt(Nonce::from_slice(&[0; 12]), &self.body[..]).ok()
    }
}

pub fn message_key(to: &To<'_>, r: &RistrettoPoint, shared: &RistrettoPoint) -> [u8; 32] {
    let info = frame(
        "Veil/kek/v1",
        &[("context", &to.context), ("key", &enc(&to.key)), ("R", &enc(r)), ("label", to.label)],
    );
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, &enc(shared)).expand(&info, &mut key).expect("short");
    key
}

pub fn seal_body(key: [u8; 32], message: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new(&key.into()).encrypt(Nonce::from_slice(&[0; 12]), message).expect("short")
}

/// Encrypts with this r and s.
pub fn encrypt(to: &To<'_>, message: &[u8], r: &Scalar, s: &Scalar) -> Sealed {
    let mut sealed = Sealed {
        context: to.context,
        r: r * B,
        r_hat: r * second_base(),
        c: Scalar::ZERO,
        z: Scalar::ZERO,
        body: seal_body(message_key(to, &(r * B), &(r * to.key)), message),
    };
    sealed.prove(to, r, s);
    sealed
}

/// The two hedged nonces of an encryption from the two draws of 64 bytes.
pub fn encryption_nonces(to: &To<'_>, message: &[u8], random: &[u8]) -> (Scalar, Scalar) {
    let key = enc(&to.key);
    let about: [(&str, &[u8]); 3] = [("context", &to.context), ("key", &key), ("label", to.label)];
    let r = nonce("encrypt", &random[..64], message, &about);
    let sealed = encrypt(to, message, &r, &Scalar::ONE);
    let statement: [(&str, &[u8]); 6] = [
        ("context", &to.context),
        ("key", &key),
        ("R", &enc(&sealed.r)),
        ("R_hat", &enc(&sealed.r_hat)),
        ("body", &sealed.body),
        ("label", to.label),
    ];
    (r, nonce("prove", &random[64..], r.as_bytes(), &statement))
}

/// Everything a proof of a partial decryption is about, but U.
pub struct Asked<'a> {
    pub to: To<'a>,
    pub index: u16,
    pub share_key: RistrettoPoint,
    pub ciphertext: &'a [u8],
    pub request: [u8; 32],
    pub requester: [u8; 32],
}

impl Asked<'_> {
    fn with<T>(&self, u: &RistrettoPoint, commitments: &Items<'_>, then: impl Fn(&Items<'_>) -> T) -> T {
        let (key, index, share_key, u) =
            (enc(&self.to.key), self.index.to_be_bytes(), enc(&self.share_key), enc(u));
        let mut items: Vec<(&str, &[u8])> = vec![
            ("context", &self.to.context),
            ("key", &key),
            ("index", &index),
            ("share_key", &share_key),
            ("ciphertext", self.ciphertext),
            ("label", self.to.label),
            ("request", &self.request),
            ("requester", &self.requester),
            ("U", &u),
        ];
        items.extend_from_slice(commitments);
        then(&items)
    }

    pub fn challenge(&self, u: &RistrettoPoint, w: &RistrettoPoint, w_r: &RistrettoPoint) -> Scalar {
        let (w, w_r) = (enc(w), enc(w_r));
        self.with(u, &[("W", &w), ("W_R", &w_r)], |items| hs("Veil/pdec/v1", items))
    }

    pub fn nonce(&self, u: &RistrettoPoint, random: &[u8], x: &Scalar) -> Scalar {
        self.with(u, &[], |items| nonce("decrypt", random, x.as_bytes(), items))
    }

    fn ephemeral(&self) -> RistrettoPoint {
        Sealed::parse(self.ciphertext).r
    }

    /// The answer with share `x`, honest but for what the caller made of its fields.
    pub fn answer(&self, x: &Scalar, s: &Scalar) -> Part {
        let r = self.ephemeral();
        let u = x * r;
        let c = self.challenge(&u, &(s * B), &(s * r));
        Part { index: self.index, u, c, z: s + c * x }
    }

    pub fn verifies(&self, part: &Part) -> bool {
        let w = part.z * B - part.c * self.share_key;
        let w_r = part.z * self.ephemeral() - part.c * part.u;
        part.index == self.index && self.challenge(&part.u, &w, &w_r) == part.c
    }
}

/// Fields of a partial decryption.
#[derive(Clone)]
pub struct Part {
    pub index: u16,
    pub u: RistrettoPoint,
    pub c: Scalar,
    pub z: Scalar,
}

impl Part {
    pub fn parse(bytes: &[u8]) -> Self {
        assert_eq!((bytes[0], bytes.len()), (1, 99));
        Self {
            index: u16::from_be_bytes([bytes[1], bytes[2]]),
            u: point(&bytes[3..35]),
            c: scalar(&bytes[35..67]),
            z: scalar(&bytes[67..99]),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        out.extend(self.index.to_be_bytes());
        out.extend(enc(&self.u));
        out.extend(self.c.as_bytes());
        out.extend(self.z.as_bytes());
        out
    }
}

/// rY from parts, by their indices.
pub fn combine(parts: &[Part]) -> RistrettoPoint {
    let indices: Vec<u16> = parts.iter().map(|part| part.index).collect();
    parts.iter().map(|part| lagrange(&indices, part.index) * part.u).sum()
}
