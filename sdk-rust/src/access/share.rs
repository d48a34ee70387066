//! Sharing: what the server says about teams is shown, and what was seen is signed; only that counts. Each step can be
//! repeated: what was interrupted is finished by doing it again.

use std::sync::Arc;

use time::OffsetDateTime;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, TeamId};
use veilvault::access::{AccessEntry, AccessList, Principal, seal_access};

use super::plan::{Listed, SharePlan, Standing, SyncPlan, bits};
use super::report::Heads;
use super::{Chain, ExposureReport, Home};
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
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

/// What a change of shares did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareOutcome {
    /// Number of the newest access list; 0 while there is none.
    pub access_list: u64,
    /// Accounts that may do something they could not before.
    pub added: Vec<AccountId>,
    /// Accounts that lost something, or have other keys by now.
    pub removed: Vec<AccountId>,
    /// Keys that were handed on to people who did not have them.
    pub keys_added: u64,
    /// Environments that got a new key, by name.
    pub rotated: Vec<String>,
    /// What those who were removed could open.
    pub exposure: Option<ExposureReport>,
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
    /// [`Error::Api`] with `PERMISSION_DENIED`, `SHARE_LIMIT` or `ACCESS_LIST_INVALID`; [`Error::Integrity`].
    pub async fn share(
        &self,
        project: &Project,
        plan: &SharePlan,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let (team, actions) = (plan.team_id, plan.actions);
        let mut standing = self.standing(project, Some(team)).await?;
        standing.shown = plan.entries().collect();
        standing.proposed.push(plan.clone());
        self.change(project, Change::Share(team, actions), &standing, progress).await
    }

    /// Ends the share with a team, gives every environment a new key, and says what those who were removed could open.
    ///
    /// # Errors
    /// [`Error::Api`] with `SHARE_UNKNOWN` or `PERMISSION_DENIED`; [`Error::Integrity`]. When keys could not be rotated after
    /// the share ended, [`Projects::sync`] does so.
    pub async fn unshare(
        &self,
        project: &Project,
        team: TeamId,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<ShareOutcome> {
        let standing = self.standing(project, Some(team)).await?;
        self.change(project, Change::Unshare(team), &standing, progress).await
    }

    /// Whom [`Projects::sync`] would let in: who joined a team, who may do more by now, who has other keys. Show it before:
    /// who is in a team is the server's word.
    ///
    /// # Errors
    /// [`Error::Integrity`]; what the server says.
    pub async fn plan_sync(&self, project: &Project) -> Result<SyncPlan> {
        let standing = self.standing(project, None).await?;
        let chain = self.client.access(Home::of(project)).await?;
        Ok(SyncPlan { gains: standing.gains(entries(&chain)) })
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
        let mut standing = self.standing(project, None).await?;
        standing.shown = plan.gains.iter().flat_map(SharePlan::entries).collect();
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
        let mut standing = self.standing(project, None).await?;
        standing.out = accounts.to_vec();
        self.change(project, Change::Keep, &standing, progress).await
    }

    /// What those may do who are in the teams now, as the server says; without one team.
    async fn standing(&self, project: &Project, without: Option<TeamId>) -> Result<Standing> {
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
                Err(e) => return Err(e),
            }
        }
        Ok(standing)
    }

    /// What somebody who was removed could open, from how the project is now: after an interrupted removal. The environments
    /// may have been sealed anew since; the content is the same until something else is put.
    ///
    /// # Errors
    /// What the server says; [`Error::Integrity`].
    pub async fn exposure(&self, project: &Project, accounts: &[AccountId]) -> Result<ExposureReport> {
        let environments = Environments::new(self.client.clone(), Home::of(project));
        Heads::of(&environments).await?.report(&self.client, project, accounts).await
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
        let environments = Environments::new(self.client.clone(), home);
        let heads = Heads::of(&environments).await?;
        let put = self.put_list(home, change, standing).await?;
        let (added, removed) = difference(entries(&put.before), &put.signed);
        let progress = progress.as_deref();
        let now = environments.list().await?;
        let mut rotated = Vec::new();
        for environment in &now {
            let is_due = !removed.is_empty() || environment.rotation_due;
            if is_due || self.is_made_by_a_leaver(home, environment).await? {
                rotated.push(environment.name.clone());
            }
        }
        self.client.rotate_all(home, &rotated, progress).await?;
        let after = environments.list().await?;
        check_rotated(home, &rotated, &now, &after)?;
        let keys_added = self.client.hand_on(home, &after, progress).await?;
        let exposure = match removed.is_empty() {
            true => None,
            false => Some(heads.report(&self.client, project, &removed).await?),
        };
        Ok(ShareOutcome { access_list: put.number, added, removed, keys_added, rotated, exposure })
    }

    /// Whether the current key was made by somebody whom the newest list lets do so no more: it is handed on to nobody.
    async fn is_made_by_a_leaver(&self, home: Home, environment: &Environment) -> Result<bool> {
        let session = self.client.fresh_session().await?;
        let (name, epoch) = (&environment.name, environment.epoch);
        let known = self.client.epoch_key(home, environment.id, name, epoch, &session.identity).await?;
        Ok(!self.client.may_seal_to(home, &known, &session.identity).await?)
    }

    /// Signs the list after the newest one and sends it. That the server took it is seen in the lists, not believed.
    async fn put_list(&self, home: Home, change: Change, standing: &Standing) -> Result<Put> {
        let session = self.client.fresh_session().await?;
        let mut tries = 1;
        loop {
            let before = self.client.access(home).await?;
            let wanted = standing.after(entries(&before));
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

/// That keys were rotated is seen in the environments: somebody else's rotation counts, the server's word does not.
fn check_rotated(
    home: Home,
    rotated: &[String],
    before: &[Environment],
    after: &[Environment],
) -> Result<()> {
    for old in before.iter().filter(|old| rotated.contains(&old.name)) {
        let is_old = |new: &&Environment| new.id == old.id && new.epoch <= old.epoch;
        if after.iter().find(is_old).is_some() {
            return Err(home.refuse(IntegrityReason::KeyOutdated, format!("environment {}", old.name)));
        }
    }
    Ok(())
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
