use proptest::prelude::*;
use veilcore::secret::Secret;

use super::*;
use crate::account::AccountRootKey;

const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const TEAM: TeamId = TeamId::from_bytes([7; 16]);
const OWNER: u8 = 0xa1;
const BOB: u8 = 0xb0;
const CAROL: u8 = 0xc0;

const READ: u64 = 1;
const WRITE: u64 = 1 << 1;
const DELETE: u64 = 1 << 2;

fn person(fill: u8) -> Identity {
    Identity::derive(&AccountRootKey::from_secret(Secret::new([fill; 32])), account(fill), 1)
}

const fn account(fill: u8) -> AccountId {
    AccountId::from_bytes([fill; 16])
}

const fn listed(fill: u8) -> Principal {
    Principal::Account(account(fill))
}

const fn entry(principal: u8, actions: u64) -> AccessEntry {
    AccessEntry {
        principal: listed(principal),
        key: [principal; 32],
        actions,
        team: Some(TEAM),
        environments: Vec::new(),
    }
}

fn api_key(fill: u8, actions: u64) -> AccessEntry {
    let principal = Principal::ApiKey(ApiKeyId::from_bytes([fill; 16]));
    AccessEntry { principal, team: None, ..entry(fill, actions) }
}

/// List `number` by `author`, after a list whose digest is all `number - 1`.
fn list(number: u8, author: u8, entries: &[AccessEntry]) -> AccessList {
    AccessList {
        project: PROJECT,
        number: number.into(),
        parent: [number - 1; 32],
        entries: entries.to_vec(),
        author: account(author),
        author_key: person(author).key_id(),
        created_at_ms: 1_700_000_000_000,
    }
}

/// What the owner left: Bob reads and shares, Carol reads and writes, an API key reads.
fn before() -> AccessList {
    list(1, OWNER, &[entry(BOB, READ | SHARE), entry(CAROL, READ | WRITE), api_key(0x11, READ)])
}

fn expected(key: &PublicKey) -> ExpectedAccess<'_> {
    ExpectedAccess { project: PROJECT, number: 1, parent: NO_DIGEST, author: account(OWNER), author_key: key }
}

/// Signs what [`seal_access`] would refuse to.
fn forced(list: &AccessList, author: &Identity) -> Vec<u8> {
    statement::sign(tag::ACCESS_LIST, &list.encode(), author.signing_key())
}

/// What both directions say about a list whose fields break a rule.
fn judge(list: &AccessList) -> Option<AccessError> {
    let owner = person(OWNER);
    let read = AccessList::check(&forced(list, &owner), &expected(&owner.public_key())).err();
    assert_eq!(AccessList::peek(&forced(list, &owner)).err(), read, "a look holds a list to the same rules");
    read
}

/// Verdict on Bob's list with these entries after [`before`].
fn by_bob(entries: &[AccessEntry]) -> Result<(), AccessError> {
    list(2, BOB, entries).follows(Some(&before()), account(OWNER))
}

#[test]
fn a_list_is_read_as_it_was_signed() {
    let owner = person(OWNER);
    let bytes = seal_access(&before(), &owner).expect("a list");
    assert_eq!(bytes.len(), 91 + 3 * 74 + 68);
    let read = AccessList::check(&bytes, &expected(&owner.public_key())).expect("the owner's list");
    assert_eq!(read, before());
    assert_eq!(AccessList::peek(&bytes), Ok(before()));
    assert_eq!(seal_access(&read, &owner), Ok(bytes));
}

#[test]
fn entries_are_signed_in_one_order_whatever_order_they_come_in() {
    let owner = person(OWNER);
    let mut shuffled = before();
    shuffled.entries.reverse();
    assert_eq!(seal_access(&shuffled, &owner), seal_access(&before(), &owner));
}

#[test]
fn a_list_holds_no_entry_to_256_of_them() {
    let owner = person(OWNER);
    let of = |count: usize| {
        let entries: Vec<_> = (0..count)
            .map(|i| {
                let mut id = [0; 16];
                id[..2].copy_from_slice(&(i as u16).to_be_bytes());
                AccessEntry { principal: Principal::Account(AccountId::from_bytes(id)), ..entry(BOB, READ) }
            })
            .collect();
        list(1, OWNER, &entries)
    };
    let empty = seal_access(&of(0), &owner).expect("nobody but the owner");
    assert_eq!(empty.len(), 159);
    assert_eq!(AccessList::check(&empty, &expected(&owner.public_key())), Ok(of(0)));
    let full = seal_access(&of(256), &owner).expect("the limit");
    assert_eq!(full.len(), 91 + 256 * 74 + 68);
    assert_eq!(AccessList::check(&full, &expected(&owner.public_key())), Ok(of(256)));
    assert_eq!(seal_access(&of(257), &owner), Err(AccessError::Entries { found: 257 }));
    assert_eq!(judge(&of(257)), Some(AccessError::Entries { found: 257 }));
}

#[test]
fn a_count_that_is_not_the_number_of_entries_is_refused() {
    let owner = person(OWNER);
    let recounted = |count: u16| {
        let mut body = before().encode();
        body[HEAD_LEN - 2..HEAD_LEN].copy_from_slice(&count.to_be_bytes());
        AccessList::peek(&statement::sign(tag::ACCESS_LIST, &body, owner.signing_key())).err()
    };
    assert_eq!(recounted(2), Some(AccessError::Malformed(DecodeError::Trailing { left: 74 })));
    assert_eq!(recounted(4), Some(AccessError::Malformed(DecodeError::Truncated { needed: 1, left: 0 })));
    assert_eq!(recounted(257), Some(AccessError::Entries { found: 257 }));
}

#[test]
fn a_list_from_elsewhere_is_refused_by_name() {
    let owner = person(OWNER);
    let second = AccessList { number: 2, parent: [1; 32], ..before() };
    let bytes = seal_access(&second, &owner).expect("a list");
    let key = owner.public_key();
    let fits = ExpectedAccess { number: 2, parent: [1; 32], ..expected(&key) };
    assert_eq!(AccessList::check(&bytes, &fits), Ok(second));
    let refuse = |expected| AccessList::check(&bytes, &expected).expect_err("must be refused");
    let project = ProjectId::from_bytes([9; 16]);
    assert_eq!(
        refuse(ExpectedAccess { project, ..fits }),
        AccessError::Project { expected: project, found: PROJECT }
    );
    assert_eq!(
        refuse(ExpectedAccess { number: 3, ..fits }),
        AccessError::Number { expected: 3, found: 2 },
        "an old list served again"
    );
    assert_eq!(refuse(ExpectedAccess { parent: [2; 32], ..fits }), AccessError::Parent);
    assert_eq!(
        refuse(ExpectedAccess { author: account(BOB), ..fits }),
        AccessError::Author { expected: account(BOB), found: account(OWNER) }
    );
    let stranger = person(BOB).public_key();
    assert!(matches!(refuse(ExpectedAccess { author_key: &stranger, ..fits }), AccessError::Signature(_)));
}

#[test]
fn a_list_the_server_made_itself_is_refused() {
    let (owner, mallory) = (person(OWNER), person(9));
    let forged = AccessList { author_key: owner.key_id(), ..list(1, OWNER, &[entry(9, GRANTABLE)]) };
    let refused = AccessList::check(&forced(&forged, &mallory), &expected(&owner.public_key()));
    assert!(matches!(refused, Err(AccessError::Signature(_))));
}

#[test]
fn a_statement_of_another_kind_is_no_list() {
    let owner = person(OWNER);
    let bytes = statement::sign(tag::KEYRING, &before().encode(), owner.signing_key());
    let refused = AccessList::check(&bytes, &expected(&owner.public_key()));
    assert!(matches!(refused, Err(AccessError::Signature(_))));
}

#[test]
fn nobody_signs_in_another_name_or_with_a_key_the_list_does_not_name() {
    let (owner, bob) = (person(OWNER), person(BOB));
    let refused = AccessError::AuthorKey { expected: bob.key_id(), found: owner.key_id() };
    assert_eq!(seal_access(&before(), &bob), Err(refused));
    let lent = AccessList { author_key: bob.key_id(), ..before() };
    let refused = AccessError::Author { expected: account(BOB), found: account(OWNER) };
    assert_eq!(seal_access(&lent, &bob), Err(refused));
    let refused = AccessError::AuthorKey { expected: owner.key_id(), found: bob.key_id() };
    assert_eq!(AccessList::check(&forced(&lent, &owner), &expected(&owner.public_key())), Err(refused));
}

#[test]
fn number_and_parent_have_to_agree_even_when_signed() {
    assert_eq!(judge(&before()), None);
    let none = AccessList { number: 0, ..before() };
    assert_eq!(judge(&none), Some(AccessError::Number { expected: 1, found: 0 }));
    assert_eq!(judge(&AccessList { parent: [1; 32], ..before() }), Some(AccessError::Parent));
    assert_eq!(judge(&AccessList { number: 2, ..before() }), Some(AccessError::Parent));
}

#[test]
fn an_account_is_named_through_a_team_and_an_api_key_through_none() {
    let of = |entry: AccessEntry| judge(&list(1, OWNER, &[entry]));
    let (bob, key) = (entry(BOB, READ), api_key(1, READ));
    assert_eq!((of(bob.clone()), of(key.clone())), (None, None));
    let refused = Some(AccessError::Team { index: 0 });
    assert_eq!(of(AccessEntry { team: None, ..bob.clone() }), refused);
    assert_eq!(of(AccessEntry { team: bob.team, ..key }), refused);
}

#[test]
fn entries_out_of_order_or_there_twice_are_refused_even_when_signed() {
    let first = entry(BOB, READ);
    let other_team = AccessEntry { team: Some(TeamId::from_bytes([8; 16])), ..first.clone() };
    let of = |entries: &[AccessEntry]| judge(&list(1, OWNER, entries));
    let good = [first.clone(), other_team.clone(), entry(CAROL, READ), api_key(1, READ)];
    assert_eq!(of(&good), None);
    let refused = Some(AccessError::Order { index: 1 });
    assert_eq!(of(&[entry(CAROL, READ), first.clone()]), refused, "by account");
    assert_eq!(of(&[api_key(1, READ), first.clone()]), refused, "by kind");
    assert_eq!(of(&[other_team, first.clone()]), refused, "by team");
    let then = |second: AccessEntry| of(&[first.clone(), second]);
    assert_eq!(then(first.clone()), refused, "the same entry");
    assert_eq!(then(AccessEntry { actions: WRITE, ..first.clone() }), refused, "the same place");
    assert_eq!(then(AccessEntry { key: [9; 32], ..first.clone() }), refused, "with another key");
    let twice = list(1, OWNER, &[first.clone(), first]);
    assert_eq!(seal_access(&twice, &person(OWNER)), Err(AccessError::Order { index: 1 }));
}

#[test]
fn an_entry_that_means_nothing_is_refused_even_when_signed() {
    let of = |second: AccessEntry| {
        let list = list(1, OWNER, &[entry(BOB, READ), second]);
        assert_eq!(seal_access(&list, &person(OWNER)).err(), judge(&list), "both sides say the same");
        judge(&list)
    };
    assert_eq!(of(entry(CAROL, GRANTABLE)), None);
    for bits in [0, 1 << 4, 1 << 6, READ | 1 << 7, 1 << 8, 1 << 9, u64::MAX] {
        assert_eq!(of(entry(CAROL, bits)), Some(AccessError::Actions { index: 1, found: bits }));
    }
    let zero = AccessEntry { key: [BOB; 32], team: Some(TeamId::from_bytes([9; 16])), ..entry(BOB, READ) };
    assert_eq!(of(zero.clone()), None, "one principal through two teams");
    assert_eq!(of(AccessEntry { key: [9; 32], ..zero }), Some(AccessError::Key { index: 1 }));
}

const fn environment(fill: u8) -> EnvironmentId {
    EnvironmentId::from_bytes([fill; 16])
}

/// An API key that is kept to these environments.
fn kept_to(fill: u8, actions: u64, environments: &[u8]) -> AccessEntry {
    let environments = environments.iter().map(|fill| environment(*fill)).collect();
    AccessEntry { environments, ..api_key(fill, actions) }
}

#[test]
fn an_api_key_reads_the_environments_it_is_kept_to_and_an_account_all() {
    let list = list(1, OWNER, &[entry(BOB, READ), kept_to(0x11, READ, &[1, 2]), kept_to(0x12, WRITE, &[1])]);
    let reads = |principal, of: u8| list.reads(principal, environment(of));
    let key = |fill| Principal::ApiKey(ApiKeyId::from_bytes([fill; 16]));
    assert!(reads(listed(BOB), 1) && reads(listed(BOB), 3));
    assert!(reads(key(0x11), 1) && reads(key(0x11), 2) && !reads(key(0x11), 3));
    assert!(!reads(key(0x12), 1), "writes without reading");
    assert!(!reads(listed(CAROL), 1) && !reads(key(0x13), 1), "not listed");
    let owner = person(OWNER);
    let bytes = seal_access(&list, &owner).expect("a list");
    assert_eq!(bytes.len(), 91 + 3 * 74 + 3 * 16 + 68);
    assert_eq!(AccessList::check(&bytes, &expected(&owner.public_key())), Ok(list));
}

#[test]
fn environments_that_an_entry_cannot_name_are_refused_even_when_signed() {
    let of = |entry: AccessEntry| {
        let list = list(1, OWNER, &[entry]);
        assert_eq!(seal_access(&list, &person(OWNER)).err(), judge(&list), "both sides say the same");
        judge(&list)
    };
    let refused = Some(AccessError::Environments { index: 0 });
    let all: Vec<u8> = (0..32).collect();
    assert_eq!(of(kept_to(0x11, READ, &all)), None);
    let more: Vec<u8> = (0..33).collect();
    assert_eq!(of(kept_to(0x11, READ, &more)), refused, "33 of them");
    assert_eq!(of(kept_to(0x11, READ, &[2, 1])), refused, "out of order");
    assert_eq!(of(kept_to(0x11, READ, &[1, 1])), refused, "one twice");
    let account = AccessEntry { environments: vec![environment(1)], ..entry(BOB, READ) };
    assert_eq!(of(account), refused, "an account's");
}

#[test]
fn a_list_of_more_bytes_than_the_limit_is_refused() {
    let all: Vec<u8> = (0..32).collect();
    let of = |keys: u8, accounts: u8| {
        let accounts = (1..=accounts).map(|fill| entry(fill, READ));
        let keys = (1..=keys).map(|fill| kept_to(fill, READ, &all));
        list(1, OWNER, &accounts.chain(keys).collect::<Vec<_>>())
    };
    let owner = person(OWNER);
    // 41 keys with 32 environments each and 5 accounts: 24,555 bytes; one more is over.
    let most = seal_access(&of(41, 5), &owner).expect("within the limit");
    assert_eq!(most.len(), 24_555);
    let found = 24_555 + 74;
    assert_eq!(seal_access(&of(41, 6), &owner), Err(AccessError::TooLong { found }));
    let too_long = DecodeError::TooLong { len: found - 68, max: ACCESS_LIST_LEN_MAX - 68 };
    assert_eq!(judge(&of(41, 6)), Some(AccessError::Malformed(too_long)));
}

#[test]
fn other_environments_are_a_new_gift_and_fewer_are_not() {
    let (kept, gift) =
        (Ok(()), |bits| Err(AccessError::Exceeds { principal: api_key(0x11, 1).principal, actions: bits }));
    // The owner let a key write, which Bob, who reads and shares, does not hold.
    let after = |was: &[u8], is: &[u8]| {
        let before = list(1, OWNER, &[entry(BOB, READ | SHARE), kept_to(0x11, READ | WRITE, was)]);
        let next = list(2, BOB, &[entry(BOB, READ | SHARE), kept_to(0x11, READ | WRITE, is)]);
        next.follows(Some(&before), account(OWNER))
    };
    assert_eq!(after(&[1, 2], &[1, 2]), kept);
    assert_eq!(after(&[1, 2], &[2]), kept, "fewer");
    assert_eq!(after(&[], &[2]), kept, "one of all");
    assert_eq!(after(&[1, 2], &[2, 3]), gift(WRITE), "another one");
    assert_eq!(after(&[1, 2], &[]), gift(WRITE), "all");
    assert_eq!(after(&[1], &[1, 2]), gift(WRITE), "one more");
}

#[test]
fn what_is_left_of_an_entry_is_told_by_its_environments_too() {
    let left = |is: &[AccessEntry], was: &AccessEntry| list(2, OWNER, is).left_of(was);
    let was = kept_to(0x11, READ | WRITE, &[1, 2]);
    assert_eq!(left(std::slice::from_ref(&was), &was), READ | WRITE);
    assert_eq!(left(&[kept_to(0x11, READ, &[1, 2, 3])], &was), READ);
    assert_eq!(left(&[kept_to(0x11, READ | WRITE, &[])], &was), READ | WRITE);
    assert_eq!(left(&[kept_to(0x11, READ | WRITE, &[1])], &was), 0, "an environment was taken");
    let next = [AccessEntry { key: [9; 32], ..was.clone() }];
    assert_eq!(left(&next, &was), READ | WRITE, "the key's next generation");
    let bob = entry(BOB, READ);
    assert_eq!(left(&[AccessEntry { key: [9; 32], ..bob.clone() }], &bob), 0, "a person's other keys");
    assert_eq!(left(&[], &was), 0);
}

#[test]
fn a_team_of_zeros_cannot_be_signed() {
    let nowhere = AccessEntry { team: Some(TeamId::from_bytes([0; 16])), ..entry(BOB, READ) };
    let refused = seal_access(&list(1, OWNER, &[nowhere]), &person(OWNER));
    assert_eq!(refused, Err(AccessError::Team { index: 0 }));
}

#[test]
fn bytes_of_another_shape_are_refused() {
    let owner = person(OWNER);
    let key = owner.public_key();
    let bytes = seal_access(&before(), &owner).expect("a list");
    let refuse = |bytes: &[u8]| AccessList::check(bytes, &expected(&key)).expect_err("must be refused");
    for len in 0..bytes.len() {
        assert!(matches!(refuse(&bytes[..len]), AccessError::Malformed(_)), "cut to {len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(refuse(&longer), AccessError::Malformed(DecodeError::Trailing { left: 1 }));
    let with = |at: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[4 + at] = value;
        refuse(&changed)
    };
    assert_eq!(with(0, 2), AccessError::Malformed(DecodeError::Version { found: 2 }));
    for kind in [0, 3, 255] {
        let refused = AccessError::Malformed(DecodeError::Value { field: "principal" });
        assert_eq!(with(HEAD_LEN, kind), refused);
    }
}

#[test]
fn the_first_list_is_the_owners() {
    assert_eq!(before().follows(None, account(OWNER)), Ok(()));
    let refused = AccessError::MayNotShare { author: account(BOB) };
    assert_eq!(list(1, BOB, &[]).follows(None, account(OWNER)), Err(refused));
    let refused = AccessError::Number { expected: 1, found: 2 };
    assert_eq!(list(2, OWNER, &[]).follows(None, account(OWNER)), Err(refused));
}

#[test]
fn a_list_follows_the_one_right_before_it_in_its_project() {
    let owner = account(OWNER);
    let next = list(2, OWNER, &[entry(BOB, GRANTABLE)]);
    assert_eq!(next.follows(Some(&before()), owner), Ok(()));
    for number in [1, 3] {
        let refused = AccessError::Number { expected: 2, found: number.into() };
        assert_eq!(list(number, OWNER, &[]).follows(Some(&before()), owner), Err(refused));
    }
    let elsewhere = AccessList { project: ProjectId::from_bytes([9; 16]), ..before() };
    let refused = AccessError::Project { expected: elsewhere.project, found: PROJECT };
    assert_eq!(next.follows(Some(&elsewhere), owner), Err(refused));
    let last = AccessList { number: u64::MAX, ..before() };
    let refused = AccessError::Number { expected: u64::MAX, found: u64::MAX };
    assert_eq!(last.follows(Some(&last), owner), Err(refused), "no list follows the last number");
}

#[test]
fn who_may_not_share_signs_no_list() {
    let refused = |author: u8| Err(AccessError::MayNotShare { author: account(author) });
    let by = |author: u8, entries: &[AccessEntry]| {
        list(2, author, entries).follows(Some(&before()), account(OWNER))
    };
    assert_eq!(by(CAROL, &before().entries), refused(CAROL), "listed without share");
    assert_eq!(by(9, &before().entries), refused(9), "not listed");
    assert_eq!(by(9, &[entry(9, SHARE)]), refused(9), "listed by himself only");
    let same_id = list(1, OWNER, &[api_key(9, SHARE)]);
    let by_key = list(2, 9, &[]).follows(Some(&same_id), account(OWNER));
    assert_eq!(by_key, refused(9), "the account that has an API key's id is not the key");
}

#[test]
fn a_sharer_gives_what_he_holds_and_no_more() {
    let kept = before().entries;
    let with = |more: &[AccessEntry]| by_bob(&[&kept[..], more].concat());
    let exceeds = |principal, actions| Err(AccessError::Exceeds { principal, actions });
    assert_eq!(with(&[]), Ok(()), "what others hold may stay, though Bob does not hold it");
    assert_eq!(with(&[entry(0xd0, READ | SHARE)]), Ok(()));
    assert_eq!(with(&[entry(0xd0, READ | WRITE)]), exceeds(listed(0xd0), WRITE));
    let key = api_key(0x12, DELETE);
    assert_eq!(with(std::slice::from_ref(&key)), exceeds(key.principal, DELETE));
    assert_eq!(by_bob(&[entry(BOB, READ | SHARE | WRITE)]), exceeds(listed(BOB), WRITE), "nor to himself");
    assert_eq!(by_bob(&[entry(CAROL, READ | WRITE | DELETE)]), exceeds(listed(CAROL), DELETE));
    assert_eq!(by_bob(&[entry(CAROL, READ | WRITE | SHARE)]), Ok(()));
}

#[test]
fn what_another_holds_is_not_moved_to_another_key_or_team() {
    let carol = entry(CAROL, READ | WRITE);
    let refused = Err(AccessError::Exceeds { principal: carol.principal, actions: WRITE });
    assert_eq!(
        by_bob(&[AccessEntry { key: [9; 32], ..carol.clone() }]),
        refused,
        "write would be in other hands"
    );
    let other_team = AccessEntry { team: Some(TeamId::from_bytes([8; 16])), ..carol.clone() };
    assert_eq!(by_bob(&[carol.clone(), other_team]), refused, "she would keep it after leaving her team");
    assert_eq!(by_bob(&[AccessEntry { team: None, ..carol }]), refused);
    let changed = AccessEntry { key: [9; 32], ..entry(BOB, READ | SHARE) };
    assert_eq!(by_bob(&[changed]), Ok(()), "Bob's own, under his next key");
}

#[test]
fn a_sharer_takes_from_anybody_and_may_leave_himself() {
    assert_eq!(by_bob(&[entry(BOB, READ | SHARE), entry(CAROL, READ)]), Ok(()));
    assert_eq!(by_bob(&[entry(CAROL, READ | WRITE)]), Ok(()), "Bob leaves");
    assert_eq!(by_bob(&[]), Ok(()));
    let after = list(2, BOB, &[]);
    let refused = Err(AccessError::MayNotShare { author: account(BOB) });
    assert_eq!(list(3, BOB, &[entry(BOB, READ)]).follows(Some(&after), account(OWNER)), refused);
    assert_eq!(list(3, OWNER, &[entry(BOB, READ)]).follows(Some(&after), account(OWNER)), Ok(()));
}

#[test]
fn a_principal_holds_what_all_its_entries_say() {
    let second = AccessEntry { team: Some(TeamId::from_bytes([8; 16])), ..entry(BOB, WRITE) };
    let list = list(1, OWNER, &[entry(BOB, READ), second, api_key(0x11, READ)]);
    assert_eq!(list.actions_of(listed(BOB)), READ | WRITE);
    assert_eq!(list.key_of(listed(BOB)), Some([BOB; 32]));
    assert_eq!(list.actions_of(listed(CAROL)), 0);
    assert_eq!(list.key_of(listed(CAROL)), None);
    assert_eq!(list.actions_of(listed(0x11)), 0, "an account with an API key's id");
}

#[test]
fn every_flipped_bit_is_refused() {
    let owner = person(OWNER);
    let key = owner.public_key();
    let bytes = seal_access(&list(1, OWNER, &[entry(BOB, READ)]), &owner).expect("a list");
    let digest = AccessList::digest(&bytes);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(AccessList::check(&changed, &expected(&key)).is_err(), "bit {bit}");
        assert_ne!(AccessList::digest(&changed), digest);
    }
}

fn any_entry() -> impl Strategy<Value = AccessEntry> {
    let environments = proptest::collection::btree_set(any::<[u8; 16]>(), 0..4);
    (any::<bool>(), any::<[u8; 16]>(), any::<[u8; 32]>(), 1..=GRANTABLE, 1u8..4, environments).prop_map(
        |(account, id, key, actions, team, environments)| AccessEntry {
            principal: match account {
                true => Principal::Account(AccountId::from_bytes(id)),
                false => Principal::ApiKey(ApiKeyId::from_bytes(id)),
            },
            key,
            actions: (actions & GRANTABLE).max(1),
            team: account.then_some(TeamId::from_bytes([team; 16])),
            environments: match account {
                true => Vec::new(),
                false => environments.into_iter().map(EnvironmentId::from_bytes).collect(),
            },
        },
    )
}

fn any_list() -> impl Strategy<Value = AccessList> {
    let entries = proptest::collection::vec(any_entry(), 0..40);
    (any::<[u8; 16]>(), 1..u64::MAX, any::<[u8; 32]>(), any::<u64>(), entries).prop_map(
        |(project, number, parent, created_at_ms, mut entries)| {
            entries.sort_by_key(AccessEntry::place);
            entries.dedup_by_key(|entry| entry.principal);
            AccessList {
                project: ProjectId::from_bytes(project),
                number,
                parent: if number == 1 { NO_DIGEST } else { parent },
                entries,
                created_at_ms,
                ..before()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_list_is_read_as_it_was_signed(list in any_list()) {
        let owner = person(OWNER);
        let bytes = seal_access(&list, &owner).expect("a list that keeps the rules");
        let key = owner.public_key();
        let (project, number, parent) = (list.project, list.number, list.parent);
        let expected = ExpectedAccess { project, number, parent, author: list.author, author_key: &key };
        prop_assert_eq!(AccessList::check(&bytes, &expected), Ok(list));
    }

    #[test]
    fn whatever_is_read_has_these_bytes_and_no_others(
        list in any_list(), at in any::<prop::sample::Index>(), value: u8,
    ) {
        let mut body = list.encode();
        let at = at.index(body.len());
        body[at] = value;
        if let Ok(read) = AccessList::decode(&body) {
            prop_assert_eq!(read.encode(), body);
        }
    }

    #[test]
    fn no_input_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(AccessList::peek(&bytes).is_err());
    }

    #[test]
    fn nobody_holds_more_after_a_sharers_list_than_before_or_than_the_sharer(
        bits in proptest::collection::vec(0..=GRANTABLE, 4), next in proptest::collection::vec(0..=GRANTABLE, 4),
    ) {
        let entries = |bits: &[u64]| {
            let entry = |(fill, bits): (u8, &u64)| entry(fill, *bits & GRANTABLE);
            (1..).zip(bits).map(entry).filter(|entry| entry.actions != 0).collect::<Vec<_>>()
        };
        let (before, after) = (list(1, OWNER, &entries(&bits)), list(2, 1, &entries(&next)));
        let held = before.actions_of(listed(1));
        let within = (1..5).all(|fill| {
            after.actions_of(listed(fill)) & !before.actions_of(listed(fill)) & !held == 0
        });
        let allowed = held & SHARE != 0 && within;
        prop_assert_eq!(after.follows(Some(&before), account(OWNER)).is_ok(), allowed);
    }
}
