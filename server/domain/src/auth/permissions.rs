//! Every permission with what it allows, for people who give them.

use veilsign::capability::Actions;

use super::api_keys::model::API_KEY_ACTIONS;

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Its action.
    pub action: Actions,
    /// Its name.
    pub name: &'static str,
    /// What it allows.
    pub description: &'static str,
    /// Whether an API key may hold it.
    pub for_api_keys: bool,
}

const DESCRIPTIONS: &[(Actions, &str)] = &[
    (Actions::PROJECT_READ, "Read names, history and content of projects and environments."),
    (Actions::PROJECT_WRITE, "Create projects and environments, write versions."),
    (Actions::PROJECT_DELETE, "Delete projects, environments and content."),
    (Actions::PROJECT_SHARE, "Give others access to a project."),
    (Actions::TEAM_MANAGE, "Create and delete teams, manage their members and roles, find people."),
    (Actions::AUDIT_READ, "Read logs, their proofs and files."),
    (Actions::ACCOUNT_MANAGE, "Change password and recovery, end sessions, delete the account."),
    (Actions::TEAM_READ, "See one's teams and who is in them."),
    (Actions::KEY_MANAGE, "Create, list, rotate and revoke API keys."),
];

/// Every permission, by bit.
pub fn permissions() -> impl Iterator<Item = Permission> {
    Actions::ALL.iter().map(|(action, name)| Permission {
        action,
        name,
        description: description(action),
        for_api_keys: action.is_subset_of(API_KEY_ACTIONS),
    })
}

fn description(action: Actions) -> &'static str {
    DESCRIPTIONS.iter().find(|(known, _)| *known == action).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_says_what_it_allows() {
        assert_eq!(permissions().count(), DESCRIPTIONS.len());
        for permission in permissions() {
            assert!(permission.description.ends_with('.'), "{}", permission.name);
        }
    }
}
