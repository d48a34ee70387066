//! Teams, access lists and keyrings for several people, made as their clients make them.

use veilcore::id::{AccountId, ProjectId, TeamId};
use veilsign::capability::Actions;
use veilvault::{
    access::{AccessEntry, AccessList, Principal, seal_access},
    epoch::EpochKey,
    keyring::{KeyringSubject, seal_keyring},
    seal::NO_DIGEST,
};

use super::{Person, World};
use crate::{
    projects::{
        ProjectAccess,
        access::AccessState,
        error::ProjectsError,
        model::{Environment, Keyring},
    },
    teams::model::Role,
};

impl Person {
    /// The entry that gives these actions to the person through a team.
    pub fn entry(&self, team: TeamId, actions: Actions) -> AccessEntry {
        AccessEntry {
            principal: Principal::Account(self.account),
            key: AccessList::digest(&self.bundle()),
            actions: actions.bits(),
            team: Some(team),
            environments: Vec::new(),
        }
    }

    /// The list after the newest one, signed by this person.
    pub fn next_list(&self, project: ProjectId, state: &AccessState, entries: &[AccessEntry]) -> Vec<u8> {
        self.sign_list(&AccessList {
            project,
            number: state.number + 1,
            parent: if state.number == 0 { NO_DIGEST } else { AccessList::digest(&state.list) },
            entries: entries.to_vec(),
            author: self.account,
            author_key: self.identity.key_id(),
            created_at_ms: 1,
        })
    }

    /// Signs a list.
    pub fn sign_list(&self, list: &AccessList) -> Vec<u8> {
        seal_access(list, &self.identity).expect("a list of a test can be sealed")
    }

    /// A keyring of an epoch of this environment, by this person for these people, made for an access list.
    pub fn keyring_for(
        &self,
        key: &EpochKey,
        environment: &Environment,
        epoch: u32,
        access_list: u64,
        members: &[&Person],
    ) -> Keyring {
        let (project, environment) = (environment.project, environment.id);
        let subject = KeyringSubject { project, environment, epoch, access_list, created_at_ms: 1 };
        let members: Vec<_> = members.iter().map(|member| member.identity.recipient().clone()).collect();
        let sealed = seal_keyring(key, &subject, &members, &self.identity).expect("a test has few members");
        Keyring { epoch, file: sealed.file, seal: sealed.seal.to_vec(), access_list }
    }
}

impl World {
    /// A new team of this person with these members besides.
    pub async fn team(&self, owner: &Person, name: &str, members: &[&Person]) -> TeamId {
        let caller = owner.caller(self).await;
        let name = name.parse().expect("a name in a test is a name");
        let team = self.teams.create(&caller, name, 0).await.expect("a team is created").team.id;
        for member in members {
            self.join(owner, team, member.account).await;
        }
        team
    }

    /// Puts an account into a team.
    pub async fn join(&self, owner: &Person, team: TeamId, account: AccountId) {
        let caller = owner.caller(self).await;
        let added = self.teams.add_member(&caller, team, account, Role::Member).await;
        added.expect("a member is added");
    }

    /// Takes an account out of a team.
    pub async fn leave(&self, owner: &Person, team: TeamId, account: AccountId) {
        let caller = owner.caller(self).await;
        self.teams.remove_member(&caller, team, account).await.expect("a member is removed");
    }

    /// Where the lists of a project stand.
    pub async fn access_state(&self, project: ProjectId) -> AccessState {
        let state = self.ports.grants.access(project).await.expect("the store works");
        state.expect("the project is there")
    }

    /// Shares a project with a team, with the next list of these entries signed by this person.
    pub async fn share(
        &self,
        by: &Person,
        access: &ProjectAccess,
        team: TeamId,
        actions: Actions,
        entries: &[AccessEntry],
    ) -> Result<u64, ProjectsError> {
        let state = self.access_state(access.project()).await;
        let list = by.next_list(access.project(), &state, entries);
        self.projects.share(access, team, actions, list).await.map(|(_, number)| number)
    }

    /// Ends a share, with the next list of these entries signed by this person.
    pub async fn unshare(
        &self,
        by: &Person,
        access: &ProjectAccess,
        team: TeamId,
        entries: &[AccessEntry],
    ) -> Result<u64, ProjectsError> {
        let state = self.access_state(access.project()).await;
        let list = by.next_list(access.project(), &state, entries);
        self.projects.unshare(access, team, list).await
    }

    /// Puts the next list of these entries in force, signed by this person.
    pub async fn put_list(
        &self,
        by: &Person,
        access: &ProjectAccess,
        entries: &[AccessEntry],
    ) -> Result<u64, ProjectsError> {
        let state = self.access_state(access.project()).await;
        let list = by.next_list(access.project(), &state, entries);
        self.projects.put_access_list(access, list).await
    }
}
