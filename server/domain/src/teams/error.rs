//! What can be wrong with a team.

use crate::{name::NameInvalid, store::StoreError};

/// Why a team verb refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TeamsError {
    /// The caller may not do this in the team, is not in it, or there is none.
    #[error("permission denied, or there is no such team")]
    Denied,
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] NameInvalid),
    /// The owner has a team of this name.
    #[error("the team's owner has a team named {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The account owns too many teams.
    #[error("an account owns at most {limit} teams")]
    TeamLimit {
        /// The limit.
        limit: u32,
    },
    /// The team has too many members.
    #[error("a team has at most {limit} members")]
    MemberLimit {
        /// The limit.
        limit: u32,
    },
    /// There is no such account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account is in the team.
    #[error("the account is a member of the team already")]
    MemberExists,
    /// The account is not in the team.
    #[error("the account is not a member of the team")]
    MemberUnknown,
    /// The owner can neither be removed nor get another role.
    #[error("the owner of a team stays its owner; delete the team instead")]
    OwnerStays,
    /// Nobody is made owner.
    #[error("a member is an admin or a member: nobody else becomes the owner")]
    RoleRefused,
    /// More members together than a team can have.
    #[error("a threshold is at most {limit}")]
    Threshold {
        /// The limit.
        limit: u32,
    },
    /// A field of an update is unknown.
    #[error("update_mask names {field}, which cannot be changed")]
    Mask {
        /// The field.
        field: String,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
