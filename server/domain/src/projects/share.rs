//! Sharing a project with teams, and its access lists. The server judges each list as a client will: signed by the caller,
//! next in the chain, nothing given that its author does not hold.

use veilcore::id::{ApiKeyId, ProjectId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::{AccessError, AccessList, ExpectedAccess, Principal};

use super::{
    ProjectAccess, Projects,
    access::{
        AccessChange, AccessRefusal, AccessState, EntryFault, SHAREABLE, SHARES_MAX, Share, ShareChange,
        gives, takes,
    },
    error::ProjectsError,
};
use crate::{
    audit::model::{Kind, Line},
    page::{Page, PageArgs},
    store::StoreError,
    teams::model::subject,
};

/// Parent of the first list.
const NO_PARENT: [u8; 32] = [0; 32];

impl Projects {
    /// Shares the project with a team of the caller's, or changes what the team may do; gives the number of the list.
    pub async fn share(
        &self,
        access: &ProjectAccess,
        team: TeamId,
        actions: Actions,
        list: Vec<u8>,
    ) -> Result<(Share, u64), ProjectsError> {
        access.check_whole(Actions::PROJECT_SHARE)?;
        if actions.is_empty() || !actions.is_subset_of(SHAREABLE) {
            return Err(ProjectsError::Permissions);
        }
        let before = self.grants.share(access.project(), team).await?;
        let kept = before.map_or(Actions::NONE, |share| share.actions);
        access.check_gives(without(actions, kept))?;
        let share = Share { team, actions, by: access.actor(), at_ms: self.clock.now_ms() };
        let line = Line { version: actions.bits(), ..self.line(access, Kind::Share) };
        let line = Line { environment: Some(subject(team)), ..line };
        let number = self.change_access(access, ShareChange::Set(share), list, vec![line]).await?;
        Ok((share, number))
    }

    /// Ends a share; gives the number of the list.
    pub async fn unshare(
        &self,
        access: &ProjectAccess,
        team: TeamId,
        list: Vec<u8>,
    ) -> Result<u64, ProjectsError> {
        access.check_whole(Actions::PROJECT_SHARE)?;
        let line = Line { environment: Some(subject(team)), ..self.line(access, Kind::Unshare) };
        self.change_access(access, ShareChange::End(team), list, vec![line]).await
    }

    /// Puts the next list in force; shares stay as they are. Gives its number.
    pub async fn put_access_list(&self, access: &ProjectAccess, list: Vec<u8>) -> Result<u64, ProjectsError> {
        access.check_whole(Actions::PROJECT_SHARE)?;
        self.change_access(access, ShareChange::Keep, list, Vec::new()).await
    }

    /// The shares by team.
    pub async fn shares(
        &self,
        access: &ProjectAccess,
        page: PageArgs<TeamId>,
    ) -> Result<Page<Share, TeamId>, ProjectsError> {
        access.check_whole(Actions::PROJECT_READ)?;
        Ok(self.grants.shares(access.project(), page).await?)
    }

    /// Where the lists stand, and the list of this number, 0 for the newest; empty while there is none. It is for everybody
    /// who was let in, be it for one environment: without the lists nobody knows whom to believe.
    pub async fn access_list(
        &self,
        access: &ProjectAccess,
        number: u64,
    ) -> Result<(AccessState, Vec<u8>), ProjectsError> {
        let state = self.grants.access(access.project()).await?.ok_or(ProjectsError::Denied)?;
        let list = match number {
            0 => state.list.clone(),
            number if number == state.number => state.list.clone(),
            number => {
                let unknown = ProjectsError::AccessListUnknown { number, current: state.number };
                self.grants.access_list(access.project(), number).await?.ok_or(unknown)?
            }
        };
        Ok((state, list))
    }

    /// The records of the API keys that a list names, of those that are good now: whoever wraps keys for them needs these.
    pub async fn api_key_records(
        &self,
        access: &ProjectAccess,
        list: &[u8],
    ) -> Result<Vec<(ApiKeyId, Vec<u8>)>, ProjectsError> {
        if list.is_empty() {
            return Ok(Vec::new());
        }
        let list = AccessList::peek(list).map_err(|error| damaged(access.project(), &error))?;
        let keys = list.entries.iter().filter_map(|entry| match entry.principal {
            Principal::ApiKey(id) => Some((id, entry.key)),
            Principal::Account(_) => None,
        });
        Ok(self.api_keys.records(keys.collect(), self.clock.now_ms()).await?)
    }

    async fn change_access(
        &self,
        access: &ProjectAccess,
        share: ShareChange,
        list: Vec<u8>,
        mut lines: Vec<Line>,
    ) -> Result<u64, ProjectsError> {
        let project = access.project();
        let state = self.grants.access(project).await?.ok_or(ProjectsError::Denied)?;
        let before = newest_list(project, &state)?;
        let next = self.check_list(access, &state, before.as_ref(), &list).await?;
        let digest = AccessList::digest(&list);
        let line = self.line(access, Kind::AccessList);
        lines.push(Line { version: next.number, digest: Some(digest), ..line });
        let number = next.number;
        let takes = takes(before.as_ref(), &next);
        let gives = gives(before.as_ref(), &next);
        access.check_gives(gives)?;
        let author = access.actor();
        let entries = next.entries;
        let at_ms = self.clock.now_ms();
        let change = AccessChange { project, author, number, list, entries, share, gives, takes, at_ms };
        match self.grants.change_access(change, lines).await? {
            Ok(()) => Ok(number),
            Err(AccessRefusal::Stale(current)) => Err(ProjectsError::AccessListStale { current }),
            Err(AccessRefusal::Denied) => Err(ProjectsError::Denied),
            Err(AccessRefusal::Limit) => Err(ProjectsError::ShareLimit { limit: SHARES_MAX }),
            Err(AccessRefusal::NotShared) => Err(ProjectsError::ShareUnknown),
            Err(AccessRefusal::Entry(fault)) => Err(fault.into()),
        }
    }

    /// Whether the list is the caller's own, the next one, and gives nothing that it must not.
    async fn check_list(
        &self,
        access: &ProjectAccess,
        state: &AccessState,
        before: Option<&AccessList>,
        bytes: &[u8],
    ) -> Result<AccessList, ProjectsError> {
        let author = access.actor();
        let author_key = self.author_key(author).await?;
        let refused = |error: AccessError| match error {
            // Somebody was faster, or the author did not look.
            AccessError::Number { .. } | AccessError::Parent => {
                ProjectsError::AccessListStale { current: state.number }
            }
            other => ProjectsError::AccessList { check: access_check(&other).to_owned() },
        };
        let expected = ExpectedAccess {
            project: access.project(),
            number: state.number.saturating_add(1),
            parent: before.map_or(NO_PARENT, |_| AccessList::digest(&state.list)),
            author,
            author_key: &author_key,
        };
        let list = AccessList::check(bytes, &expected).map_err(refused)?;
        list.follows(before, state.owner).map_err(refused)?;
        let placed = |principal| matches!(principal, Principal::Account(_));
        match list.entries.iter().find(|entry| placed(entry.principal) != entry.team.is_some()) {
            Some(_) => Err(EntryFault::Team.into()),
            None => Ok(list),
        }
    }
}

/// The newest list, read again; `None` while there is none.
pub(super) fn newest_list(
    project: ProjectId,
    state: &AccessState,
) -> Result<Option<AccessList>, ProjectsError> {
    if state.number == 0 {
        return Ok(None);
    }
    let list = AccessList::peek(&state.list).map_err(|error| damaged(project, &error))?;
    Ok(Some(list))
}

fn damaged(project: ProjectId, error: &AccessError) -> StoreError {
    StoreError::Damaged { store: "grants", cause: format!("an access list of project {project}: {error}") }
}

/// The actions of `all` that are not in `known`.
fn without(all: Actions, known: Actions) -> Actions {
    Actions::from_bits(all.bits() & !known.bits()).unwrap_or_default()
}

/// The word for the check that a list failed, for a machine to read.
fn access_check(error: &AccessError) -> &'static str {
    match error {
        AccessError::Malformed(_) => "format",
        AccessError::Signature(_) => "signature",
        AccessError::Project { .. } => "project",
        AccessError::Number { .. } => "number",
        AccessError::Parent => "parent",
        AccessError::Author { .. } => "author",
        AccessError::AuthorKey { .. } => "author_key",
        AccessError::Entries { .. } => "entry_count",
        AccessError::Order { .. } => "entry_order",
        AccessError::Actions { .. } => "actions",
        AccessError::Team { .. } => "team",
        AccessError::Key { .. } => "key",
        AccessError::MayNotShare { .. } => "may_not_share",
        AccessError::Exceeds { .. } => "exceeds",
        _ => "list",
    }
}
