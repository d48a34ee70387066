//! A server whose log is not the one it should be: each attack is refused by its name, before a byte is used.

use futures_util::future::join_all;
use veilchain::entry::Entry;
use veilcloud_proto::audit::v1 as audit;

use super::lies::reason;
use super::server::Server;
use super::*;
use crate::IntegrityReason::{self, *};
use crate::log::LogId;
use crate::log::tests::served::{ServedLog, Twist, policy_with};
use crate::state::FileState;

/// A server with two versions, written from elsewhere.
async fn two_versions() -> Server {
    let server = Server::default();
    put(&client(&server), b"one").await.expect("stored");
    put(&client(&server), b"two").await.expect("stored");
    server
}

/// What a client that has seen nothing says when proofs are changed on their way.
async fn said_of(twist: impl FnMut(&mut audit::LogProof) + Send + 'static) -> Option<IntegrityReason> {
    let server = two_versions().await;
    server.state().twist = Some(Box::new(twist));
    let read = reason(get(&client(&server), None).await);
    let history = reason(put(&client(&server), b"three").await);
    assert_eq!(read, history, "a write stands on a proved version, too");
    read
}

/// The proof of an entry of the server's making, right in everything but what it says.
fn forging(server: &Server, change: impl Fn(&mut Entry) + Send + 'static) -> Twist {
    let log = server.state().log.clone();
    Box::new(move |proof| {
        let mut log = log.clone();
        let mut entry = Entry::decode(&proof.entry).expect("an entry");
        change(&mut entry);
        log.entries.push(entry.encode());
        *proof = log.proof(log.size() - 1, 0);
    })
}

async fn said_of_entry(change: impl Fn(&mut Entry) + Send + 'static) -> Option<IntegrityReason> {
    let server = two_versions().await;
    let twist = forging(&server, change);
    server.state().twist = Some(twist);
    reason(get(&client(&server), None).await)
}

#[tokio::test]
async fn an_honest_proof_is_accepted_and_the_head_moves() {
    let server = two_versions().await;
    let client = client(&server);
    assert_eq!(get(&client, None).await.expect("read"), b"two");
    let head = client.pins().await.expect("read").logs.head(LogId::Project(project().id));
    assert_eq!(head.size, server.state().log.size());
    assert_eq!(head.root, server.state().log.root(head.size));
}

#[tokio::test]
async fn the_leaf_of_something_else_is_refused() {
    assert_eq!(said_of_entry(|_| {}).await, None, "the forger's tools are right");
    assert_eq!(said_of_entry(|entry| entry.subject = Some([9; 16])).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.subject = None).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.number = Some(1)).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.number = None).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.digest = Some([9; 32])).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.digest = None).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.actor[0] ^= 1).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.kind = 42).await, Some(NotInLog));
    assert_eq!(said_of_entry(|entry| entry.by_number = true).await, Some(NotInLog));
    // The same account with an API key: which credential it showed is in no seal.
    assert_eq!(said_of_entry(|entry| entry.actor[31] = 1).await, None);
    assert_eq!(said_of_entry(|entry| entry.log = [9; 16]).await, Some(LogProofInvalid));
}

#[tokio::test]
async fn another_version_s_or_environment_s_proof_is_refused() {
    let server = two_versions().await;
    client(&server)
        .storage()
        .put(&project(), "staging", b"two".to_vec(), PutOptions::default())
        .await
        .expect("stored");
    let log = server.state().log.clone();
    for other in 0..log.size() {
        let entry = Entry::decode(&log.entries[other as usize]).expect("an entry");
        let log = log.clone();
        server.state().twist = Some(Box::new(move |proof| *proof = log.proof(other, 0)));
        let is_it = entry.kind == 40 && entry.number == Some(2);
        let said = reason(get(&client(&server), None).await);
        assert_eq!(said, if is_it { None } else { Some(NotInLog) }, "{other}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_the_one_is_refused() {
    assert_eq!(said_of(|proof| drop(proof.inclusion.pop())).await, Some(LogProofInvalid));
    let longer = |proof: &mut audit::LogProof| proof.inclusion.push(vec![7; 32]);
    assert_eq!(said_of(longer).await, Some(LogProofInvalid));
    let short = |proof: &mut audit::LogProof| proof.inclusion[0] = vec![7; 31];
    assert_eq!(said_of(short).await, Some(LogProofInvalid));
    let other = |proof: &mut audit::LogProof| proof.inclusion[0] = vec![7; 32];
    assert_eq!(said_of(other).await, Some(LogProofInvalid));
    assert_eq!(said_of(|proof| proof.index += 1).await, Some(LogProofInvalid));
    assert_eq!(said_of(|proof| proof.index = u64::MAX).await, Some(LogProofInvalid));
    let many = |proof: &mut audit::LogProof| proof.inclusion = vec![vec![7; 32]; 64];
    assert_eq!(said_of(many).await, Some(LogProofInvalid));
    assert_eq!(said_of(|proof| proof.entry.truncate(60)).await, Some(LogProofInvalid));
}

#[tokio::test]
async fn a_checkpoint_that_is_not_the_log_s_is_refused() {
    let resign = |change: fn(&mut ServedLog)| {
        move |proof: &mut audit::LogProof| {
            let text = String::from_utf8(proof.checkpoint.clone()).expect("text");
            let checkpoint =
                veilchain::checkpoint::Checkpoint::parse(&text[..text.find("\n\n").expect("a note") + 1])
                    .expect("a checkpoint");
            let mut log = ServedLog::new(LogId::Project(project().id));
            change(&mut log);
            proof.checkpoint = log.note_of(checkpoint.size, checkpoint.root);
        }
    };
    assert_eq!(said_of(resign(|_| {})).await, None, "the forger's tools are right");
    assert_eq!(said_of(resign(|log| log.seeds = vec![[9; 32]])).await, Some(LogKeyChanged));
    assert_eq!(said_of(resign(|log| log.name = "other.example".into())).await, Some(LogProofInvalid));
    let other = |log: &mut ServedLog| log.log = LogId::Project(ProjectId::from_bytes([5; 16]));
    assert_eq!(said_of(resign(other)).await, Some(LogProofInvalid));
    assert_eq!(said_of(resign(|log| log.log = LogId::Directory)).await, Some(LogProofInvalid));
    let flip = |proof: &mut audit::LogProof| {
        let mut note = proof.checkpoint.clone();
        let at = note.len() - 10;
        note[at] = if note[at] == b'A' { b'B' } else { b'A' };
        proof.checkpoint = note;
    };
    assert_eq!(said_of(flip).await, Some(LogProofInvalid));
    assert_eq!(said_of(|proof| proof.checkpoint.clear()).await, Some(LogProofInvalid));
    let long = |proof: &mut audit::LogProof| proof.checkpoint = vec![b'\n'; 70_000];
    assert_eq!(said_of(long).await, Some(LogProofInvalid));
}

#[tokio::test]
async fn a_version_without_a_proof_is_refused_and_a_write_without_one_has_to_be_proved_later() {
    let server = Server::default();
    let client = client(&server);
    client.environments(&project()).create(ENV).await.expect("made");
    server.state().no_proofs = u32::MAX;
    put(&client, b"one").await.expect("the log is behind");
    assert_eq!(reason(get(&client, None).await), Some(NotInLog));
    assert_eq!(reason(put(&client, b"two").await), Some(NotInLog));
    server.state().no_proofs = 0;
    assert_eq!(get(&client, None).await.expect("read"), b"one");
}

#[tokio::test]
async fn a_read_waits_a_moment_for_the_witnesses() {
    let server = two_versions().await;
    // The first answers come before a checkpoint covers the version.
    server.state().no_proofs = 3;
    assert_eq!(get(&client(&server), None).await.expect("covered by now"), b"two");
    server.state().no_proofs = 100;
    assert_eq!(reason(get(&client(&server), None).await), Some(NotInLog));
}

#[tokio::test]
async fn a_log_of_the_same_size_with_another_root_is_a_fork() {
    let server = two_versions().await;
    let client = client(&server);
    get(&client, None).await.expect("read");
    // Exactly as long as the client has seen it.
    server.change_log(|log| log.entries[0] = log.entries[1].clone());
    let size = client.pins().await.expect("read").logs.head(LogId::Project(project().id)).size;
    server.state().log.shown = Some(size);
    server.state().twist = Some(Box::new(|_| {}));
    assert_eq!(reason(client.storage().history(&project(), ENV).await), Some(LogForked));
}

#[tokio::test]
async fn a_log_that_does_not_continue_the_one_seen_is_a_fork() {
    let server = two_versions().await;
    let client = client(&server);
    get(&client, None).await.expect("read");
    server.change_log(|log| log.entries[0] = log.entries[1].clone());
    put(&super::client(&server), b"three").await.expect("a new client sees nothing");
    assert_eq!(reason(get(&client, None).await), Some(LogForked));
    assert_eq!(reason(put(&client, b"four").await), Some(LogForked));
}

#[tokio::test]
async fn a_shorter_log_is_a_rollback() {
    let server = two_versions().await;
    let client = client(&server);
    get(&client, None).await.expect("read");
    let size = server.state().log.size();
    server.state().log.shown = Some(size - 1);
    assert_eq!(reason(client.storage().history(&project(), ENV).await), Some(LogRolledBack));
}

#[tokio::test]
async fn a_consistency_proof_that_does_not_hold_is_a_fork() {
    let twists: [fn(&mut audit::LogProof); 4] = [
        |proof| proof.consistency.clear(),
        |proof| drop(proof.consistency.pop()),
        |proof| proof.consistency.push(vec![7; 32]),
        |proof| proof.consistency[0] = vec![7; 32],
    ];
    for (number, twist) in twists.into_iter().enumerate() {
        let server = two_versions().await;
        let client = client(&server);
        get(&client, None).await.expect("read");
        put(&super::client(&server), b"three").await.expect("stored");
        server.state().twist = Some(Box::new(twist));
        assert_eq!(reason(get(&client, None).await), Some(LogForked), "{number}");
    }
}

#[tokio::test]
async fn a_proof_for_an_older_head_does_not_move_the_newer_one() {
    let server = two_versions().await;
    let client = client(&server);
    get(&client, None).await.expect("read");
    put(&super::client(&server), b"three").await.expect("stored");
    let before = client.pins().await.expect("read").logs;
    // Right for who has seen less, and nothing about what this client has seen.
    for seen in [0, 1, 2] {
        let log = server.state().log.clone();
        server.state().twist =
            Some(Box::new(move |proof| *proof = log.proof_at(proof.index, log.size(), seen)));
        assert_eq!(reason(get(&client, None).await), Some(LogForked), "{seen}");
    }
    assert_eq!(client.pins().await.expect("read").logs, before);
}

#[tokio::test]
async fn a_quorum_that_was_asked_for_is_asked_for_ever_after() {
    let server = two_versions().await;
    server.change_log(|log| (log.witnesses, log.policy) = (vec![[5; 32]], policy_with(&[5; 32])));
    let client = client(&server);
    // The directory is a log of the same server.
    server.state().directory.witnesses = vec![[5; 32]];
    assert_eq!(get(&client, None).await.expect("seen by the witness"), b"two");
    server.change_log(|log| log.witnesses.clear());
    assert_eq!(reason(get(&client, None).await), Some(WitnessQuorum));
    server.change_log(|log| log.witnesses = vec![[6; 32]]);
    assert_eq!(reason(get(&client, None).await), Some(WitnessQuorum), "a witness of the same name");
    // A weaker policy of the server's word alone changes nothing.
    server.change_log(|log| (log.witnesses, log.policy) = (Vec::new(), "quorum none\n".to_owned()));
    assert_eq!(reason(get(&client, None).await), Some(WitnessQuorum));
}

#[tokio::test]
async fn heads_and_keys_survive_a_restart() {
    let server = two_versions().await;
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Arc::new(FileState::open(dir.path()).expect("opens"));
    get(&client_with(&server, open()), None).await.expect("read");
    let honest = server.state().log.clone();
    server.change_log(|log| log.entries[0] = log.entries[1].clone());
    let again = client_with(&server, open());
    assert_eq!(reason(get(&again, None).await), Some(LogForked));
    server.change_log(|log| *log = ServedLog { seeds: vec![[9; 32]], ..honest.clone() });
    assert_eq!(reason(get(&again, None).await), Some(LogKeyChanged));
    server.change_log(|log| *log = honest);
    assert_eq!(get(&again, None).await.expect("all is well"), b"two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_side_by_side_move_one_head_forward_and_all_succeed() {
    let server = two_versions().await;
    let client = client(&server);
    let reads = (0..24).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { get(&client, None).await })
    });
    for read in join_all(reads).await {
        assert_eq!(read.expect("no panic").expect("read"), b"two");
    }
    let head = client.pins().await.expect("read").logs.head(LogId::Project(project().id));
    assert_eq!(head.root, server.state().log.root(head.size));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_share_a_state_share_the_head() {
    let (server, dir) = (two_versions().await, tempfile::tempdir().expect("a directory"));
    let state: Arc<dyn StateStore> = Arc::new(FileState::open(dir.path()).expect("opens"));
    let clients: Vec<Client> = (0..4).map(|_| client_with(&server, Arc::clone(&state))).collect();
    let reads = clients.into_iter().map(|client| tokio::spawn(async move { get(&client, None).await }));
    for read in join_all(reads).await {
        assert_eq!(read.expect("no panic").expect("read"), b"two");
    }
}

#[tokio::test]
async fn a_deletion_is_proved_as_what_it_is() {
    let server = two_versions().await;
    let client = client(&server);
    get(&client, None).await.expect("read");
    let log = server.state().log.clone();
    // The proof of the version in the place of that of its deletion.
    let mut calls = 0;
    server.state().twist = Some(Box::new(move |proof| {
        calls += 1;
        if calls > 1 {
            *proof = log.proof(1, 0);
        }
    }));
    assert_eq!(reason(client.storage().delete(&project(), ENV).await), Some(NotInLog));
}
