//! A log as an honest server serves it, in memory and small. Written apart from veilchain's proofs: roots and paths come
//! from the definitions of RFC 9162, so that the two check each other. Tests make it lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use prost::Message;
use rand_core::OsRng;
use veilchain::bundle::push_entry;
use veilchain::checkpoint::{Checkpoint, sign};
use veilchain::entry::Entry;
use veilchain::hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
use veilchain::key::{KeyType, SigningKey};
use veilchain::tile::{BundlePath, Tile};
use veilcloud_proto::audit::v1 as pb;
use veilcloud_proto::common::v1 as common;
use veilcloud_proto::projects::v1 as projects;
use veilcore::hash::sha256;
use veilcore::id::{AccountId, ProjectId};
use veilvault::identity::Identity;
use veilvault::recovery::RecoveryCode;

use crate::client::Client;
use crate::log::{LogId, actor_of, kinds};
use crate::session::tests::{session, store};
use crate::state::{MemoryState, StateStore};
use crate::transport::fake::{Fake, message, refusal};
use crate::transport::{Call, Failure};

/// Name of the logs of the tests' server.
pub(crate) const NAME: &str = "host.example";
/// Seed of the key that signs them.
pub(crate) const SEED: [u8; 32] = [0x11; 32];

#[derive(Clone)]
pub(crate) struct ServedLog {
    pub(crate) log: LogId,
    pub(crate) name: String,
    /// Seeds of the keys that sign it.
    pub(crate) seeds: Vec<[u8; 32]>,
    /// Seeds of the witnesses that see it.
    pub(crate) witnesses: Vec<[u8; 32]>,
    pub(crate) policy: String,
    pub(crate) entries: Vec<Vec<u8>>,
    /// Shows the log at this size only.
    pub(crate) shown: Option<u64>,
}

impl ServedLog {
    pub(crate) fn new(log: LogId) -> Self {
        Self {
            log,
            name: NAME.to_owned(),
            seeds: vec![SEED],
            witnesses: Vec::new(),
            policy: "quorum none\n".to_owned(),
            entries: Vec::new(),
            shown: None,
        }
    }

    /// Appends an entry, which is made one of this log.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        self.entries.push(Entry { log: self.log.bytes(), ..entry }.encode());
        self.entries.len() as u64 - 1
    }

    pub(crate) fn size(&self) -> u64 {
        self.shown.unwrap_or(self.entries.len() as u64)
    }

    fn leaves(&self, size: u64) -> Vec<Hash> {
        self.entries[..size as usize].iter().map(|entry| leaf_hash(entry)).collect()
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        root(&self.leaves(size))
    }

    pub(crate) fn origin(&self) -> String {
        format!("{}/{}", self.name, self.log)
    }

    /// The signed checkpoint of a size.
    pub(crate) fn note(&self, size: u64) -> Vec<u8> {
        self.note_of(size, self.root(size))
    }

    pub(crate) fn note_of(&self, size: u64, root: Hash) -> Vec<u8> {
        let origin = self.origin();
        let checkpoint = Checkpoint::new(&origin, size, root).expect("valid");
        let keys: Vec<SigningKey> = self.seeds.iter().map(|seed| key(&origin, seed)).collect();
        let mut note = sign(&checkpoint, &keys.iter().collect::<Vec<_>>()).expect("signs");
        for seed in &self.witnesses {
            let line = witness(seed).cosign(note.text(), 1_790_000_000).expect("cosigns");
            note.add(line).expect("room");
        }
        note.encode().into_bytes()
    }

    pub(crate) fn proof(&self, index: u64, log_size: u64) -> pb::LogProof {
        self.proof_at(index, self.size(), log_size)
    }

    pub(crate) fn proof_at(&self, index: u64, size: u64, log_size: u64) -> pb::LogProof {
        let leaves = self.leaves(size);
        let bytes = |hashes: Vec<Hash>| hashes.iter().map(|hash| hash.to_vec()).collect();
        let consistency = match log_size {
            0 => Vec::new(),
            log_size if log_size >= size => Vec::new(),
            log_size => consistency(log_size as usize, &leaves, true),
        };
        pb::LogProof {
            index,
            entry: self.entries[index as usize].clone(),
            inclusion: bytes(inclusion(index as usize, &leaves)),
            checkpoint: self.note(size),
            consistency: bytes(consistency),
        }
    }

    /// A file of c2sp.org/tlog-tiles.
    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        let size = self.size();
        if path == "checkpoint" {
            return (size > 0).then(|| self.note(size));
        }
        if let Ok(bundle) = BundlePath::parse(path) {
            let (start, end) = (bundle.start() as usize, bundle.start() as usize + usize::from(bundle.width));
            let mut bytes = Vec::new();
            self.entries[..size as usize].get(start..end)?.iter().for_each(|entry| {
                push_entry(&mut bytes, entry).expect("short");
            });
            return Some(bytes);
        }
        let tile = Tile::parse(path).ok()?;
        let covered = 1usize << (8 * usize::from(tile.level));
        let leaves = self.leaves(size);
        let hash = |at: u64| leaves.get(at as usize * covered..(at as usize + 1) * covered).map(root);
        let hashes: Option<Vec<Hash>> =
            (tile.start()..tile.start() + u64::from(tile.width)).map(hash).collect();
        Some(hashes?.concat())
    }

    pub(crate) fn answer_file(&self, path: &str) -> Result<Bytes, Failure> {
        let data = self.file(path).ok_or_else(|| refusal("NOT_FOUND", "LOG_FILE_UNKNOWN", None))?;
        message(&pb::GetLogFileResponse { data })
    }

    pub(crate) fn answer_directory_file(&self, path: &str) -> Result<Bytes, Failure> {
        let data = self.file(path).ok_or_else(|| refusal("NOT_FOUND", "LOG_FILE_UNKNOWN", None))?;
        message(&pb::GetDirectoryFileResponse { data })
    }

    pub(crate) fn server_info(&self) -> common::GetServerInfoResponse {
        let now = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 });
        common::GetServerInfoResponse {
            version: "0".to_owned(),
            now,
            limits: None,
            log_name: self.name.clone(),
            log_keys: self.seeds.iter().map(|seed| public_key(seed).to_vec()).collect(),
            witness_policy: self.policy.clone(),
        }
    }

    /// The newest leaf about an account.
    pub(crate) fn newest_about(&self, account: &str) -> Option<u64> {
        let about = |entry: &Vec<u8>| {
            let entry = Entry::decode(entry).expect("an entry");
            actor_of(&entry).is_some_and(|id| id.to_string() == account)
        };
        self.entries.iter().rposition(about).map(|index| index as u64)
    }
}

/// An entry about a version of an environment.
pub(crate) fn entry(kind: u8, actor: &str, environment: &str, version: u64, digest: [u8; 32]) -> Entry {
    let actor: AccountId = actor.parse().expect("an account");
    let environment: veilcore::id::EnvironmentId = environment.parse().expect("an environment");
    Entry {
        subject: Some(*environment.as_bytes()),
        number: Some(version),
        digest: Some(digest),
        ..line(kind, actor)
    }
}

/// An entry that names nobody but who did it.
pub(crate) fn line(kind: u8, account: AccountId) -> Entry {
    let mut actor = [0; 32];
    actor[..16].copy_from_slice(account.as_bytes());
    Entry {
        kind,
        log: [0; 16],
        at_ms: 1_790_000_000_000,
        actor,
        subject: None,
        number: None,
        digest: None,
        by_number: false,
    }
}

/// A leaf of the directory about an account's keys.
pub(crate) fn key_line(kind: u8, account: AccountId, bundle: &[u8]) -> Entry {
    Entry { number: Some(1), digest: Some(sha256(bundle)), ..line(kind, account) }
}

/// The signed public keys of an identity, with a fresh recovery code.
pub(crate) fn bundle_of(identity: &Identity) -> Vec<u8> {
    identity.account_bundle(&RecoveryCode::generate(&mut OsRng).verifier())
}

/// A directory that knows one account.
pub(crate) fn directory_of(identity: &Identity) -> (ServedLog, Vec<u8>) {
    let bundle = bundle_of(identity);
    let mut directory = ServedLog::new(LogId::Directory);
    directory.push(key_line(kinds::KEY_PUBLISH, identity.account(), &bundle));
    (directory, bundle)
}

/// A leaf of the directory that announces a key of the logs.
pub(crate) fn log_key_line(seed: &[u8; 32]) -> Entry {
    Entry { digest: Some(public_key(seed)), ..line(kinds::LOG_KEY, AccountId::from_bytes([0; 16])) }
}

pub(crate) fn key(origin: &str, seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed(origin, KeyType::Ed25519, seed).expect("a name")
}

pub(crate) fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    *key("any", seed).verifier().public_key()
}

pub(crate) fn witness(seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed("witness.example", KeyType::CosignatureV1, seed).expect("a name")
}

/// A policy that asks for this witness.
pub(crate) fn policy_with(seed: &[u8; 32]) -> String {
    format!("witness w1 {}\nquorum w1\n", witness(seed).verifier())
}

fn half(len: usize) -> usize {
    1 << (len - 1).ilog2()
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

fn inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let k = half(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = match index < k {
        true => (inclusion(index, left), root(right)),
        false => (inclusion(index - k, right), root(left)),
    };
    path.push(sibling);
    path
}

fn consistency(old: usize, leaves: &[Hash], is_whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = half(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = match old <= k {
        true => (consistency(old, left, is_whole), root(right)),
        false => (consistency(old - k, right, false), root(left)),
    };
    path.push(sibling);
    path
}

/// A message of the contract.
pub(crate) fn read<M: Message + Default>(body: &Bytes) -> M {
    M::decode(body.clone()).expect("a message")
}

/// Changes a proof.
pub(crate) type Twist = Box<dyn FnMut(&mut pb::LogProof) + Send>;

/// A server of one project's log and the directory.
pub(crate) struct State {
    pub(crate) project: ServedLog,
    pub(crate) directory: ServedLog,
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
    /// Other bytes for these paths of the project's log.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Paths of the project's log that are said to be unknown.
    pub(crate) missing: Vec<String>,
    /// What every file of the directory is refused with.
    pub(crate) directory_refusal: Option<(&'static str, &'static str)>,
    /// Keys that the server says it signs capabilities with.
    pub(crate) issuers: Vec<veilcloud_proto::auth::v1::IssuerKey>,
    /// Paths that were asked for.
    pub(crate) asked: Vec<String>,
    /// What becomes of proofs on their way.
    pub(crate) twist: Option<Twist>,
    /// What the token is answered with.
    pub(crate) token_path: String,
}

#[derive(Clone)]
pub(crate) struct Served(Arc<Mutex<State>>);

pub(crate) const PROJECT: ProjectId = ProjectId::from_bytes([4; 16]);

impl Served {
    /// A server that knows the account of the tests' session.
    pub(crate) fn new() -> Self {
        let identity = session(1, 10).identity;
        let (directory, bundle) = directory_of(&identity);
        let state = State {
            project: ServedLog::new(LogId::Project(PROJECT)),
            directory,
            bundles: BTreeMap::from([(identity.account().to_string(), bundle)]),
            files: BTreeMap::new(),
            missing: Vec::new(),
            directory_refusal: None,
            issuers: Vec::new(),
            asked: Vec::new(),
            twist: None,
            token_path: format!("/log/{NAME}/project/{PROJECT}/"),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    /// A client with this state, logged in.
    pub(crate) fn client(&self, state: Arc<dyn StateStore>) -> Client {
        store(&*state, &session(1, 10));
        let served = self.clone();
        let fake = Fake::answering(move |call| served.state().answer(call));
        let builder = Client::builder().endpoint("https://host.example").state(state);
        builder.build_with(fake).expect("a client")
    }

    pub(crate) fn new_client(&self) -> Client {
        self.client(Arc::new(MemoryState::new()))
    }
}

impl State {
    fn answer(&mut self, call: &Call) -> Result<Bytes, Failure> {
        let missing = |reason: &str| refusal("NOT_FOUND", reason, None);
        match call.path.rsplit('/').next().unwrap_or_default() {
            "ListIssuers" => {
                message(&veilcloud_proto::auth::v1::ListIssuersResponse { keys: self.issuers.clone() })
            }
            "GetServerInfo" => message(&self.project.server_info()),
            "GetAccessList" => message(&projects::GetAccessListResponse {
                owner_id: session(1, 10).account().to_string(),
                ..Default::default()
            }),
            "GetAccountKey" => {
                let request: pb::GetAccountKeyRequest = read(&call.body);
                let index = self.directory.newest_about(&request.account_id);
                let index = index.ok_or_else(|| missing("ACCOUNT_KEY_UNKNOWN"))?;
                let mut proof = self.directory.proof(index, request.log_size);
                if let Some(twist) = &mut self.twist {
                    twist(&mut proof);
                }
                let bundle = self.bundles.get(&request.account_id).cloned().unwrap_or_default();
                message(&pb::GetAccountKeyResponse { bundle, proof: Some(proof) })
            }
            "GetProof" => {
                let request: pb::GetProofRequest = read(&call.body);
                if request.index >= self.project.size() {
                    return Err(missing("LOG_INDEX_UNKNOWN"));
                }
                let mut proof = self.project.proof(request.index, request.log_size);
                if let Some(twist) = &mut self.twist {
                    twist(&mut proof);
                }
                message(&pb::GetProofResponse { proof: Some(proof), file: "not used".to_owned() })
            }
            // A server of one log: the tests put an account's in the project's place.
            "GetAccountProof" => {
                let request: pb::GetAccountProofRequest = read(&call.body);
                if request.index >= self.project.size() {
                    return Err(missing("LOG_INDEX_UNKNOWN"));
                }
                let mut proof = self.project.proof(request.index, request.log_size);
                if let Some(twist) = &mut self.twist {
                    twist(&mut proof);
                }
                message(&pb::GetAccountProofResponse { proof: Some(proof), file: "not used".to_owned() })
            }
            "GetAccountLogFile" => {
                let request: pb::GetAccountLogFileRequest = read(&call.body);
                let data = self.project.file(&request.path).ok_or_else(|| missing("LOG_FILE_UNKNOWN"))?;
                message(&pb::GetAccountLogFileResponse { data })
            }
            "GetLogFile" => {
                let request: pb::GetLogFileRequest = read(&call.body);
                self.asked.push(request.path.clone());
                if self.missing.contains(&request.path) {
                    return Err(missing("LOG_FILE_UNKNOWN"));
                }
                match self.files.get(&request.path) {
                    Some(data) => message(&pb::GetLogFileResponse { data: data.clone() }),
                    None => self.project.answer_file(&request.path),
                }
            }
            "GetDirectoryFile" => {
                let request: pb::GetDirectoryFileRequest = read(&call.body);
                if let Some((code, reason)) = self.directory_refusal {
                    return Err(refusal(code, reason, None));
                }
                self.directory.answer_directory_file(&request.path)
            }
            "CreateLogToken" => message(&pb::CreateLogTokenResponse {
                token: "vlt_abc".to_owned(),
                path: self.token_path.clone(),
                expires_at: Some(prost_types::Timestamp { seconds: 1_790_003_600, nanos: 0 }),
            }),
            other => panic!("{other} is not expected here"),
        }
    }
}
