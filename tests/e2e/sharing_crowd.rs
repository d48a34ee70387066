//! A hundred shares, removals, rotations and writes by several people and machines at once, by way of the SDK: no client of
//! an honest server sees a lie, nothing that was answered is lost, and in the end exactly those read who should.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Mutex;
use veilcloud_sdk::{
    AccountId, Client, Error, GetOptions, IntegrityReason, Password, Project, PutOptions, TeamId, TeamRole,
};
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    server::Server,
};

/// Steps of each of the owner's two machines; the others act for as long as these do.
const STEPS: u64 = 45;
/// Most steps of each of the others: what they are refused is quickly over.
const STEPS_MAX: u64 = 400;
const ENV: &str = "production";

/// Numbers that are the same in every run: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What was answered as written, by version.
type Written = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

struct Actor {
    client: Client,
    project: Project,
    team: TeamId,
    others: Vec<AccountId>,
    written: Written,
    dice: Dice,
    name: String,
    is_owner: bool,
    /// The owner's machines that are at it.
    busy: Arc<AtomicUsize>,
}

impl Actor {
    async fn act(mut self) -> (u32, u32) {
        let (mut done, mut refused) = (0, 0);
        for step in 0..if self.is_owner { STEPS } else { STEPS_MAX } {
            if self.busy.load(Ordering::SeqCst) == 0 {
                break;
            }
            match self.step(step).await {
                Ok(()) => done += 1,
                Err(e) => {
                    assert!(is_honest(&e), "{} step {step}: {e}", self.name);
                    refused += 1;
                }
            }
        }
        if self.is_owner {
            self.busy.fetch_sub(1, Ordering::SeqCst);
        }
        (done, refused)
    }

    async fn step(&mut self, step: u64) -> Result<(), Error> {
        let (projects, project) = (self.client.projects(), self.project.clone());
        let other = self.others[self.dice.roll(self.others.len() as u64) as usize];
        match self.dice.roll(if self.is_owner { 12 } else { 4 }) {
            0 | 1 => {
                let content = format!("{}={step}\n", self.name.to_uppercase()).into_bytes();
                let storage = self.client.storage();
                let version = storage.put(&project, ENV, content.clone(), PutOptions::default()).await?;
                let before = self.written.lock().await.insert(version.number, content);
                assert_eq!(before, None, "version {} was answered twice", version.number);
            }
            2 => drop(self.client.storage().get(&project, ENV, GetOptions::default()).await?),
            3 => drop(self.client.environments(&project).rotate(ENV).await?),
            4..=6 => {
                let all = ["project:read", "project:write", "project:share"];
                let permissions = &all[..[2, 3, 3, 1][self.dice.roll(4) as usize]];
                let plan = projects.plan_share(&project, self.team, permissions).await?;
                projects.share(&project, &plan, None).await?;
            }
            7 => drop(projects.unshare(&project, self.team, None).await?),
            8 => drop(projects.shut_out(&project, &[other], None).await?),
            9 => {
                let teams = self.client.teams();
                match self.dice.roll(3) {
                    0 => teams.remove(self.team, other).await?,
                    _ => drop(teams.add(self.team, other, TeamRole::Member).await?),
                }
            }
            _ => {
                let plan = projects.plan_sync(&project).await?;
                projects.sync(&project, &plan, None).await?;
            }
        }
        Ok(())
    }
}

/// Whether an honest server may lead to this: somebody was faster, or the account lost its rights on the way.
fn is_honest(e: &Error) -> bool {
    match e {
        Error::Integrity { reason, .. } => {
            matches!(reason, IntegrityReason::KeyNotGiven | IntegrityReason::KeyOutdated)
        }
        Error::Api(e) => e.reason != "INTERNAL",
        Error::Conflict { .. } | Error::Invalid { .. } => true,
        _ => false,
    }
}

async fn login(server: &Server, email: &str) -> Client {
    let client = Client::builder().endpoint(server.endpoint()).build().expect("a client");
    client.login(email, &Password::from(PASSWORD)).await.expect("logged in");
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_changes_at_once_leave_everybody_with_what_they_should_have() {
    let server = Server::start();
    let emails = ["alice@example.com", "bob@example.com", "carol@example.com"];
    for email in emails {
        Machine::new(server.endpoint()).register(email);
    }
    let alice = login(&server, emails[0]).await;
    let mut others = Vec::new();
    for email in &emails[1..] {
        others.push(alice.users().find(email).await.expect("registered").account_id);
    }
    let project = alice.projects().create("my-app").await.expect("created");
    let team = alice.teams().create("crew").await.expect("created").id;
    for other in &others {
        alice.teams().add(team, *other, TeamRole::Member).await.expect("added");
    }
    let written: Written = Arc::default();
    let first = alice.storage().put(&project, ENV, b"FIRST=1\n".to_vec(), PutOptions::default()).await;
    written.lock().await.insert(first.expect("stored").number, b"FIRST=1\n".to_vec());
    let all = ["project:read", "project:write", "project:share"];
    let plan = alice.projects().plan_share(&project, team, &all).await.expect("planned");
    let shared = alice.projects().share(&project, &plan, None).await.expect("shared");
    assert!(shared.is_complete(), "{shared:?}");

    let (mut actors, busy) = (Vec::new(), Arc::new(AtomicUsize::new(2)));
    for (number, email) in [emails[0], emails[0], emails[1], emails[2]].iter().enumerate() {
        let client = login(&server, email).await;
        let project = client.projects().get(project.id).await.expect("theirs");
        actors.push(Actor {
            client,
            project,
            team,
            others: others.clone(),
            written: Arc::clone(&written),
            dice: Dice(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1)),
            name: format!("{}{number}", email.split('@').next().expect("a name")),
            is_owner: *email == emails[0],
            busy: Arc::clone(&busy),
        });
    }
    let tasks: Vec<_> = actors.into_iter().map(|actor| tokio::spawn(actor.act())).collect();
    let mut all_done = 0;
    for task in tasks {
        let (done, refused) = task.await.expect("no client of an honest server sees a lie");
        println!("{done} done, {refused} refused");
        all_done += done;
    }
    assert!(all_done >= 60, "only {all_done} steps were done");

    // Carol is in, Bob is not, and that is put in force by a machine that has seen none of it.
    let fresh = login(&server, emails[0]).await;
    let project = fresh.projects().get(project.id).await.expect("hers");
    let [bob, carol] = [others[0], others[1]];
    let members = fresh.teams().members(team).await.expect("listed");
    let is_in = |account| members.iter().any(|member| member.account_id == account);
    if is_in(bob) {
        fresh.teams().remove(team, bob).await.expect("removed");
    }
    if !is_in(carol) {
        fresh.teams().add(team, carol, TeamRole::Member).await.expect("added");
    }
    let plan = fresh.projects().plan_share(&project, team, &["project:read"]).await.expect("planned");
    let outcome = fresh.projects().share(&project, &plan, None).await.expect("shared");
    assert!(outcome.is_complete(), "{outcome:?}");
    let access = fresh.projects().access(&project).await.expect("checked");
    assert_eq!(access.actions_of(bob), Vec::<&str>::new());
    assert_eq!(access.actions_of(carol), ["project:read"]);

    // Everything that was answered is there, and the rest is what was sealed anew.
    let history = fresh.storage().history(&project, ENV).await.expect("listed");
    let numbers: Vec<u64> = history.iter().rev().map(|version| version.number).collect();
    assert_eq!(numbers, (1..=history.len() as u64).collect::<Vec<_>>());
    assert!(history.iter().all(|version| version.verified));
    for (number, content) in written.lock().await.iter() {
        let options = GetOptions { version: Some(*number), progress: None };
        let blob = fresh.storage().get(&project, ENV, options).await.expect("read");
        assert_eq!(blob.bytes.as_slice(), content, "version {number}");
    }
    let shown = fresh.environments(&project).get(ENV).await.expect("shown");
    assert_eq!(history[0].epoch, shown.epoch, "the newest content is sealed to the newest key");
    let newest = fresh.storage().get(&project, ENV, GetOptions::default()).await.expect("read");
    let hers = login(&server, emails[2]).await;
    let theirs = hers.projects().get(project.id).await.expect("shared");
    let read = hers.storage().get(&theirs, ENV, GetOptions::default()).await.expect("given the key");
    assert_eq!(read.bytes.as_slice(), newest.bytes.as_slice());
    let his = login(&server, emails[1]).await;
    let denied = his.projects().get(project.id).await.expect_err("he is out");
    assert_eq!(denied.reason(), Some("PERMISSION_DENIED"));
}
