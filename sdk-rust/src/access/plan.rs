//! Whom the next access list lets in, before it is signed. Who is in a team is the server's word, so it only proposes: a
//! list names who was there already and whom the person has seen in a plan, and nobody else. What must never happen: a
//! list signed here that gives somebody something that no plan showed.

use veilcore::id::{AccountId, ApiKeyId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, GRANTABLE, Principal};

use crate::error::{Error, Result};

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
    pub(super) actions: u64,
}

/// Whom bringing a project in step with its teams would let in; nothing has happened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncPlan {
    /// For each team, who would get something that the signed list does not give yet, or would get it with other keys.
    pub gains: Vec<SharePlan>,
    /// Hands the keys on again, also to who has them: when somebody's do not open. Not set by itself.
    pub replaces_keys: bool,
}

impl SyncPlan {
    /// Whether nobody would be let in. People may still be shut out.
    pub fn is_empty(&self) -> bool {
        self.gains.is_empty()
    }
}

impl SharePlan {
    pub(super) fn entries(&self) -> impl Iterator<Item = AccessEntry> {
        self.members.iter().filter_map(|member| self.entry(member))
    }

    fn entry(&self, member: &Listed) -> Option<AccessEntry> {
        let (principal, team) = (Principal::Account(member.account_id), Some(self.team_id));
        Some(AccessEntry {
            principal,
            key: member.key?,
            actions: self.actions,
            team,
            environments: Vec::new(),
        })
    }
}

/// What the next list is to say.
#[derive(Default)]
pub(super) struct Standing {
    /// What the server says of the teams that can be looked into.
    pub(super) proposed: Vec<SharePlan>,
    /// Teams that cannot: their entries stay as they were signed.
    pub(super) kept: Vec<TeamId>,
    /// What the person has seen, and wants.
    pub(super) shown: Vec<AccessEntry>,
    /// Who is taken out, whatever the server says.
    pub(super) out: Vec<AccountId>,
    /// Keys are handed on also to who has them.
    pub(super) replaces_keys: bool,
    /// API keys that are let in, in the place of what the list says of them.
    pub(super) keys_in: Vec<AccessEntry>,
    /// API keys that are taken out.
    pub(super) keys_out: Vec<ApiKeyId>,
}

impl Standing {
    /// The entries of the list after one with these entries, in their order.
    pub(super) fn after(&self, signed: &[AccessEntry]) -> Vec<AccessEntry> {
        let stays =
            signed.iter().filter(|entry| self.stays(entry)).filter_map(|entry| self.under_one_key(entry));
        let comes = self.proposed.iter().flat_map(SharePlan::entries);
        let mut after: Vec<_> = stays.chain(comes.filter_map(|entry| self.allowed(entry, signed))).collect();
        after.retain(|entry| match entry.principal {
            Principal::Account(account) => !self.out.contains(&account),
            Principal::ApiKey(key) => {
                !self.keys_out.contains(&key)
                    && !self.keys_in.iter().any(|new| new.principal == entry.principal)
            }
        });
        after.extend(self.keys_in.iter().cloned());
        after.sort_by_key(AccessEntry::place);
        after
    }

    /// What of the proposals the list with these entries does not give yet.
    pub(super) fn gains(&self, signed: &[AccessEntry]) -> Vec<SharePlan> {
        let mut gains = self.proposed.clone();
        for plan in &mut gains {
            let whole = plan.clone();
            plan.members.retain(|member| {
                whole.entry(member).is_some_and(|entry| self.allowed(entry.clone(), signed) != Some(entry))
            });
        }
        gains.retain(|plan| !plan.members.is_empty());
        gains
    }

    /// API keys stay: they are held through no team. An account that is in the list through no team is there by mistake,
    /// and no `unshare` would ever take it out.
    fn stays(&self, entry: &AccessEntry) -> bool {
        match entry.team {
            Some(team) => self.kept.contains(&team),
            None => matches!(entry.principal, Principal::ApiKey(_)),
        }
    }

    /// Whether an entry is of no API key, of one of these, or of one that is let in now.
    pub(super) fn is_key_to_stay(&self, entry: &AccessEntry, own: &[ApiKeyId]) -> bool {
        let Principal::ApiKey(id) = entry.principal else { return true };
        own.contains(&id) || self.keys_in.contains(entry)
    }

    /// As much of a proposal as was shown, or as was signed before.
    fn allowed(&self, entry: AccessEntry, signed: &[AccessEntry]) -> Option<AccessEntry> {
        let same_place = |other: &&AccessEntry| other.place() == entry.place();
        let shown = self.shown.iter().filter(same_place).find(|shown| shown.key == entry.key);
        let before = signed.iter().find(same_place);
        let before = before.filter(|before| before.key == entry.key || self.is_key_shown(&entry));
        let given = shown.map_or(0, |shown| shown.actions) | before.map_or(0, |before| before.actions);
        let actions = entry.actions & given;
        (actions != 0).then_some(AccessEntry { actions, ..entry })
    }

    /// An entry that stays, under the key that a person's other entries have: a list names one for each person.
    fn under_one_key(&self, entry: &AccessEntry) -> Option<AccessEntry> {
        let proposed = self.proposed.iter().flat_map(SharePlan::entries);
        match proposed.into_iter().find(|other| other.principal == entry.principal) {
            Some(other) if other.key == entry.key => Some(entry.clone()),
            Some(other) => self.is_key_shown(&other).then(|| AccessEntry { key: other.key, ..entry.clone() }),
            None => Some(entry.clone()),
        }
    }

    fn is_key_shown(&self, entry: &AccessEntry) -> bool {
        self.shown.iter().any(|shown| shown.principal == entry.principal && shown.key == entry.key)
    }
}

/// The bits of actions that a share can give.
pub(super) fn bits(permissions: &[&str]) -> Result<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const READ: u64 = Actions::PROJECT_READ.bits();
    const WRITE: u64 = Actions::PROJECT_WRITE.bits();
    const CREW: TeamId = TeamId::from_bytes([7; 16]);
    const OTHERS: TeamId = TeamId::from_bytes([8; 16]);

    fn account(number: u8) -> AccountId {
        AccountId::from_bytes([number; 16])
    }

    /// An entry of the account of this number; its key is counted on from there.
    fn entry(number: u8, team: TeamId, actions: u64) -> AccessEntry {
        let principal = Principal::Account(account(number));
        AccessEntry { principal, key: [number; 32], actions, team: Some(team), environments: Vec::new() }
    }

    fn plan(team: TeamId, actions: u64, members: &[(u8, u8)]) -> SharePlan {
        let listed = |(number, key): &(u8, u8)| Listed {
            account_id: account(*number),
            display_name: String::new(),
            key: Some([*key; 32]),
        };
        let members = members.iter().map(listed).collect();
        SharePlan { team_id: team, permissions: super::super::names(actions), members, actions }
    }

    #[test]
    fn a_plan_lets_in_whom_it_shows_and_nobody_whom_the_server_adds_beside() {
        let crew = plan(CREW, READ, &[(1, 1)]);
        let standing = Standing {
            shown: crew.entries().collect(),
            proposed: vec![plan(OTHERS, READ | WRITE, &[(2, 2), (9, 9)]), crew],
            ..Standing::default()
        };
        assert_eq!(standing.after(&[]), [entry(1, CREW, READ)]);
        // Who was signed in before stays, with no more than that.
        let before = [entry(2, OTHERS, READ)];
        assert_eq!(standing.after(&before), [entry(1, CREW, READ), entry(2, OTHERS, READ)]);
    }

    #[test]
    fn without_a_plan_a_list_only_takes_away() {
        let signed = [entry(1, CREW, READ | WRITE), entry(2, CREW, READ), entry(3, OTHERS, READ)];
        let standing =
            Standing { proposed: vec![plan(CREW, READ, &[(1, 1), (2, 20), (9, 9)])], ..Standing::default() };
        // Fewer actions, other keys, another person, a share that is over.
        assert_eq!(standing.after(&signed), [entry(1, CREW, READ)]);
        let out = Standing { out: vec![account(1)], ..standing };
        assert_eq!(out.after(&signed), []);
    }

    #[test]
    fn gains_are_who_comes_who_gets_more_and_who_has_other_keys() {
        let signed = [entry(1, CREW, READ | WRITE), entry(2, CREW, READ | WRITE), entry(3, CREW, READ)];
        let proposed = vec![plan(CREW, READ | WRITE, &[(1, 1), (2, 20), (3, 3), (4, 4)])];
        let mut standing = Standing { proposed, ..Standing::default() };
        let gains = standing.gains(&signed);
        assert_eq!(gains, [plan(CREW, READ | WRITE, &[(2, 20), (3, 3), (4, 4)])]);
        standing.shown = gains.iter().flat_map(SharePlan::entries).collect();
        assert_eq!(standing.gains(&signed), []);
        assert_eq!(standing.after(&signed).len(), 4);
    }

    #[test]
    fn a_person_has_one_key_and_another_only_when_it_was_shown() {
        let signed = [entry(1, CREW, READ), entry(1, OTHERS, READ)];
        let crew = plan(CREW, READ, &[(1, 10)]);
        let mut standing =
            Standing { proposed: vec![crew.clone()], kept: vec![OTHERS], ..Standing::default() };
        assert_eq!(standing.after(&signed), []);
        standing.shown = crew.entries().collect();
        let rekeyed = |team| AccessEntry { key: [10; 32], ..entry(1, team, READ) };
        assert_eq!(standing.after(&signed), [rekeyed(CREW), rekeyed(OTHERS)]);
    }

    #[test]
    fn only_an_api_key_stays_in_a_list_through_no_team() {
        let standing = Standing { kept: vec![CREW], ..Standing::default() };
        let through_none = AccessEntry { team: None, ..entry(2, CREW, READ) };
        let api_key = Principal::ApiKey(ApiKeyId::from_bytes([3; 16]));
        assert!(standing.stays(&AccessEntry { principal: api_key, ..through_none.clone() }));
        assert!(standing.stays(&entry(2, CREW, READ)));
        assert!(!standing.stays(&through_none));
    }
}
