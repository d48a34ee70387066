//! What a grant allows: a set of actions, one bit each.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

use thiserror::Error;

/// A set of actions. Bits that have no name are refused wherever a set is read, so an older verifier never
/// carries a permission it does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(u64);

/// Bit and name of every action.
const NAMES: [(Actions, &str); 9] = [
    (Actions::PROJECT_READ, "project:read"),
    (Actions::PROJECT_WRITE, "project:write"),
    (Actions::PROJECT_DELETE, "project:delete"),
    (Actions::PROJECT_SHARE, "project:share"),
    (Actions::TEAM_MANAGE, "team:manage"),
    (Actions::AUDIT_READ, "audit:read"),
    (Actions::ACCOUNT_MANAGE, "account:manage"),
    (Actions::TEAM_READ, "team:read"),
    (Actions::KEY_MANAGE, "key:manage"),
];

/// A text that names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("action {index} of the list is not known")]
pub struct UnknownAction {
    /// Which item of the comma-separated list, from 0.
    pub index: usize,
}

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// Read names, history and content.
    pub const PROJECT_READ: Self = Self(1);
    /// Create projects and environments, write versions.
    pub const PROJECT_WRITE: Self = Self(1 << 1);
    /// Delete projects and environments.
    pub const PROJECT_DELETE: Self = Self(1 << 2);
    /// Give others access.
    pub const PROJECT_SHARE: Self = Self(1 << 3);
    /// Manage members and roles.
    pub const TEAM_MANAGE: Self = Self(1 << 4);
    /// Read the audit trail.
    pub const AUDIT_READ: Self = Self(1 << 5);
    /// Change password and recovery, end sessions, delete the account.
    pub const ACCOUNT_MANAGE: Self = Self(1 << 6);
    /// See one's teams and who is in them.
    pub const TEAM_READ: Self = Self(1 << 7);
    /// Create, rotate and revoke API keys.
    pub const KEY_MANAGE: Self = Self(1 << 8);
    /// Every action there is.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// From bits; None when one of them has no name.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is no action in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every action of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether every action of this set is in `other`.
    pub const fn is_subset_of(self, other: Self) -> bool {
        other.contains(self)
    }

    /// The actions in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The actions in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each action of the set as a set of one, with its name, lowest bit first.
    pub fn iter(self) -> impl Iterator<Item = (Self, &'static str)> {
        NAMES.into_iter().filter(move |(action, _)| self.contains(*action))
    }
}

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// Comma-separated names in the order of the bits; the empty set is the empty text.
impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, name)) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl FromStr for Actions {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        if text.is_empty() {
            return Ok(Self::NONE);
        }
        text.split(',').enumerate().try_fold(Self::NONE, |set, (index, name)| {
            let (action, _) =
                NAMES.iter().find(|(_, known)| *known == name).ok_or(UnknownAction { index })?;
            Ok(set | *action)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bit_has_one_name_in_order() {
        for (index, (action, name)) in NAMES.iter().enumerate() {
            assert_eq!(action.bits(), 1 << index);
            assert_eq!(name.parse(), Ok(*action));
        }
        assert_eq!(Actions::from_bits(1 << NAMES.len()), None);
        assert_eq!(Actions::from_bits(u64::MAX), None);
    }

    #[test]
    fn names_that_are_no_action_are_refused() {
        assert_eq!("project:read,Project:write".parse::<Actions>(), Err(UnknownAction { index: 1 }));
        assert_eq!("project:read,".parse::<Actions>(), Err(UnknownAction { index: 1 }));
        assert_eq!("project:*".parse::<Actions>(), Err(UnknownAction { index: 0 }));
    }

    proptest! {
        #[test]
        fn any_set_survives_its_text(bits in 0..=Actions::ALL.bits()) {
            let set = Actions::from_bits(bits).expect("all named");
            prop_assert_eq!(set.to_string().parse(), Ok(set));
        }

        #[test]
        fn subset_is_what_intersection_says(a in 0..=Actions::ALL.bits(), b in 0..=Actions::ALL.bits()) {
            let (a, b) = (Actions(a), Actions(b));
            prop_assert_eq!(a.is_subset_of(b), a.intersection(b) == a);
            prop_assert!(a.intersection(b).is_subset_of(a.union(b)));
        }
    }
}
