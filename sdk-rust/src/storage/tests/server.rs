//! A server in memory that keeps what it is given and can be made to lie about it. It checks nothing: that is what
//! the tests are about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use prost::Message;
use prost_types::Timestamp;
use veilchain::entry::Entry;
use veilcloud_proto::audit::v1 as audit;
use veilcloud_proto::projects::v1 as projects;
use veilcloud_proto::storage::v1 as pb;
use veilcore::hash::sha256;
use veilcore::id::ProjectId;

use crate::log::tests::served::{ServedLog, Twist, directory_of, entry};
use crate::log::{LogId, kinds};
use crate::session::tests::session;
use crate::storage::CHUNK_LEN;
use crate::storage::pins::etag;
use crate::transport::fake::{message, refusal};
use crate::transport::{Call, Failure};

type Answer = Result<Bytes, Failure>;

#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) epoch: u32,
    pub(super) keyrings: Vec<projects::Keyring>,
    /// Who made each of them.
    pub(super) makers: Vec<String>,
    pub(super) versions: Vec<(pb::BlobInfo, Bytes)>,
}

pub(super) struct State {
    pub(super) rows: BTreeMap<String, Row>,
    pub(super) author: String,
    pub(super) uploads: BTreeMap<String, (pb::StartUploadRequest, BTreeMap<u32, Bytes>)>,
    /// Answers of committed writes that get lost on the way.
    pub(super) lose_answers: u32,
    /// What the next write is answered with instead of the truth.
    pub(super) receipt: Option<pb::BlobInfo>,
    /// The name and id that environments are shown with instead of their own.
    pub(super) shown_name: Option<String>,
    pub(super) shown_id: Option<String>,
    /// Places of versions that are left out of lists.
    pub(super) unlisted: Vec<usize>,
    /// Chunks that are refused.
    pub(super) refuse_chunks: Vec<u32>,
    /// Chunks that arrived, in order.
    pub(super) chunks: Vec<u32>,
    /// The project's log and the directory.
    pub(super) log: ServedLog,
    pub(super) directory: ServedLog,
    /// The keys that the directory names for the account.
    pub(super) bundle: Vec<u8>,
    /// The keys of other accounts.
    pub(super) bundles: BTreeMap<String, Vec<u8>>,
    /// The project's owner and its access lists.
    pub(super) owner: String,
    pub(super) lists: Vec<Vec<u8>>,
    /// The teams that it is shared with.
    pub(super) shared_with: Vec<String>,
    /// What the next list that is put is replaced with on its way: nothing, or others.
    pub(super) swaps_list: Option<Vec<Vec<u8>>>,
    /// Who is said to have made the keyrings, if not whoever did.
    pub(super) keyring_author: Option<String>,
    /// Keys that were handed on: by environment, epoch and account, with who did so.
    pub(super) parts: BTreeMap<(String, u32, String), (projects::Keyring, String)>,
    /// Environments that are left out of lists.
    pub(super) hidden: Vec<String>,
    /// Environments whose rotation is said to have been done by somebody else, or is said to be done, and is not.
    pub(super) keeps_key: Vec<String>,
    pub(super) forgets_key: Vec<String>,
    /// Nothing can be written.
    pub(super) refuses_puts: bool,
    /// A new key is due; and that is said only when a write is refused for it.
    pub(super) is_due: bool,
    pub(super) hides_due: bool,
    /// So many answers come without a proof.
    pub(super) no_proofs: u32,
    /// What becomes of each proof on its way.
    pub(super) twist: Option<Twist>,
}

#[derive(Clone)]
pub(super) struct Server(Arc<Mutex<State>>);

impl Default for Server {
    fn default() -> Self {
        let (project, identity) = (ProjectId::from_bytes([4; 16]), session(1, 10).identity);
        let (directory, bundle) = directory_of(&identity);
        let state = State {
            rows: BTreeMap::new(),
            author: String::new(),
            uploads: BTreeMap::new(),
            lose_answers: 0,
            receipt: None,
            shown_name: None,
            shown_id: None,
            unlisted: Vec::new(),
            refuse_chunks: Vec::new(),
            chunks: Vec::new(),
            log: ServedLog::new(LogId::Project(project)),
            directory,
            bundle,
            bundles: BTreeMap::new(),
            owner: identity.account().to_string(),
            lists: Vec::new(),
            shared_with: Vec::new(),
            swaps_list: None,
            keyring_author: None,
            parts: BTreeMap::new(),
            hidden: Vec::new(),
            keeps_key: Vec::new(),
            forgets_key: Vec::new(),
            refuses_puts: false,
            is_due: false,
            hides_due: false,
            no_proofs: 0,
            twist: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Server {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    pub(super) fn row(&self, name: &str) -> Row {
        self.state().rows[name].clone()
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Row)) {
        change(self.state().rows.get_mut(name).expect("there"));
    }

    pub(super) fn change_log(&self, change: impl FnOnce(&mut ServedLog)) {
        change(&mut self.state().log);
    }

    pub(super) fn answer(&self, call: &Call) -> Answer {
        let mut state = self.state();
        let body = call.body.clone();
        match call.path.rsplit('/').next().unwrap_or_default() {
            "CreateEnvironment" => state.create(&read(body)),
            "CloneEnvironment" => state.clone_environment(&read(body)),
            "RotateEnvironmentKey" => state.rotate(read(body)),
            "GetEnvironment" => {
                let request: projects::GetEnvironmentRequest = read(body);
                let environment = Some(state.environment(&request.project_id, &request.name)?);
                message(&projects::GetEnvironmentResponse { environment })
            }
            "GetKeyring" => state.keyring(&read(body)),
            "ListShares" => state.shares(),
            // Who is in it cannot be looked into, so that all stays as it was signed.
            "ListMembers" => Err(refusal("PERMISSION_DENIED", "PERMISSION_DENIED", None)),
            "ListEnvironments" => state.environments(&read(body)),
            "UnshareProject" => {
                let request: projects::UnshareProjectRequest = read(body);
                state.take_list(request.access_list);
                message(&projects::UnshareProjectResponse::default())
            }
            "PutAccessList" => {
                let request: projects::PutAccessListRequest = read(body);
                state.take_list(request.access_list);
                message(&projects::PutAccessListResponse::default())
            }
            "AddKeyring" => state.hand_on(read(body)),
            "GetAccessList" => state.access_list(&read(body)),
            "ListVersions" => state.list(&read(body)),
            "PutBlob" => state.put(read(body)),
            "GetBlob" => state.get(&read(body)),
            "StatBlob" => state.stat(&read(body)),
            "DeleteBlob" => state.delete(&read(body)),
            "StartUpload" => state.start(read(body)),
            "PutChunk" => state.chunk(read(body)),
            "GetUpload" => state.upload(&read(body)),
            "CommitUpload" => state.commit(&read(body)),
            "AbortUpload" => {
                let request: pb::AbortUploadRequest = read(body);
                state.uploads.remove(&request.upload_id);
                message(&pb::AbortUploadResponse {})
            }
            "GetServerInfo" => message(&state.log.server_info()),
            "GetAccountKey" => state.account_key(&read(body)),
            "GetProof" => state.event_proof(&read(body)),
            "GetLogFile" => {
                let request: audit::GetLogFileRequest = read(body);
                state.log.answer_file(&request.path)
            }
            "GetDirectoryFile" => {
                let request: audit::GetDirectoryFileRequest = read(body);
                state.directory.answer_directory_file(&request.path)
            }
            other => panic!("{other} is not expected here"),
        }
    }
}

fn read<M: Message + Default>(body: Bytes) -> M {
    M::decode(body).expect("a message")
}

fn now() -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_790_000_000, nanos: 0 })
}

fn not_found(reason: &str) -> Failure {
    refusal("NOT_FOUND", reason, None)
}

impl State {
    fn row(&self, name: &str) -> Result<&Row, Failure> {
        self.rows.get(name).ok_or_else(|| not_found("ENVIRONMENT_NOT_FOUND"))
    }

    fn environment(&self, project: &str, name: &str) -> Result<projects::Environment, Failure> {
        let row = self.row(name)?;
        let head = row.versions.last().map(|(info, _)| info.clone()).unwrap_or_default();
        Ok(projects::Environment {
            environment_id: self.shown_id.clone().unwrap_or_else(|| row.id.clone()),
            project_id: project.to_owned(),
            name: self.shown_name.clone().unwrap_or_else(|| name.to_owned()),
            epoch: row.epoch,
            version: head.version,
            etag: head.etag,
            ciphertext_bytes: head.ciphertext_bytes,
            created_at: now(),
            updated_at: now(),
            rotation_due: self.is_due && !self.hides_due,
            ..Default::default()
        })
    }

    fn environments(&self, request: &projects::ListEnvironmentsRequest) -> Answer {
        let names = self.rows.keys().filter(|name| !self.hidden.contains(name));
        let environments = names.map(|name| self.environment(&request.project_id, name));
        let environments = environments.collect::<Result<_, _>>()?;
        message(&projects::ListEnvironmentsResponse { environments, next_page_token: String::new() })
    }

    fn shares(&self) -> Answer {
        let share = |team: &String| projects::Share {
            team_id: team.clone(),
            permissions: vec!["project:read".to_owned()],
            shared_by_id: self.owner.clone(),
            shared_at: now(),
        };
        let shares = self.shared_with.iter().map(share).collect();
        message(&projects::ListSharesResponse { shares, next_page_token: String::new() })
    }

    fn take_list(&mut self, list: Vec<u8>) {
        let taken = self.swaps_list.take().unwrap_or_else(|| vec![list]);
        self.lists.extend(taken);
    }

    fn hand_on(&mut self, request: projects::AddKeyringRequest) -> Answer {
        let keyring = request.keyring.expect("a keyring");
        let place = (request.name, keyring.epoch, request.account_id);
        if self.parts.contains_key(&place) && !request.replace {
            return Err(refusal("ALREADY_EXISTS", "KEYRING_EXISTS", None));
        }
        self.parts.insert(place, (keyring, self.author.clone()));
        message(&projects::AddKeyringResponse::default())
    }

    fn insert(&mut self, name: &str, id: &str, keyring: Option<projects::Keyring>) {
        let keyrings = vec![keyring.expect("a keyring")];
        let makers = vec![self.author.clone()];
        let row = Row { id: id.to_owned(), epoch: 1, keyrings, makers, versions: Vec::new() };
        self.rows.insert(name.to_owned(), row);
    }

    fn create(&mut self, request: &projects::CreateEnvironmentRequest) -> Answer {
        self.insert(&request.name, &request.environment_id, request.keyring.clone());
        let environment = Some(self.environment(&request.project_id, &request.name)?);
        message(&projects::CreateEnvironmentResponse { environment })
    }

    fn clone_environment(&mut self, request: &projects::CloneEnvironmentRequest) -> Answer {
        self.insert(&request.target_name, &request.environment_id, request.keyring.clone());
        let environment = Some(self.environment(&request.project_id, &request.target_name)?);
        message(&projects::CloneEnvironmentResponse { environment })
    }

    fn rotate(&mut self, request: projects::RotateEnvironmentKeyRequest) -> Answer {
        if self.keeps_key.contains(&request.name) {
            return Err(refusal("ABORTED", "EPOCH_STALE", None));
        }
        self.is_due = false;
        let maker = self.author.clone();
        let row = self.rows.get_mut(&request.name).expect("there");
        if self.forgets_key.contains(&request.name) {
            let epoch = row.epoch + 1;
            let mut environment = self.environment(&request.project_id, &request.name)?;
            environment.epoch = epoch;
            return message(&projects::RotateEnvironmentKeyResponse { environment: Some(environment) });
        }
        row.epoch += 1;
        row.keyrings.push(request.keyring.expect("a keyring"));
        row.makers.push(maker);
        let environment = Some(self.environment(&request.project_id, &request.name)?);
        message(&projects::RotateEnvironmentKeyResponse { environment })
    }

    fn keyring(&self, request: &projects::GetKeyringRequest) -> Answer {
        let (row, at) = (self.row(&request.name)?, request.epoch as usize - 1);
        let keyring = row.keyrings.get(at).cloned();
        let maker = row.makers.get(at).unwrap_or(&self.author);
        let maker = self.keyring_author.clone().unwrap_or_else(|| maker.clone());
        let epoch_seal = keyring.as_ref().map(|keyring| keyring.seal.clone()).unwrap_or_default();
        let place = (request.name.clone(), request.epoch, self.author.clone());
        let (keyring, author_id, added) = match self.parts.get(&place).filter(|_| !request.whole) {
            Some((part, giver)) => (Some(part.clone()), giver.clone(), true),
            None => (keyring, maker.clone(), false),
        };
        let epoch_author_id = maker;
        message(&projects::GetKeyringResponse { keyring, author_id, added, epoch_seal, epoch_author_id })
    }

    fn access_list(&self, request: &projects::GetAccessListRequest) -> Answer {
        let newest = self.lists.len() as u64;
        let number = if request.number == 0 { newest } else { request.number };
        let list = number.checked_sub(1).and_then(|at| self.lists.get(at as usize)).cloned();
        message(&projects::GetAccessListResponse {
            access_list: list.unwrap_or_default(),
            number,
            newest_number: newest,
            floor: 0,
            owner_id: self.owner.clone(),
            ..Default::default()
        })
    }

    fn list(&self, request: &pb::ListVersionsRequest) -> Answer {
        let versions = self.row(&request.env_name)?.versions.iter().enumerate();
        let listed = versions.filter(|(at, _)| !self.unlisted.contains(at));
        let all = listed.rev().map(|(_, (info, _))| info.clone());
        let versions: Vec<_> = all.take(request.page_size as usize).collect();
        message(&pb::ListVersionsResponse { versions, next_page_token: String::new() })
    }

    fn commit_version(
        &mut self,
        name: &str,
        seal: Bytes,
        if_match: &str,
        ciphertext: Bytes,
    ) -> Result<pb::BlobInfo, Failure> {
        if self.refuses_puts {
            return Err(refusal("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", None));
        }
        if self.is_due {
            self.hides_due = false;
            return Err(refusal("FAILED_PRECONDITION", "ROTATION_DUE", None));
        }
        let author_id = self.author.clone();
        let row = self.rows.get_mut(name).ok_or_else(|| not_found("ENVIRONMENT_NOT_FOUND"))?;
        let current = row.versions.last().map(|(info, _)| info.etag.clone()).unwrap_or_default();
        if current != if_match {
            return Err(refusal("ABORTED", "ETAG_MISMATCH", None));
        }
        let (version, digest) = (row.versions.len() as u64 + 1, sha256(&ciphertext));
        let log_index = self.log.push(entry(kinds::BLOB_PUT, &self.author, &row.id, version, digest));
        let info = pb::BlobInfo {
            env_name: name.to_owned(),
            environment_id: row.id.clone(),
            version,
            etag: etag(version, &digest),
            ciphertext_bytes: ciphertext.len() as u64,
            digest: digest.to_vec().into(),
            seal,
            epoch: row.epoch,
            author_id,
            created_at: now(),
            deleted: false,
            log_index,
        };
        row.versions.push((info.clone(), ciphertext));
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return Err(refusal("UNAVAILABLE", "DRAINING", None));
        }
        Ok(info)
    }

    fn put(&mut self, request: pb::PutBlobRequest) -> Answer {
        let blob =
            self.commit_version(&request.env_name, request.seal, &request.if_match, request.ciphertext)?;
        let log_proof = self.proof(&blob, request.log_size);
        message(&pb::PutBlobResponse { blob: Some(self.receipt.take().unwrap_or(blob)), log_proof })
    }

    fn find(&self, name: &str, version: u64) -> Result<&(pb::BlobInfo, Bytes), Failure> {
        let versions = &self.row(name)?.versions;
        let found = match version {
            0 => versions.last(),
            version => versions.iter().find(|(info, _)| info.version == version),
        };
        found.ok_or_else(|| not_found("BLOB_NOT_FOUND"))
    }

    fn get(&mut self, request: &pb::GetBlobRequest) -> Answer {
        let (info, ciphertext) = self.find(&request.env_name, request.version)?.clone();
        if info.deleted {
            return Err(not_found("BLOB_NOT_FOUND"));
        }
        let data = ciphertext.slice(request.offset as usize..);
        // A read is an event, too, so that a log grows with everything that is done.
        let digest = info.digest[..].try_into().unwrap_or_default();
        self.log.push(Entry {
            by_number: request.version > 0,
            ..entry(kinds::BLOB_READ, &self.author, &info.environment_id, info.version, digest)
        });
        message(&pb::GetBlobResponse {
            log_proof: self.proof(&info, request.log_size),
            blob: Some(info),
            not_modified: false,
            offset: request.offset,
            data,
        })
    }

    fn stat(&mut self, request: &pb::StatBlobRequest) -> Answer {
        let blob = self.find(&request.env_name, request.version)?.0.clone();
        message(&pb::StatBlobResponse { log_proof: self.proof(&blob, request.log_size), blob: Some(blob) })
    }

    fn proof(&mut self, info: &pb::BlobInfo, log_size: u64) -> Option<audit::LogProof> {
        if self.no_proofs > 0 {
            self.no_proofs -= 1;
            return None;
        }
        let mut proof = self.log.proof(info.log_index, log_size);
        if let Some(twist) = &mut self.twist {
            twist(&mut proof);
        }
        Some(proof)
    }

    fn event_proof(&mut self, request: &audit::GetProofRequest) -> Answer {
        if request.index >= self.log.size() {
            return Err(not_found("LOG_INDEX_UNKNOWN"));
        }
        let mut proof = self.log.proof(request.index, request.log_size);
        if let Some(twist) = &mut self.twist {
            twist(&mut proof);
        }
        message(&audit::GetProofResponse { proof: Some(proof), file: "not used".to_owned() })
    }

    fn account_key(&self, request: &audit::GetAccountKeyRequest) -> Answer {
        let index = self.directory.newest_about(&request.account_id);
        let index = index.ok_or_else(|| not_found("ACCOUNT_KEY_UNKNOWN"))?;
        let proof = Some(self.directory.proof(index, request.log_size));
        let bundle = self.bundles.get(&request.account_id).unwrap_or(&self.bundle).clone();
        message(&audit::GetAccountKeyResponse { bundle, proof })
    }

    fn delete(&mut self, request: &pb::DeleteBlobRequest) -> Answer {
        let row = self.rows.get_mut(&request.env_name).expect("there");
        row.versions.iter_mut().for_each(|(info, _)| info.deleted = true);
        let head = row.versions.last().expect("a version").0.clone();
        let digest = head.digest[..].try_into().expect("a digest");
        let line = entry(kinds::BLOB_DELETE, &self.author, &head.environment_id, head.version, digest);
        let log_index = self.log.push(line);
        let log_proof = self.proof(&pb::BlobInfo { log_index, ..head }, request.log_size);
        message(&pb::DeleteBlobResponse { log_proof })
    }

    fn start(&mut self, request: pb::StartUploadRequest) -> Answer {
        let id = format!("00000000-0000-7000-8000-{:012}", self.uploads.len());
        self.uploads.insert(id.clone(), (request, BTreeMap::new()));
        message(&pb::StartUploadResponse { upload: Some(self.describe(&id)?) })
    }

    fn describe(&self, id: &str) -> Result<pb::Upload, Failure> {
        let (request, chunks) = self.uploads.get(id).ok_or_else(|| not_found("UPLOAD_NOT_FOUND"))?;
        let chunk_count = request.ciphertext_bytes.div_ceil(CHUNK_LEN) as u32;
        let missing = (0..chunk_count).filter(|index| !chunks.contains_key(index));
        Ok(pb::Upload {
            upload_id: id.to_owned(),
            ciphertext_bytes: request.ciphertext_bytes,
            chunk_bytes: CHUNK_LEN,
            chunk_count,
            received_count: chunks.len() as u32,
            missing: missing.map(|first| pb::ChunkRun { first, count: 1 }).collect(),
            expires_at: now(),
        })
    }

    fn chunk(&mut self, request: pb::PutChunkRequest) -> Answer {
        if self.refuse_chunks.contains(&request.index) {
            return Err(refusal("INTERNAL", "INTERNAL", None));
        }
        assert_eq!(request.digest[..], sha256(&request.data), "each chunk with its digest");
        self.chunks.push(request.index);
        let (_, chunks) = self.uploads.get_mut(&request.upload_id).expect("begun");
        chunks.insert(request.index, request.data);
        message(&pb::PutChunkResponse { received_count: chunks.len() as u32 })
    }

    fn upload(&self, request: &pb::GetUploadRequest) -> Answer {
        message(&pb::GetUploadResponse { upload: Some(self.describe(&request.upload_id)?) })
    }

    fn commit(&mut self, request: &pb::CommitUploadRequest) -> Answer {
        let (start, chunks) = self.uploads[&request.upload_id].clone();
        let ciphertext: Vec<u8> = chunks.values().flatten().copied().collect();
        assert_eq!(sha256(&ciphertext), start.digest[..], "the whole that was announced");
        let blob = self.commit_version(&start.env_name, start.seal, &start.if_match, ciphertext.into())?;
        self.uploads.remove(&request.upload_id);
        let log_proof = self.proof(&blob, request.log_size);
        message(&pb::CommitUploadResponse { blob: Some(blob), log_proof })
    }
}
