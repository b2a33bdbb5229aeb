//! The items of a push, read.

use std::collections::BTreeMap;

use crate::error::{Code, CoreError};
use crate::ids::MutationId;
use crate::model::mutation::Mutation;
use crate::protocol::message::PushItem;

/// One item.
pub(super) struct Item {
    pub(super) n: MutationId,
    pub(super) tx: Option<MutationId>,
    pub(super) content: Content,
}

/// What an item carries.
pub(super) enum Content {
    /// This number will never carry content.
    Void,
    /// A checked mutation.
    Edit {
        digest: u64,
        /// Length of its bytes.
        bytes: usize,
        edit: Box<Mutation>,
    },
    /// Not a mutation, or one that contradicts itself: it alone is rejected.
    Bad { digest: u64, error: CoreError },
    /// Other content than this very push has under the same number: no device makes that.
    Clash,
}

impl Item {
    /// The content's digest; `None` for a void.
    pub(super) fn digest(&self) -> Option<u64> {
        match self.content {
            Content::Edit { digest, .. } | Content::Bad { digest, .. } => Some(digest),
            Content::Void | Content::Clash => None,
        }
    }
}

pub(super) fn read(items: &[PushItem]) -> Vec<Item> {
    let mut seen: BTreeMap<MutationId, u64> = BTreeMap::new();
    let mut read_one = |item: &PushItem| {
        let content = item.m.as_ref().map_or(Content::Void, |raw| {
            let bytes = raw.get().as_bytes();
            let digest = Mutation::digest(bytes);
            if *seen.entry(item.n).or_insert(digest) != digest {
                return Content::Clash;
            }
            match Mutation::parse(bytes) {
                Ok(mut edit) => {
                    if item.old {
                        edit.base_rev = 0;
                    }
                    Content::Edit { digest, bytes: bytes.len(), edit: Box::new(edit) }
                }
                Err(error) => Content::Bad { digest, error },
            }
        });
        Item { n: item.n, tx: item.tx, content }
    };
    items.iter().map(&mut read_one).collect()
}

/// Why a [`Content::Clash`] is refused.
pub(super) fn clash() -> CoreError {
    CoreError::new(Code::BadMessage, "this push has two contents under one number")
}
