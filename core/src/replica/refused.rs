//! What the user wrote and the storage had no room for. It is out of the view, as what a server refuses is, and kept in
//! memory until it is retried or given up. Its names stand in no log: log keys begin at 1.

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::io::StoreError;
use crate::model::edit::Edit;
use crate::replica::tabs::MOVED;

/// Mutations that are kept: an app that goes on writing to a full disk must not fill the memory, too.
const REFUSED_MAX: usize = 1_000;

/// A mutation that there was no room for.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The call that it is of.
    pub(crate) write: u64,
    pub(crate) edit: Edit,
    atomic: bool,
}

/// All of them, by `(0, index)`.
#[derive(Debug, Default)]
pub(crate) struct RefusedWrites {
    all: Vec<(MutationId, Refused)>,
    next: u32,
}

impl RefusedWrites {
    pub(crate) fn all(&self) -> &[(MutationId, Refused)] {
        &self.all
    }

    pub(crate) fn get(&self, n: MutationId) -> Option<&Refused> {
        self.all.iter().find(|(other, _)| *other == n).map(|(_, refused)| refused)
    }

    pub(crate) fn has(&self, collection: &CollectionName, id: &EntityId) -> bool {
        self.all.iter().any(|(_, refused)| &refused.edit.collection == collection && &refused.edit.id == id)
    }

    pub(crate) fn keep(&mut self, write: u64, atomic: bool, edits: Vec<Edit>) {
        for edit in edits {
            if self.all.len() < REFUSED_MAX {
                self.all.push((MutationId(0, self.next), Refused { write, edit, atomic }));
                self.next += 1;
            }
        }
    }

    /// Takes out one with the other members of its transaction, if it is in one, and says whether it is.
    pub(crate) fn take(&mut self, n: MutationId) -> Option<(bool, Vec<Edit>)> {
        let Refused { write, atomic, .. } = *self.get(n)?;
        let mut taken = Vec::new();
        let mut index = 0;
        while let Some((other, refused)) = self.all.get(index) {
            if *other == n || (atomic && refused.write == write) {
                taken.push(self.all.remove(index).1.edit);
            } else {
                index += 1;
            }
        }
        Some((atomic, taken))
    }
}

/// Why a write was taken back.
pub(crate) fn reason(error: StoreError) -> &'static str {
    match error {
        StoreError::Quota => "the storage is full: free some space, then retry it in `db.sync.queue`",
        StoreError::FormatNewer => MOVED,
        _ => "the storage refused the write: write again",
    }
}
