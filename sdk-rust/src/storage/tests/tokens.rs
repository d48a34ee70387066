//! A service token against a server that keeps the other half of its key, and would like to show it something else.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use rand_core::OsRng;
use veilcloud_proto::{auth::v1 as auth, projects::v1 as projects};
use veilcore::id::{ApiKeyId, EnvironmentId};
use veilsign::api_key::ApiKey;
use veilsign::service_token::ServiceToken;
use veilvault::access::{AccessList, Principal};
use veilvault::seal::KeyringSeal;
use veilvault::token;
use veilvault::token_keyring::{TokenKeyring, TokenPlace};

use super::lies::reason;
use super::server::Server;
use super::shared::{READ, entry, person, publish, push};
use super::*;
use crate::IntegrityReason::{self, *};
use crate::api_keys::NewApiKey;
use crate::transport::fake::{message, refusal};
use crate::transport::{Call, Failure};

/// What a server may do with its half.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Answers an unlock for another nonce.
    OldAnswer,
    /// Gives the keyring of the other environment.
    OtherEnvironment,
    /// Shows the record, or what is to be trusted, of another token.
    OtherRecord,
    OtherTrust,
    /// Names another seal for the epoch.
    OtherEpoch,
    /// Says that its half is gone.
    Gone,
    /// Takes no keyring.
    NoKeyrings,
    /// Takes no list.
    NoLists,
    /// Takes no list that names the key called `bobs`, as if its account had left.
    BobLeft,
}

/// The part of the server that keeps API keys, in front of the rest.
#[derive(Default)]
struct Desk {
    made: BTreeMap<String, auth::CreateApiKeyRequest>,
    parts: BTreeMap<(String, u32, String), projects::Keyring>,
    lie: Option<Lie>,
    /// Everything that calls with a bearer sent.
    sent: Vec<u8>,
}

type Shared = Arc<Mutex<Desk>>;

impl Desk {
    fn answer(&mut self, server: &Server, call: &Call) -> Option<Result<Bytes, Failure>> {
        if let Some(bearer) = &call.bearer {
            self.sent.extend(bearer.as_bytes());
            self.sent.extend(&call.body);
        }
        Some(match call.path.rsplit('/').next()? {
            "CreateApiKey" => {
                let request: auth::CreateApiKeyRequest = read(call);
                let api_key = Some(described(&request));
                self.made.insert(request.api_key_id.clone(), request);
                message(&auth::CreateApiKeyResponse { api_key })
            }
            "ListApiKeys" => {
                let own = self.made.values().filter(|made| made.name != "bobs");
                let api_keys = own.map(described).collect();
                message(&auth::ListApiKeysResponse { api_keys, ..Default::default() })
            }
            "RotateApiKey" => {
                let request: auth::RotateApiKeyRequest = read(call);
                let made = self.made.get_mut(&request.api_key_id)?;
                (made.secret_hash, made.key_record) = (request.secret_hash, request.key_record);
                (made.server_share, made.trust) = (request.server_share, request.trust);
                let api_key = auth::ApiKey { generation: request.generation + 1, ..described(made) };
                message(&auth::RotateApiKeyResponse { api_key: Some(api_key) })
            }
            "GetProject" => {
                let project = project();
                message(&projects::GetProjectResponse {
                    project: Some(projects::Project {
                        project_id: project.id.to_string(),
                        name: project.name,
                        owner_id: project.owner_id.to_string(),
                        created_at: Some(prost_types::Timestamp::default()),
                        ..Default::default()
                    }),
                })
            }
            "PutAccessList" if self.lie == Some(Lie::BobLeft) => {
                let request: projects::PutAccessListRequest = read(call);
                let list = AccessList::peek(&request.access_list).ok()?;
                let named = |made: &auth::CreateApiKeyRequest| {
                    list.entries.iter().any(|entry| match entry.principal {
                        Principal::ApiKey(id) => id.to_string() == made.api_key_id,
                        Principal::Account(_) => false,
                    })
                };
                if !self.made.values().any(|made| made.name == "bobs" && named(made)) {
                    return None;
                }
                let mut refused = refusal("INVALID_ARGUMENT", "ACCESS_LIST_INVALID", None);
                if let Failure::Api(e) = &mut refused {
                    e.metadata.insert("check".to_owned(), "entry_member".to_owned());
                }
                Err(refused)
            }
            "PutAccessList" if self.lie == Some(Lie::NoLists) => Err(refusal("INTERNAL", "INTERNAL", None)),
            "GetOwnApiKey" => self.own(call),
            "UnlockKeyring" => self.unlock(server, call),
            "AddKeyring" => {
                let request: projects::AddKeyringRequest = read(call);
                if request.api_key_id.is_empty() {
                    return None;
                }
                if self.lie == Some(Lie::NoKeyrings) {
                    return Some(Err(refusal("INTERNAL", "INTERNAL", None)));
                }
                let keyring = request.keyring?;
                self.parts.insert((request.name, keyring.epoch, request.api_key_id), keyring);
                message(&projects::AddKeyringResponse::default())
            }
            "GetAccessList" => {
                let answer = server.answer(call).ok()?;
                let mut answer = projects::GetAccessListResponse::decode(answer).ok()?;
                let record = |made: &auth::CreateApiKeyRequest| projects::ApiKeyRecord {
                    api_key_id: made.api_key_id.clone(),
                    key_record: made.key_record.clone(),
                };
                answer.api_keys = self.made.values().map(record).collect();
                message(&answer)
            }
            _ => return None,
        })
    }

    fn caller(&self, call: &Call) -> &auth::CreateApiKeyRequest {
        let bearer = ApiKey::parse(call.bearer.as_ref().expect("a bearer")).expect("an API key");
        let made = &self.made[&bearer.id().to_string()];
        assert_eq!(made.secret_hash, bearer.hash());
        made
    }

    fn own(&self, call: &Call) -> Result<Bytes, Failure> {
        let made = self.caller(call);
        let other = token::split(made.api_key_id.parse().expect("an id"), 1, &mut OsRng);
        let mut answer = auth::GetOwnApiKeyResponse {
            api_key: Some(described(made)),
            generation: 1,
            key_record: made.key_record.clone(),
            trust: made.trust.clone(),
        };
        match self.lie {
            Some(Lie::OtherRecord) => answer.key_record = other.record.encode(),
            Some(Lie::OtherTrust) => answer.trust[40] ^= 1,
            Some(Lie::Gone) => answer.key_record.clear(),
            _ => {}
        }
        message(&answer)
    }

    fn unlock(&self, server: &Server, call: &Call) -> Result<Bytes, Failure> {
        let (made, request): (_, projects::UnlockKeyringRequest) = (self.caller(call), read(call));
        let row = server.row(&request.name);
        let part = |name: &str| self.parts.get(&(name.to_owned(), request.epoch, made.api_key_id.clone()));
        let Some(keyring) = part(&request.name).cloned() else {
            return Err(refusal("NOT_FOUND", "KEYRING_NOT_ADDED", None));
        };
        let whole = &row.keyrings[request.epoch as usize - 1];
        let seal = KeyringSeal::peek(&whole.seal).expect("a seal");
        let record = token::parse_record(&made.key_record, made.api_key_id.parse().expect("an id"), 1)
            .expect("a record");
        let read =
            TokenKeyring::read(&keyring.file, &TokenPlace::of(&seal), &record).expect("for this place");
        let share = token::check_server_share(&made.server_share, &record).expect("its share");
        let mut nonce: [u8; 32] = request.nonce[..].try_into().expect("32 bytes");
        if self.lie == Some(Lie::OldAnswer) {
            nonce[0] ^= 1;
        }
        let partial = read.answer(&share, &nonce, &mut OsRng).expect("its own").encode().to_vec();
        let keyring = match self.lie {
            Some(Lie::OtherEnvironment) => part("staging").cloned(),
            _ => Some(keyring),
        };
        let epoch_seal = match self.lie {
            Some(Lie::OtherEpoch) => server.row("staging").keyrings[0].seal.clone(),
            _ => whole.seal.clone(),
        };
        let (author_id, epoch_author_id) = (row.makers[0].clone(), row.makers[0].clone());
        message(&projects::UnlockKeyringResponse { keyring, author_id, epoch_seal, epoch_author_id, partial })
    }
}

fn read<M: Message + Default>(call: &Call) -> M {
    M::decode(call.body.clone()).expect("a message")
}

fn described(made: &auth::CreateApiKeyRequest) -> auth::ApiKey {
    let at = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 });
    auth::ApiKey {
        api_key_id: made.api_key_id.clone(),
        name: made.name.clone(),
        scope: made.scope.clone(),
        key_record: made.key_record.clone(),
        created_at: at,
        expires_at: at,
        generation: 1,
        ..Default::default()
    }
}

fn fake(server: &Server, desk: &Shared) -> Fake {
    let (server, desk) = (server.clone(), Arc::clone(desk));
    Fake::answering(move |call| {
        let told = desk.lock().expect("no panic").answer(&server, call);
        told.unwrap_or_else(|| server.answer(call))
    })
}

fn builder() -> crate::ClientBuilder {
    Client::builder().endpoint("https://host.example")
}

/// The owner's machine.
fn owner(server: &Server, desk: &Shared) -> Client {
    let (state, login) = (Arc::new(MemoryState::new()), session(1, 10));
    server.state().author = login.account().to_string();
    store(&*state, &login);
    builder().state(state).build_with(fake(server, desk)).expect("a client")
}

/// A machine that has a token and nothing else.
fn program(server: &Server, desk: &Shared, text: &str) -> Client {
    let builder = builder().service_token(text).expect("a token");
    builder.build_with(fake(server, desk)).expect("a client")
}

fn new_token(environments: &[&str]) -> NewApiKey {
    NewApiKey {
        name: "ci".to_owned(),
        permissions: vec!["project:read".to_owned()],
        project: Some(project()),
        environments: environments.iter().map(|name| (*name).to_owned()).collect(),
        networks: Vec::new(),
        lifetime: Duration::from_secs(3600),
    }
}

/// The owner's two environments, and a token for one of them or for both.
async fn scene(environments: &[&str]) -> (Server, Shared, Client, String) {
    let (server, desk) = (Server::default(), Shared::default());
    let alice = owner(&server, &desk);
    for name in [ENV, "staging"] {
        alice
            .storage()
            .put(&project(), name, name.as_bytes().to_vec(), PutOptions::default())
            .await
            .expect("stored");
    }
    let made = alice.api_keys().create_token(&new_token(environments), None).await.expect("a token");
    let shared = made.shared.expect("shared");
    assert!(shared.unfinished.is_empty(), "{:?}", shared.unfinished);
    (server, desk, alice, made.text.to_string())
}

async fn lied_to(lie: Lie) -> Option<IntegrityReason> {
    let (server, desk, _, text) = scene(&[]).await;
    assert_eq!(get(&program(&server, &desk, &text), None).await.expect("honest"), ENV.as_bytes());
    desk.lock().expect("no panic").lie = Some(lie);
    reason(get(&program(&server, &desk, &text), None).await)
}

#[tokio::test]
async fn a_token_reads_what_it_was_made_for_and_its_share_is_in_no_message() {
    let (server, desk, _, text) = scene(&[ENV]).await;
    let ci = program(&server, &desk, &text);
    assert_eq!(get(&ci, None).await.expect("read"), ENV.as_bytes());
    assert_eq!(ci.projects().by_name("shop").await.expect("its project").id, project().id);
    let other = ci.storage().get(&project(), "staging", GetOptions::default()).await;
    assert!(other.err().is_some_and(|e| e.is("KEYRING_NOT_ADDED")));
    let token = ServiceToken::parse(&text).expect("a token");
    let sent = desk.lock().expect("no panic").sent.clone();
    let share = data_encoding::BASE64URL_NOPAD.encode(token.share().expose());
    assert!(
        sent.windows(43).any(|w| w == &token.bearer().to_text().as_bytes()[37..80]),
        "the bearer was sent"
    );
    assert!(
        !sent.windows(32).any(|w| w == token.share().expose())
            && !sent.windows(43).any(|w| w == share.as_bytes())
    );
}

#[tokio::test]
async fn the_next_key_is_given_to_the_token_as_well() {
    let (server, desk, alice, text) = scene(&[ENV]).await;
    alice.environments(&project()).rotate(ENV).await.expect("rotated");
    assert_eq!(get(&program(&server, &desk, &text), None).await.expect("read"), ENV.as_bytes());
    assert_eq!(server.row(ENV).epoch, 2);
}

#[tokio::test]
async fn a_token_writes_nothing() {
    let (server, desk, _, text) = scene(&[]).await;
    let before = server.row(ENV).versions.len();
    let refused = put(&program(&server, &desk, &text), b"x").await;
    assert!(matches!(refused, Err(Error::Invalid { what: "service token", .. })), "{refused:?}");
    assert_eq!(server.row(ENV).versions.len(), before);
}

#[tokio::test]
async fn what_the_server_says_of_the_token_is_checked_with_its_share() {
    assert_eq!(lied_to(Lie::OtherRecord).await, Some(KeyringInvalid));
    assert_eq!(lied_to(Lie::OtherTrust).await, Some(KeyringInvalid));
    let (server, desk, _, text) = scene(&[]).await;
    desk.lock().expect("no panic").lie = Some(Lie::Gone);
    let gone = get(&program(&server, &desk, &text), None).await;
    assert!(matches!(gone, Err(Error::Invalid { what: "service token", .. })), "{gone:?}");
}

#[tokio::test]
async fn an_answer_or_a_keyring_for_something_else_is_refused() {
    assert_eq!(lied_to(Lie::OldAnswer).await, Some(KeyringInvalid));
    assert_eq!(lied_to(Lie::OtherEnvironment).await, Some(WrongEnvironment));
    assert_eq!(lied_to(Lie::OtherEpoch).await, Some(WrongEnvironment));
}

#[tokio::test]
async fn a_machine_without_a_past_believes_whom_the_tokens_maker_believed() {
    let (server, desk, alice, text) = scene(&[]).await;
    let bob = person(2);
    let key = publish(&server, &bob);
    // Another owner; another environment under the name; another list, or none.
    server.state().owner = bob.account().to_string();
    // The version is the owner's that the token knows: only the lists say otherwise, and they are asked for an author.
    let lists = server.state().lists.clone();
    let reads = |client: Client| async move {
        client.projects().access(&project()).await.map(|access| access.number)
    };
    assert_eq!(reason(reads(program(&server, &desk, &text)).await), Some(OwnerChanged));
    server.state().owner = session(1, 10).account().to_string();
    assert_eq!(reads(program(&server, &desk, &text)).await.expect("honest"), 1);

    // A token that is made now knows list 2.
    push(&server, &session(1, 10), &[entry(&bob, key, READ)]);
    let later = alice.api_keys().create_token(&new_token(&[]), None).await.expect("a token").text.to_string();
    server.state().lists = lists;
    assert_eq!(reason(reads(program(&server, &desk, &later)).await), Some(RolledBack));
    server.state().shown_id = Some(EnvironmentId::from_bytes([0x55; 16]).to_string());
    assert_eq!(reason(get(&program(&server, &desk, &text), None).await), Some(WrongEnvironment));
}

#[tokio::test]
async fn a_list_names_the_tokens_record_and_no_other_gets_a_key() {
    let (server, desk, alice, text) = scene(&[ENV]).await;
    let id: ApiKeyId = ServiceToken::parse(&text).expect("a token").id();
    let list = AccessList::peek(server.state().lists.last().expect("a list")).expect("a list");
    let listed = list.entries.iter().find(|entry| entry.principal == Principal::ApiKey(id)).expect("listed");
    assert_eq!(listed.environments.len(), 1);
    // The server shows another record under the listed id: it is passed over.
    let other = token::split(id, 1, &mut OsRng);
    desk.lock().expect("no panic").made.get_mut(&id.to_string()).expect("made").key_record =
        other.record.encode();
    let before = desk.lock().expect("no panic").parts.len();
    alice.environments(&project()).rotate(ENV).await.expect("rotated");
    assert_eq!(desk.lock().expect("no panic").parts.len(), before);
}

async fn sync(alice: &Client) -> crate::ShareOutcome {
    let plan = alice.projects().plan_sync(&project()).await.expect("planned");
    assert!(plan.is_empty(), "nobody is let in by it");
    alice.projects().sync(&project(), &plan, None).await.expect("in step")
}

#[tokio::test]
async fn keys_that_a_token_was_not_given_are_given_when_the_project_is_brought_in_step() {
    let (server, desk, alice, _) = scene(&[]).await;
    desk.lock().expect("no panic").lie = Some(Lie::NoKeyrings);
    let made = alice.api_keys().create_token(&new_token(&[]), None).await.expect("listed");
    let unfinished = made.shared.expect("shared").unfinished;
    let named: Vec<_> = unfinished.iter().map(|left| (left.environment.as_deref(), left.step)).collect();
    assert_eq!(named, [(Some(ENV), "hand-on"), (Some("staging"), "hand-on")]);
    let second = program(&server, &desk, &made.text);
    assert!(get(&second, None).await.expect_err("no key").is("KEYRING_NOT_ADDED"));
    desk.lock().expect("no panic").lie = None;
    assert!(sync(&alice).await.is_complete());
    assert_eq!(get(&second, None).await.expect("read"), ENV.as_bytes());
}

#[tokio::test]
async fn a_key_that_is_over_is_dropped_from_the_next_list_and_what_it_could_open_gets_new_keys() {
    let (server, desk, alice, text) = scene(&[ENV]).await;
    let id = ServiceToken::parse(&text).expect("a token").id();
    desk.lock().expect("no panic").made.remove(&id.to_string());
    let done = sync(&alice).await;
    assert_eq!((done.access_list, done.rotated), (2, vec![ENV.to_owned(), "staging".to_owned()]));
    let list = AccessList::peek(server.state().lists.last().expect("a list")).expect("a list");
    assert_eq!(list.entries, []);
}

#[tokio::test]
async fn a_rotated_secret_is_handed_out_when_the_list_cannot_be_signed() {
    let (_server, desk, alice, text) = scene(&[]).await;
    let id = ServiceToken::parse(&text).expect("a token").id();
    desk.lock().expect("no panic").lie = Some(Lie::NoLists);
    let made = alice.api_keys().rotate(id, Duration::ZERO, None, None).await.expect("rotated");
    assert!(made.shared.is_none() && made.not_shared.is_some_and(|e| e.is("INTERNAL")));
    assert_eq!(made.key.generation, 2);
    let shown = ServiceToken::parse(&made.text).expect("a token");
    let desk = desk.lock().expect("no panic");
    assert_eq!(desk.made[&id.to_string()].secret_hash, shown.bearer().hash(), "what the server has now");
}

#[tokio::test]
async fn a_rotated_token_reaches_what_the_list_says_and_not_what_the_server_says() {
    let (server, desk, alice, text) = scene(&[ENV]).await;
    let id = ServiceToken::parse(&text).expect("a token").id();
    let entry = || {
        let list = AccessList::peek(server.state().lists.last().expect("a list")).expect("a list");
        list.entries.into_iter().find(|entry| entry.principal == Principal::ApiKey(id)).expect("listed")
    };
    let before = entry();
    // The server says that it was made for the whole project, to read and share.
    let wider = auth::ApiKeyScope {
        permissions: vec!["project:read".to_owned(), "project:share".to_owned()],
        project_id: project().id.to_string(),
        ..Default::default()
    };
    desk.lock().expect("no panic").made.get_mut(&id.to_string()).expect("made").scope = Some(wider);
    let made = alice.api_keys().rotate(id, Duration::ZERO, None, None).await.expect("rotated");
    assert!(made.not_shared.is_none(), "{:?}", made.not_shared);
    let after = entry();
    assert_ne!(after.key, before.key);
    assert_eq!((after.actions, after.environments), (before.actions, before.environments));
}

#[tokio::test]
async fn nobody_stays_in_a_project_because_a_key_of_theirs_is_in_its_list() {
    let (server, desk, alice, text) = scene(&[]).await;
    let own = ServiceToken::parse(&text).expect("a token").id();
    let bobs = alice.api_keys().create_token(&new_token(&[]), None).await.expect("a token").key.id;
    {
        let mut desk = desk.lock().expect("no panic");
        desk.made.get_mut(&bobs.to_string()).expect("made").name = "bobs".to_owned();
        desk.lie = Some(Lie::BobLeft);
    }
    let bob = person(2).account();
    alice.projects().shut_out(&project(), &[bob], None).await.expect("nothing to do yet");
    let next = alice.api_keys().create_token(&new_token(&[ENV]), None).await.expect("a token").key.id;
    let list = AccessList::peek(server.state().lists.last().expect("a list")).expect("a list");
    let named: Vec<_> = list.entries.iter().map(|entry| entry.principal).collect();
    assert!(!named.contains(&Principal::ApiKey(bobs)), "{named:?}");
    assert!(named.contains(&Principal::ApiKey(own)) && named.contains(&Principal::ApiKey(next)));
}
