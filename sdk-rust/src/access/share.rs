//! Sharing: what the server says about teams is shown and signed here, and only what is signed counts. Each step can be
//! repeated: what was interrupted is finished by doing it again.

use std::sync::Arc;

use time::OffsetDateTime;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, AccessList, GRANTABLE, Principal, seal_access};

use super::report::Heads;
use super::{Chain, ExposureReport, Home};
use crate::environments::Environments;
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

/// Somebody who is to be in a list, under the keys that the directory is proved to name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Account id.
    pub account_id: AccountId,
    /// Name to show; chosen by the account, so it proves nothing.
    pub display_name: String,
    /// SHA-256 of the signed keys: what two people compare to be sure. None: the directory shows no keys of this account,
    /// and it is left out.
    pub key: Option<[u8; 32]>,
}

/// Whom sharing a project with a team would let in; nothing has happened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharePlan {
    /// The team.
    pub team_id: TeamId,
    /// What its members get.
    pub permissions: Vec<&'static str>,
    /// Everybody in the team but the project's owner.
    pub members: Vec<Listed>,
    actions: u64,
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

/// What the next list is to say.
#[derive(Default)]
struct Standing {
    /// Entries of everybody in the teams.
    wanted: Vec<AccessEntry>,
    /// Teams whose entries stay as they are.
    kept: Vec<TeamId>,
}

impl Standing {
    /// The entries of the list after this one. API keys stay: they are held through no team. An account that is in the list
    /// through no team is there by mistake, and no `unshare` would ever take it out.
    fn after(&self, chain: &Chain) -> Vec<AccessEntry> {
        let stays: Vec<_> = entries(chain).iter().filter(|entry| self.stays(entry)).copied().collect();
        merge(&stays, &self.wanted)
    }

    fn stays(&self, entry: &AccessEntry) -> bool {
        match entry.team {
            Some(team) => self.kept.contains(&team),
            None => matches!(entry.principal, Principal::ApiKey(_)),
        }
    }
}

impl SharePlan {
    fn entries(&self) -> impl Iterator<Item = AccessEntry> {
        let (actions, team) = (self.actions, Some(self.team_id));
        self.members.iter().filter_map(move |member| {
            let principal = Principal::Account(member.account_id);
            Some(AccessEntry { principal, key: member.key?, actions, team })
        })
    }
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
    /// to them. Repeating it finishes what was interrupted.
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
        standing.wanted.extend(plan.entries());
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

    /// Brings the access list and the keys in step with who is in the teams now: who joined is let in, who left is not,
    /// with new keys for every environment. Nothing happens when all is in step.
    ///
    /// # Errors
    /// As [`Projects::share`].
    pub async fn sync(&self, project: &Project, progress: Option<Arc<dyn Progress>>) -> Result<ShareOutcome> {
        let standing = self.standing(project, None).await?;
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
                Ok(plan) => standing.wanted.extend(plan.entries()),
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
        let due =
            |environment: &&crate::environments::Environment| !removed.is_empty() || environment.rotation_due;
        let now = environments.list().await?;
        let rotated: Vec<String> = now.iter().filter(due).map(|found| found.name.clone()).collect();
        self.client.rotate_all(home, &rotated, progress).await?;
        let keys_added = self.client.hand_on(home, &environments.list().await?, progress).await?;
        let exposure = match removed.is_empty() {
            true => None,
            false => Some(heads.report(&self.client, project, &removed).await?),
        };
        Ok(ShareOutcome { access_list: put.number, added, removed, keys_added, rotated, exposure })
    }

    /// Signs the list after the newest one and sends it. That the server took it is seen in the lists, not believed.
    async fn put_list(&self, home: Home, change: Change, standing: &Standing) -> Result<Put> {
        let session = self.client.fresh_session().await?;
        let mut tries = 1;
        loop {
            let before = self.client.access(home).await?;
            let mut wanted = standing.after(&before);
            wanted.sort_by_key(AccessEntry::place);
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

/// The bits of actions that a share can give.
fn bits(permissions: &[&str]) -> Result<u64> {
    let mut bits = 0;
    for permission in permissions {
        let action: Actions = permission.parse().map_err(|e| Error::invalid("permission", e))?;
        if action.is_empty() || action.bits() & !GRANTABLE != 0 {
            return Err(Error::invalid("permission", format!("{permission} cannot be shared")));
        }
        bits |= action.bits();
    }
    match bits {
        0 => Err(Error::invalid("permission", "name at least one")),
        bits => Ok(bits),
    }
}

fn entries(chain: &Chain) -> &[AccessEntry] {
    chain.newest().map_or(&[][..], |list| &list.entries[..])
}

/// Entries that stay and entries that come. A person has one key: the one that comes.
fn merge(stays: &[AccessEntry], comes: &[AccessEntry]) -> Vec<AccessEntry> {
    let mut merged = comes.to_vec();
    for entry in stays {
        let newer = comes.iter().find(|new| new.principal == entry.principal);
        merged.push(AccessEntry { key: newer.map_or(entry.key, |new| new.key), ..*entry });
    }
    merged
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_api_key_stays_in_a_list_through_no_team() {
        let account = Principal::Account(AccountId::from_bytes([2; 16]));
        let entry = AccessEntry { principal: account, key: [2; 32], actions: 1, team: None };
        let team = TeamId::from_bytes([7; 16]);
        let standing = Standing { kept: vec![team], ..Standing::default() };
        let api_key = Principal::ApiKey(veilcore::id::ApiKeyId::from_bytes([3; 16]));
        assert!(standing.stays(&AccessEntry { principal: api_key, ..entry }));
        assert!(standing.stays(&AccessEntry { team: Some(team), ..entry }));
        assert!(!standing.stays(&entry));
    }
}
