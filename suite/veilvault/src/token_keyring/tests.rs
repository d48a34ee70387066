use std::io::Write;

use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::hash::sha256;
use veilcore::id::{AccountId, TeamId};
use veilcore::secret::Secret;
use veilkey::context::{Context, Holder};
use veilkey::share::GroupSecret;

use super::*;
use crate::account::AccountRootKey;
use crate::header::HeaderLine;
use crate::key::PublicKey;
use crate::keyring::{open_keyring, seal_keyring};
use crate::token::{TokenKey, split};

const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([2; 16]);
const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const API_KEY: ApiKeyId = ApiKeyId::from_bytes([7; 16]);
const NONCE: [u8; 32] = [5; 32];
const SUBJECT: KeyringSubject = KeyringSubject {
    project: PROJECT,
    environment: ENVIRONMENT,
    epoch: 3,
    access_list: 4,
    created_at_ms: 1_700_000_000_000,
};

/// A token, an epoch's key, and the keyring that alice made of it for the token.
struct Scene {
    alice: Identity,
    public: PublicKey,
    token: TokenKey,
    share: SecretShare,
    key: EpochKey,
    keyring: Keyring,
}

fn alice() -> Identity {
    Identity::derive(&AccountRootKey::from_secret(Secret::new([0xa1; 32])), ALICE, 1)
}

fn scene() -> Scene {
    let alice = alice();
    let (token, key) = (split(API_KEY, 1, &mut OsRng), EpochKey::generate(&mut OsRng));
    let keyring = seal_token_keyring(&key, &SUBJECT, &token.record, &alice, &mut OsRng).expect("a token");
    let share = token::token_share(&token.token, &token.record).expect("its own");
    Scene { public: alice.public_key(), alice, token, share, key, keyring }
}

impl Scene {
    fn expected(&self) -> ExpectedKeyring<'_> {
        ExpectedKeyring {
            project: PROJECT,
            environment: ENVIRONMENT,
            epoch: 3,
            author: ALICE,
            author_key: &self.public,
        }
    }

    fn place(&self) -> TokenPlace {
        let recipient = self.key.recipient().clone();
        TokenPlace { project: PROJECT, environment: ENVIRONMENT, epoch: 3, recipient }
    }

    /// The server's side of an unlock: from the file and its own facts.
    fn answer_for(&self, file: &[u8], place: &TokenPlace) -> Result<Vec<u8>, TokenKeyringError> {
        let read = TokenKeyring::read(file, place, &self.token.record)?;
        Ok(read.answer(&self.token.server, &NONCE, &mut OsRng)?.encode().to_vec())
    }

    fn answer(&self) -> Vec<u8> {
        self.answer_for(&self.keyring.file, &self.place()).expect("the token's keyring")
    }

    fn open_with(&self, keyring: &Keyring, answer: &[u8]) -> Result<EpochKey, TokenKeyringError> {
        let unlock = Unlock { share: &self.share, nonce: &NONCE, answer };
        let (file, seal) = (&keyring.file, &keyring.seal);
        open_token_keyring(file, seal, &self.expected(), &self.token.record, &unlock, &mut OsRng)
    }

    /// A keyring like the good one, with this plaintext, properly signed by alice.
    fn signed(&self, plaintext: &[&[u8]]) -> Keyring {
        let label = self.place().label(API_KEY);
        let mut rng = OsRng;
        let recipient = ToToken { record: &self.token.record, label, rng: RefCell::new(&mut rng) };
        let mut file = Vec::new();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).expect("one recipient");
        let mut stream = encryptor.wrap_output(&mut file).expect("memory");
        plaintext.iter().for_each(|part| stream.write_all(part).expect("memory"));
        stream.finish().expect("memory");
        self.resigned(file)
    }

    fn resigned(&self, file: Vec<u8>) -> Keyring {
        let draft = keyring::draft(&self.key, &SUBJECT, &self.alice);
        let seal = KeyringSeal { digest: sha256(&file), ..draft }.sign(self.alice.signing_key());
        Keyring { file, seal }
    }
}

fn reason<T>(result: Result<T, TokenKeyringError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn token_and_server_together_find_the_key_of_the_epoch() {
    let scene = scene();
    let (seal, _) =
        check_token_keyring(&scene.keyring.file, &scene.keyring.seal, &scene.expected(), &scene.token.record)
            .expect("what the server stores");
    assert_eq!((seal.access_list, &seal.recipient), (4, scene.key.recipient()));
    let found = scene.open_with(&scene.keyring, &scene.answer()).expect("both shares");
    assert_eq!(*found.secret_text(), *scene.key.secret_text());
}

#[test]
fn one_share_alone_opens_nothing() {
    let scene = scene();
    let (_, read) =
        check_token_keyring(&scene.keyring.file, &scene.keyring.seal, &scene.expected(), &scene.token.record)
            .expect("good");
    let own = read.part(&scene.share, &NONCE, &mut OsRng).expect("its own share").encode();
    let twice = scene.open_with(&scene.keyring, own.as_slice());
    assert_eq!(
        reason(twice),
        "the server answered the unlock wrongly: partial decryption of share 1 does not verify",
        "the token's part twice"
    );
    let nothing = scene.open_with(&scene.keyring, &[]);
    assert!(matches!(nothing, Err(TokenKeyringError::Answer(PartialError::Malformed(_)))));
    let servers = read.answer(&scene.share, &NONCE, &mut OsRng).err();
    assert!(
        matches!(servers, Some(TokenKeyringError::Token(TokenError::OtherShare))),
        "a token is no server"
    );
}

#[test]
fn a_wrong_answer_is_blamed_on_the_server() {
    let (scene, other) = (scene(), scene_of_another_token());
    let blamed = |answer: &[u8]| {
        matches!(
            scene.open_with(&scene.keyring, answer),
            Err(TokenKeyringError::Answer(PartialError::BadProof { index })) if index.get() == 2
        )
    };
    assert!(!blamed(&scene.answer()));
    assert!(blamed(&other.answer()), "with another token's share");
    let read = TokenKeyring::read(&scene.keyring.file, &scene.place(), &scene.token.record).expect("good");
    let earlier = read.answer(&scene.token.server, &[6; 32], &mut OsRng).expect("its own").encode();
    assert!(blamed(earlier.as_slice()), "kept from an earlier unlock");
    let again = seal_token_keyring(&scene.key, &SUBJECT, &scene.token.record, &scene.alice, &mut OsRng)
        .expect("a token");
    assert!(blamed(&scene.answer_for(&again.file, &scene.place()).expect("good")), "to another file");
}

fn scene_of_another_token() -> Scene {
    let scene = scene();
    let token = split(ApiKeyId::from_bytes([8; 16]), 1, &mut OsRng);
    let keyring =
        seal_token_keyring(&scene.key, &SUBJECT, &token.record, &scene.alice, &mut OsRng).expect("a token");
    let share = token::token_share(&token.token, &token.record).expect("its own");
    Scene { token, share, keyring, ..scene }
}

#[test]
fn the_server_helps_with_nothing_but_its_own_tokens_keyring_for_that_place() {
    let (scene, other) = (scene(), scene_of_another_token());
    let place = scene.place();
    let refused = |file: &[u8], place: &TokenPlace| scene.answer_for(file, place).expect_err("refused");
    for elsewhere in [
        TokenPlace { project: ProjectId::from_bytes([9; 16]), ..place.clone() },
        TokenPlace { environment: EnvironmentId::from_bytes([9; 16]), ..place.clone() },
        TokenPlace { epoch: 4, ..place.clone() },
        TokenPlace { recipient: EpochKey::generate(&mut OsRng).recipient().clone(), ..place.clone() },
    ] {
        let refused = refused(&scene.keyring.file, &elsewhere);
        assert!(matches!(refused, TokenKeyringError::Stanza(CiphertextError::Invalid)), "{elsewhere:?}");
    }
    let others = refused(&other.keyring.file, &place);
    assert!(matches!(others, TokenKeyringError::Stanza(CiphertextError::OtherKey { .. })));
    let members = seal_keyring(&scene.key, &SUBJECT, &[scene.alice.recipient().clone()], &scene.alice);
    let members = refused(&members.expect("one member").file, &place);
    assert!(matches!(members, TokenKeyringError::Lint(LintError::TooManyX25519 { limit: 0 })));
    assert!(matches!(
        refused(&[0; TOKEN_KEYRING_LEN_MAX + 1], &place),
        TokenKeyringError::TooLong { found } if found == TOKEN_KEYRING_LEN_MAX + 1
    ));
}

#[test]
fn a_token_keyring_from_elsewhere_is_refused_by_name() {
    let scene = scene();
    let refuse = |expected: ExpectedKeyring<'_>| {
        check_token_keyring(&scene.keyring.file, &scene.keyring.seal, &expected, &scene.token.record).err()
    };
    let fits = scene.expected();
    let other = EnvironmentId::from_bytes([9; 16]);
    assert!(matches!(
        refuse(ExpectedKeyring { environment: other, ..fits }),
        Some(TokenKeyringError::Seal(SealError::Environment { .. }))
    ));
    assert!(matches!(
        refuse(ExpectedKeyring { epoch: 4, ..fits }),
        Some(TokenKeyringError::Seal(SealError::Epoch { expected: 4, found: 3 }))
    ));
    let mallory = Identity::derive(&AccountRootKey::from_secret(Secret::new([9; 32])), ALICE, 1);
    let forged =
        seal_token_keyring(&scene.key, &SUBJECT, &scene.token.record, &mallory, &mut OsRng).expect("a token");
    let refused = check_token_keyring(&forged.file, &forged.seal, &fits, &scene.token.record).err();
    assert!(matches!(refused, Some(TokenKeyringError::Seal(SealError::Signature(_)))));
    let next = split(API_KEY, 2, &mut OsRng);
    let refused = check_token_keyring(&scene.keyring.file, &scene.keyring.seal, &fits, &next.record).err();
    assert!(
        matches!(refused, Some(TokenKeyringError::Stanza(CiphertextError::OtherKey { .. }))),
        "made for the generation before"
    );
}

#[test]
fn a_team_gets_no_token_keyring() {
    let context = Context { holder: Holder::Team(TeamId::from_bytes([7; 16])), epoch: 1 };
    let team = GroupSecret::generate(&mut OsRng).split(context, 2, 2, &mut OsRng).expect("a key").record;
    let scene = scene();
    let refused = seal_token_keyring(&scene.key, &SUBJECT, &team, &scene.alice, &mut OsRng).err();
    assert!(matches!(refused, Some(TokenKeyringError::Token(TokenError::NotAToken))));
}

#[test]
fn neither_kind_of_keyring_is_taken_for_the_other() {
    let scene = scene();
    let members = seal_keyring(&scene.key, &SUBJECT, &[scene.alice.recipient().clone()], &scene.alice)
        .expect("one member");
    let refused = scene.open_with(&members, &scene.answer());
    assert!(matches!(refused, Err(TokenKeyringError::Lint(_))));
    let refused = open_keyring(&scene.keyring.file, &scene.keyring.seal, &scene.expected(), &scene.alice);
    assert!(matches!(refused.err(), Some(KeyringError::Lint(LintError::NoX25519))));
}

#[test]
fn an_author_who_signs_the_wrong_plaintext_is_not_believed() {
    let scene = scene();
    let (seal, _) =
        check_token_keyring(&scene.keyring.file, &scene.keyring.seal, &scene.expected(), &scene.token.record)
            .expect("good");
    let line = seal.header_line();
    let old = HeaderLine { epoch: 2, ..line }.render();
    let (line, text) = (line.render(), scene.key.secret_text());
    let other = EpochKey::generate(&mut OsRng).secret_text();
    let open = |parts: &[&[u8]]| {
        let keyring = scene.signed(parts);
        let answer = scene.answer_for(&keyring.file, &scene.place()).expect("a good stanza");
        scene.open_with(&keyring, &answer).err()
    };
    assert!(open(&[&line, text.as_bytes(), b"\n"]).is_none());
    let field = open(&[&old, text.as_bytes(), b"\n"]);
    assert!(matches!(field, Some(TokenKeyringError::Header(HeaderError::Mismatch { field: "epoch" }))));
    assert!(matches!(open(&[b"short"]), Some(TokenKeyringError::Header(HeaderError::Malformed))));
    assert!(matches!(open(&[&line, text.as_bytes()]), Some(TokenKeyringError::NoKey)));
    assert!(matches!(open(&[&line, other.as_bytes(), b"\n"]), Some(TokenKeyringError::OtherKey)));
}

#[test]
fn only_a_token_keyring_has_a_threshold_stanza_and_it_has_one() {
    let file = &scene().keyring.file;
    let header = lint(file, Policy::TOKEN_KEYRING).expect("a token keyring");
    assert_eq!((header.tdh2, header.x25519, header.other), (1, 0, 0));
    assert_eq!(lint(file, Policy::BLOB).err().map(|e| matches!(e, LintError::Foreign { .. })), Some(true));
    let text = String::from_utf8_lossy(&file[..header.header_len]).into_owned();
    let start = text.find("-> veil-tdh2").expect("the stanza");
    let end = start + 3 + text[start + 3..].find("\n-").expect("what follows") + 1;
    let stanza = &text[start..end];
    let twice = text.replacen(stanza, &stanza.repeat(2), 1);
    let check = |text: &str| lint(text.as_bytes(), Policy::TOKEN_KEYRING).err();
    assert_eq!(check(&twice), Some(LintError::TooManyTdh2 { limit: 1 }));
    assert_eq!(check(&text.replacen(stanza, "-> x-grease\n\n", 1)), Some(LintError::NoTdh2));
    let args = text.replacen("-> veil-tdh2\n", "-> veil-tdh2 a\n", 1);
    assert!(matches!(check(&args), Some(LintError::Stanza { .. })));
    let foreign = text.replacen("-> veil-tdh2\n", "-> ssh-ed25519 a\n\n-> veil-tdh2\n", 1);
    assert!(matches!(check(&foreign), Some(LintError::Foreign { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The digest catches every change of the file; signing the changed file again shows that stanza and age do, too.
    #[test]
    fn a_flipped_bit_is_refused_even_when_signed_again(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let scene = scene();
        let mut file = scene.keyring.file.clone();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let changed = Keyring { file: file.clone(), seal: scene.keyring.seal };
        let refused = scene.open_with(&changed, &scene.answer());
        prop_assert!(matches!(refused, Err(TokenKeyringError::Seal(SealError::Digest))));
        let resigned = scene.resigned(file);
        let opened = scene
            .answer_for(&resigned.file, &scene.place())
            .and_then(|answer| scene.open_with(&resigned, &answer));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn a_flipped_bit_of_the_answer_is_refused(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let scene = scene();
        let mut answer = scene.answer();
        let at = at.index(answer.len());
        answer[at] ^= 1 << bit;
        prop_assert!(scene.open_with(&scene.keyring, &answer).is_err());
    }

    #[test]
    fn no_file_makes_the_server_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let scene = scene();
        prop_assert!(scene.answer_for(&bytes, &scene.place()).is_err());
    }
}
