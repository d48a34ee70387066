//! Keeps the sweep from removing what is being stored again. The sweep lists old blobs, asks which are referenced, and
//! removes the others; between the first and the last step somebody may store the same bytes again and commit a version
//! over them. So a blob that is stored after it was listed is spared once.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use veilcloud_domain::storage::model::Digest;

/// Digests of the latest lists that are remembered. A sweep works on one list at a time, so this is ample.
pub(crate) const LISTED_MAX: usize = 65_536;

/// What was listed, and what of it was stored since.
#[derive(Default)]
pub(crate) struct Listed {
    order: VecDeque<Digest>,
    listed: HashSet<Digest>,
    spared: HashSet<Digest>,
}

/// Shared by everything that stores or removes.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Listed>);

impl Spare {
    /// The sweep was told of these.
    pub fn listed(&self, digests: &[Digest]) {
        let mut state = self.lock();
        for digest in digests {
            // Listed anew, so an earlier store of it is old news.
            state.spared.remove(digest);
            if state.listed.insert(*digest) {
                state.order.push_back(*digest);
            }
        }
        while state.order.len() > LISTED_MAX {
            let Some(oldest) = state.order.pop_front() else { break };
            state.listed.remove(&oldest);
            state.spared.remove(&oldest);
        }
    }

    /// Call before bytes are stored.
    pub fn storing(&self, digest: Digest) {
        let mut state = self.lock();
        if state.listed.contains(&digest) {
            state.spared.insert(digest);
        }
    }

    /// The lock under which a blob is removed, or `None` when it is spared. Whoever stores it meanwhile waits at
    /// [`Spare::storing`], and so stores after the removal.
    pub fn removing(&self, digest: Digest) -> Option<MutexGuard<'_, Listed>> {
        let state = self.lock();
        (!state.spared.contains(&digest)).then_some(state)
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_is_stored_after_it_was_listed_is_spared_until_it_is_listed_again() {
        let spare = Spare::default();
        let digest = Digest([1; 32]);
        spare.storing(digest);
        assert!(spare.removing(digest).is_some());
        spare.listed(&[digest]);
        assert!(spare.removing(digest).is_some());
        spare.storing(digest);
        assert!(spare.removing(digest).is_none());
        spare.listed(&[digest]);
        assert!(spare.removing(digest).is_some());
    }
}
