//! One grant: actions at a place, perhaps under conditions.

use veilcore::canon::{DecodeError, Reader, Writer};

use super::actions::Actions;
use super::resource::{RESOURCE_LEN_MAX, Resource};

/// Most grants in a body or a block.
pub const GRANTS_MAX: usize = 16;

const FLAG_READ_ONLY_NAMES: u8 = 1;
const FLAG_NEEDS_THRESHOLD: u8 = 1 << 1;

/// What may be done, where, and under which conditions. A condition that a verifier does not know how to
/// check must lead to refusal; see [`Grant::is_conditional`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The place and all inside it.
    pub resource: Resource,
    /// The actions; never empty.
    pub actions: Actions,
    /// Names and history may be read, content may not.
    pub read_only_names: bool,
    /// Holds only together with an approval of the team's threshold key.
    pub needs_threshold: bool,
    /// How often the grant may be used, counted by the verifier per capability; 0 means without limit.
    pub max_uses: u32,
}

impl Grant {
    /// A grant without conditions.
    pub fn new(resource: Resource, actions: Actions) -> Self {
        Self { resource, actions, read_only_names: false, needs_threshold: false, max_uses: 0 }
    }

    /// Whether something beside action and place must be checked before the grant holds.
    pub fn is_conditional(&self) -> bool {
        self.read_only_names || self.needs_threshold || self.max_uses != 0
    }

    /// Whether this grant reaches the action at the place, conditions aside.
    pub fn reaches(&self, actions: Actions, resource: &Resource) -> bool {
        self.actions.contains(actions) && self.resource.covers(resource)
    }

    /// Whether `child` gives nothing that this grant does not: place inside, actions fewer or equal, every
    /// condition kept or tightened.
    pub fn covers(&self, child: &Self) -> bool {
        self.reaches(child.actions, &child.resource)
            && (child.read_only_names || !self.read_only_names)
            && (child.needs_threshold || !self.needs_threshold)
            && (self.max_uses == 0 || (child.max_uses != 0 && child.max_uses <= self.max_uses))
    }

    fn write(&self, out: &mut Writer) {
        let names = if self.read_only_names { FLAG_READ_ONLY_NAMES } else { 0 };
        let threshold = if self.needs_threshold { FLAG_NEEDS_THRESHOLD } else { 0 };
        out.bytes(self.resource.as_str().as_bytes())
            .u64(self.actions.bits())
            .u8(names | threshold)
            .u32(self.max_uses);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let refused = |field| DecodeError::Value { field };
        let path = std::str::from_utf8(input.bytes(RESOURCE_LEN_MAX)?).map_err(|_| refused("resource"))?;
        let resource = path.parse().map_err(|_| refused("resource"))?;
        let actions = Actions::from_bits(input.u64()?).ok_or(refused("actions"))?;
        let flags = input.u8()?;
        if actions.is_empty() {
            return Err(refused("actions"));
        }
        if flags & !(FLAG_READ_ONLY_NAMES | FLAG_NEEDS_THRESHOLD) != 0 {
            return Err(refused("flags"));
        }
        Ok(Self {
            resource,
            actions,
            read_only_names: flags & FLAG_READ_ONLY_NAMES != 0,
            needs_threshold: flags & FLAG_NEEDS_THRESHOLD != 0,
            max_uses: input.u32()?,
        })
    }
}

/// Writes u8 count and the grants. The caller has judged the count with [`check`].
pub(super) fn write(grants: &[Grant], out: &mut Writer) {
    out.u8(u8::try_from(grants.len()).expect("at most GRANTS_MAX: checked before encoding"));
    grants.iter().for_each(|grant| grant.write(out));
}

/// Reads 1 to [`GRANTS_MAX`] grants.
pub(super) fn read(input: &mut Reader<'_>) -> Result<Vec<Grant>, DecodeError> {
    let count = usize::from(input.u8()?);
    if count == 0 || count > GRANTS_MAX {
        return Err(DecodeError::Value { field: "grants" });
    }
    (0..count).map(|_| Grant::read(input)).collect()
}

/// The rules of [`read`] for grants that were built here.
pub(super) fn check(grants: &[Grant]) -> Result<(), DecodeError> {
    if grants.is_empty() || grants.len() > GRANTS_MAX {
        return Err(DecodeError::Value { field: "grants" });
    }
    if grants.iter().any(|grant| grant.actions.is_empty()) {
        return Err(DecodeError::Value { field: "actions" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(path: &str, actions: Actions) -> Grant {
        Grant::new(path.parse().expect("valid"), actions)
    }

    #[test]
    fn a_child_may_keep_or_narrow() {
        let parent = grant("a/b", Actions::PROJECT_READ | Actions::PROJECT_WRITE);
        assert!(parent.covers(&parent));
        assert!(parent.covers(&grant("a/b/c", Actions::PROJECT_READ)));
        assert!(parent.covers(&Grant { read_only_names: true, ..parent.clone() }));
        assert!(parent.covers(&Grant { needs_threshold: true, ..parent.clone() }));
        assert!(parent.covers(&Grant { max_uses: 3, ..parent.clone() }));
    }

    #[test]
    fn a_child_may_not_widen_anything() {
        let parent = Grant {
            read_only_names: true,
            needs_threshold: true,
            max_uses: 3,
            ..grant("a/b", Actions::PROJECT_READ)
        };
        let widened = [
            Grant { actions: Actions::PROJECT_READ | Actions::PROJECT_WRITE, ..parent.clone() },
            Grant { actions: Actions::PROJECT_WRITE, ..parent.clone() },
            Grant { resource: "a/bc".parse().expect("valid"), ..parent.clone() },
            Grant { resource: "a".parse().expect("valid"), ..parent.clone() },
            Grant { resource: Resource::account(), ..parent.clone() },
            Grant { read_only_names: false, ..parent.clone() },
            Grant { needs_threshold: false, ..parent.clone() },
            Grant { max_uses: 4, ..parent.clone() },
            Grant { max_uses: 0, ..parent.clone() },
        ];
        assert!(parent.covers(&parent));
        for child in widened {
            assert!(!parent.covers(&child), "{child:?}");
        }
    }
}
