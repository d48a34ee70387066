//! Sharing: what the server says about teams is shown, and what was seen is signed; only that counts. Each step can be
//! repeated: what was interrupted is finished by doing it again.

use std::sync::Arc;

use time::OffsetDateTime;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, ApiKeyId, TeamId};
use veilvault::access::{AccessEntry, AccessList, Principal, seal_access};

use super::outcome::is_hopeless;
use super::plan::{Listed, SharePlan, Standing, SyncPlan, bits};
use super::renew::Renewed;
use super::{Chain, ExposureReport, Home, ShareOutcome, Unfinished};
use crate::error::{Error, Result};
use crate::projects::{PAGE_SIZE, PAGES_MAX, Project, Projects};
use crate::storage::Progress;
use crate::times;
use crate::transport::rpc;

/// How often a list is signed anew because somebody else changed it meanwhile.
const TRIES_MAX: u32 = 4;

/// A team that a project is shared with, as the server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// The team.
    pub team_id: TeamId,
    /// What its members may do at most.
    pub permissions: Vec<String>,
    /// Account that shared the project, or changed the share last.
    pub shared_by_id: AccountId,
    /// When that was.
    pub shared_at: OffsetDateTime,
}

/// What happens to the shares when the next list is put in force.
#[derive(Clone, Copy)]
enum Change {
    Share(TeamId, u64),
    Unshare(TeamId),
    Keep,
}

/// What became of the lists.
struct Put {
    before: Chain,
    /// Entries of the list that was signed: what counts, whatever the server shows afterwards.
    signed: Vec<AccessEntry>,
    /// Number of the newest list.
    number: u64,
}

impl Projects {
    /// The teams that a project is shared with.
    ///
    /// # Errors
    /// What the server says.
    pub async fn shares(&self, project: &Project) -> Result<Vec<Share>> {
        let mut shares = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let project_id = project.id.to_string();
            let request = pb::ListSharesRequest { project_id, page_size: PAGE_SIZE, page_token };
            let answer: pb::ListSharesResponse = self.client.call(&rpc::LIST_SHARES, &request).await?;
            for share in answer.shares {
                shares.push(Share {
                    team_id: times::id(&share.team_id, &rpc::LIST_SHARES)?,
                    permissions: share.permissions,
                    shared_by_id: times::id(&share.shared_by_id, &rpc::LIST_SHARES)?,
                    shared_at: times::required(share.shared_at, &rpc::LIST_SHARES)?,
                });
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(shares);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_SHARES.path })
    }

    /// Whom sharing a project with a team lets in, each with the keys that the directory is proved to name. Show it before
    /// [`Projects::share`]: who is in a team is the server's word.
    ///
    /// # Errors
    /// [`Error::Invalid`] for something that cannot be given; [`Error::Integrity`]; what the server says.
    pub async fn plan_share(
        &self,
        project: &Project,
        team: TeamId,
        permissions: &[&str],
    ) -> Result<SharePlan> {
        let actions = bits(permissions)?;
        let mut found = self.client.teams().members(team).await?;
        found.retain(|member| member.account_id != project.owner_id);
        let keys = self.client.shown_keys(found.iter().map(|member| member.account_id).collect()).await?;
        let listed = found.into_iter().zip(keys).map(|(member, key)| Listed {
            account_id: member.account_id,
            display_name: member.display_name,
            key: key.map(|key| *key.digest()),
        });
        let members = listed.collect();
        Ok(SharePlan { team_id: team, permissions: super::names(actions), members, actions })
    }

    /// Shares a project with exactly the people of a plan: signs the next access list, and hands the environments' keys on
    /// to them. Nobody else gets anything by it: of other teams the list names who was in it before. Repeating it finishes
    /// what was interrupted.
    ///
    /// # Errors
    /// [`Error::Api`] with `PERMISSION_DENIED`, `SHARE_LIMIT` or `ACCESS_LIST_INVALID`; [`Error::Integrity`]. What fails after
    /// the list is in force is in the outcome.
    pub async fn share(
        &self,
        project: &Project,
        plan: &SharePlan,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let (team, actions) = (plan.team_id, plan.actions);
        let mut standing = self.standing(project, Some(team), false).await?;
        standing.shown = plan.entries().collect();
        standing.proposed.push(plan.clone());
        self.change(project, Change::Share(team, actions), &standing, progress).await
    }

    /// Ends the share with a team, gives every environment a new key, and says what those who were removed could open.
    ///
    /// # Errors
    /// [`Error::Api`] with `SHARE_UNKNOWN` or `PERMISSION_DENIED`; [`Error::Integrity`]. When keys could not be rotated after
    /// the share ended, which the outcome says, [`Projects::sync`] does so.
    pub async fn unshare(
        &self,
        project: &Project,
        team: TeamId,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let standing = self.standing(project, Some(team), false).await?;
        self.change(project, Change::Unshare(team), &standing, progress).await
    }

    /// Whom [`Projects::sync`] would let in: who joined a team, who may do more by now, who has other keys. Show it before:
    /// who is in a team is the server's word.
    ///
    /// # Errors
    /// [`Error::Integrity`]; what the server says.
    pub async fn plan_sync(&self, project: &Project) -> Result<SyncPlan> {
        let standing = self.standing(project, None, false).await?;
        let chain = self.client.access(Home::of(project)).await?;
        Ok(SyncPlan { gains: standing.gains(entries(&chain)), replaces_keys: false })
    }

    /// Brings the access list and the keys in step with who is in the teams now: whom the plan shows is let in, who left is
    /// not, with new keys for every environment. Nothing happens when all is in step.
    ///
    /// # Errors
    /// As [`Projects::share`].
    pub async fn sync(
        &self,
        project: &Project,
        plan: &SyncPlan,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let mut standing = self.standing(project, None, false).await?;
        standing.shown = plan.gains.iter().flat_map(SharePlan::entries).collect();
        standing.replaces_keys = plan.replaces_keys;
        self.change(project, Change::Keep, &standing, progress).await
    }

    /// Takes accounts out of the list, whatever teams the server says they are in, and with them everybody who left: new
    /// keys for every environment, and nobody is let in.
    ///
    /// # Errors
    /// As [`Projects::share`].
    pub async fn shut_out(
        &self,
        project: &Project,
        accounts: &[AccountId],
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let mut standing = self.standing(project, None, true).await?;
        standing.out = accounts.to_vec();
        self.change(project, Change::Keep, &standing, progress).await
    }

    /// Lets API keys into the list or takes them out, and everybody out who left; nobody else is let in.
    pub(crate) async fn change_keys(
        &self,
        project: &Project,
        keys_in: Vec<AccessEntry>,
        keys_out: Vec<ApiKeyId>,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let mut standing = self.standing(project, None, true).await?;
        (standing.keys_in, standing.keys_out) = (keys_in, keys_out);
        self.change(project, Change::Keep, &standing, progress).await
    }

    /// What those may do who are in the teams now, as the server says; without one team. `takes_only`: of a team that cannot
    /// be looked into, whatever the reason, all stays as it was signed.
    async fn standing(
        &self,
        project: &Project,
        without: Option<TeamId>,
        takes_only: bool,
    ) -> Result<Standing> {
        let mut standing = Standing::default();
        for share in self.shares(project).await? {
            if without == Some(share.team_id) {
                continue;
            }
            let permissions: Vec<_> = share.permissions.iter().map(String::as_str).collect();
            match self.plan_share(project, share.team_id, &permissions).await {
                Ok(plan) => standing.proposed.push(plan),
                // A team that this account is not in: who is in it cannot be seen, so it stays as it was signed.
                Err(e) if e.is("PERMISSION_DENIED") => standing.kept.push(share.team_id),
                Err(e) if takes_only && !is_hopeless(&e) => standing.kept.push(share.team_id),
                Err(e) => return Err(e),
            }
        }
        Ok(standing)
    }

    /// What people could open who are not in a project any more, or still are: the newest versions sealed to keys that they
    /// could have, as far as they are known from checked seals, from what this machine has seen, and from the log. Also what
    /// of it could not be checked.
    ///
    /// # Errors
    /// What the server says; [`Error::Integrity`] for the access lists.
    pub async fn exposure(
        &self,
        project: &Project,
        accounts: &[AccountId],
    ) -> Result<(ExposureReport, Vec<Unfinished>)> {
        let mut unfinished = Vec::new();
        let report = self.client.exposure_of(Home::of(project), accounts, &mut unfinished).await?;
        Ok((report, unfinished))
    }

    /// Puts the next list in force, then does what follows from it.
    async fn change(
        &self,
        project: &Project,
        change: Change,
        standing: &Standing,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let home = Home::of(project);
        let put = self.put_list(home, change, standing).await?;
        let (added, removed) = difference(entries(&put.before), &put.signed);
        // From here on what fails stops nothing else: those who are out are out by the list.
        let progress = progress.as_deref();
        let mut unfinished = Vec::new();
        let took = !removed.is_empty() || takes_from_keys(entries(&put.before), &put.signed);
        let lost_by = took.then_some(put.number);
        let renewed = self.client.renew_all(home, lost_by, progress, &mut unfinished).await?;
        let now = self.client.survey(home, &mut unfinished).await?;
        let keys_added =
            self.client.hand_on(home, &now, standing.replaces_keys, progress, &mut unfinished).await?;
        let exposure = match removed.is_empty() {
            true => None,
            false => Some(self.client.exposure_of(home, &removed, &mut unfinished).await?),
        };
        let Renewed { rotated, vouched } = renewed;
        let access_list = put.number;
        Ok(ShareOutcome { access_list, added, removed, keys_added, rotated, vouched, exposure, unfinished })
    }

    /// Signs the list after the newest one and sends it. That the server took it is seen in the lists, not believed.
    async fn put_list(&self, home: Home, change: Change, standing: &Standing) -> Result<Put> {
        let session = self.client.fresh_session().await?;
        let (mut tries, mut stay) = (1, None::<Vec<ApiKeyId>>);
        loop {
            let before = self.client.access(home).await?;
            let mut wanted = standing.after(entries(&before));
            self.client.drop_dead_keys(&before, &mut wanted).await?;
            if let Some(stay) = &stay {
                wanted.retain(|entry| standing.is_key_to_stay(entry, stay));
            }
            if matches!(change, Change::Keep) && wanted == entries(&before) {
                return Ok(Put { number: before.number(), before, signed: wanted });
            }
            let list = AccessList {
                project: home.project,
                number: before.number() + 1,
                parent: before.digest(),
                entries: wanted,
                author: session.account(),
                author_key: session.identity.key_id(),
                created_at_ms: self.client.now_ms(),
            };
            list.follows(before.newest(), home.owner).map_err(|e| Error::invalid("access list", e))?;
            let bytes =
                seal_access(&list, &session.identity).map_err(|e| Error::invalid("access list", e))?;
            let digest = AccessList::digest(&bytes);
            match self.send_list(home, change, bytes).await {
                Err(e) if e.is("ACCESS_LIST_STALE") && tries < TRIES_MAX => tries += 1,
                // Who leaves takes their API keys with them, and whose a key is no list says. So that nobody stays in because
                // of a key of theirs, only those of this account stay then: the others are made again by whose they are.
                Err(e) if stay.is_none() && is_about_members(&e) => {
                    let own: Vec<_> =
                        self.client.api_keys().list().await?.into_iter().map(|key| key.id).collect();
                    if list.entries.iter().all(|entry| standing.is_key_to_stay(entry, &own)) {
                        return Err(e);
                    }
                    stay = Some(own);
                }
                sent => {
                    sent?;
                    let after = self.client.access_with(home, list.number, digest).await?;
                    return Ok(Put { number: after.number(), before, signed: list.entries });
                }
            }
        }
    }

    async fn send_list(&self, home: Home, change: Change, access_list: Vec<u8>) -> Result<()> {
        let (project_id, request_id) = (home.project.to_string(), times::request_id());
        match change {
            Change::Share(team, actions) => {
                let request = pb::ShareProjectRequest {
                    project_id,
                    team_id: team.to_string(),
                    permissions: super::names(actions).into_iter().map(str::to_owned).collect(),
                    access_list,
                    request_id,
                };
                let _: pb::ShareProjectResponse = self.client.call(&rpc::SHARE_PROJECT, &request).await?;
            }
            Change::Unshare(team) => {
                let team_id = team.to_string();
                let request = pb::UnshareProjectRequest { project_id, team_id, access_list, request_id };
                let _: pb::UnshareProjectResponse = self.client.call(&rpc::UNSHARE_PROJECT, &request).await?;
            }
            Change::Keep => {
                let request = pb::PutAccessListRequest { project_id, access_list, request_id };
                let _: pb::PutAccessListResponse = self.client.call(&rpc::PUT_ACCESS_LIST, &request).await?;
            }
        }
        Ok(())
    }
}

/// Whether the server refuses a list for what somebody in it may do, an API key's account among them.
fn is_about_members(e: &Error) -> bool {
    let Error::Api(e) = e else { return false };
    let check = e.metadata.get("check").map(String::as_str);
    e.reason == "ACCESS_LIST_INVALID" && matches!(check, Some("entry_member" | "entry_actions"))
}

/// Whether an API key lost something.
fn takes_from_keys(before: &[AccessEntry], after: &[AccessEntry]) -> bool {
    before.iter().filter(|entry| matches!(entry.principal, Principal::ApiKey(_))).any(|entry| {
        let left = after.iter().filter(|other| other.principal == entry.principal).find(|other| {
            other.environments.is_empty()
                || (!entry.environments.is_empty()
                    && entry.environments.iter().all(|known| other.environments.contains(known)))
        });
        entry.actions & !left.map_or(0, |left| left.actions) != 0
    })
}

fn entries(chain: &Chain) -> &[AccessEntry] {
    chain.newest().map_or(&[][..], |list| &list.entries[..])
}

/// Who gained and who lost something.
fn difference(before: &[AccessEntry], after: &[AccessEntry]) -> (Vec<AccountId>, Vec<AccountId>) {
    let missing_in = |here: &[AccessEntry], there: &[AccessEntry]| {
        let mut accounts: Vec<AccountId> = Vec::new();
        for entry in here {
            let Principal::Account(account) = entry.principal else { continue };
            let same = |other: &&AccessEntry| other.principal == entry.principal && other.key == entry.key;
            let held = there.iter().filter(same).fold(0, |held, other| held | other.actions);
            if entry.actions & !held != 0 && !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        accounts
    };
    (missing_in(after, before), missing_in(before, after))
}
