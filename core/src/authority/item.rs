//! The items of a push, read.

use std::collections::BTreeMap;

use crate::authority::upcast::upcast;
use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::MutationId;
use crate::json::{self, JsonLimits};
use crate::model::former::Former;
use crate::model::migration::Migrations;
use crate::model::mutation::{Kind, Mutation};
use crate::model::origin;
use crate::planted::Bug;
use crate::protocol::message::{PushItem, Verdict};

/// One item.
pub(super) struct Item {
    pub(super) n: MutationId,
    pub(super) tx: Option<MutationId>,
    /// The name under which it may have gone up before, with the digest of what it was there.
    pub(super) former: Option<(Former, u64)>,
    pub(super) content: Content,
}

/// What an item carries.
pub(super) enum Content {
    /// This number will never carry content. With the stamp of the edit that had it.
    Void(Option<Hlc>),
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
    /// The digest of what this number stands for: the content or, of a void, the stamp of what it gives up.
    pub(super) fn digest(&self) -> Option<u64> {
        match self.content {
            Content::Edit { digest, .. } | Content::Bad { digest, .. } => Some(digest),
            Content::Void(at) => at.map(digest_of_stamp),
            Content::Clash => None,
        }
    }

    /// Of an edit that may be known joined with earlier ones, and alone: the digest of its stamp, and whether it is
    /// joined here.
    pub(super) fn stamp(&self) -> Option<(u64, bool)> {
        let Content::Edit { edit, .. } = &self.content else { return None };
        (edit.joined || self.former.is_some()).then(|| (digest_of_stamp(edit.at), edit.joined))
    }

    /// Whether this is what was decided: the same content or, where the number was given up, the edit that had it then.
    pub(super) fn is_what(&self, digest: Option<u64>, verdict: &Verdict) -> bool {
        match (&self.content, verdict) {
            (Content::Edit { edit, .. }, Verdict::Void) => {
                Bug::VoidForAll.is_planted() || digest == Some(digest_of_stamp(edit.at))
            }
            _ => digest == self.digest(),
        }
    }
}

/// Edits of older versions of the schema are read as they would be made now; their digests are of what was sent.
pub(super) fn read(items: &[PushItem], migrations: Option<&Migrations>) -> Vec<Item> {
    let mut seen: BTreeMap<MutationId, u64> = BTreeMap::new();
    let mut read_one = |item: &PushItem| {
        let content = item.m.as_ref().map_or(Content::Void(item.at), |raw| {
            let bytes = raw.get().as_bytes();
            let digest = Mutation::digest(bytes);
            if *seen.entry(item.n).or_insert(digest) != digest {
                return Content::Clash;
            }
            match Mutation::parse(bytes).and_then(|edit| upcast(migrations, edit)) {
                Ok(mut edit) => {
                    edit.brought |= origin::is_kept(raw.get()) && edit.kind == Kind::Patch;
                    if item.old {
                        edit.base_rev = 0;
                    } else if edit.kind == Kind::Delete {
                        let whole = json::parse(bytes, JsonLimits::MESSAGE).ok();
                        edit.seen = whole.and_then(|edit| edit.get("seen")?.as_u64());
                    }
                    Content::Edit { digest, bytes: bytes.len(), edit: Box::new(edit) }
                }
                Err(error) => Content::Bad { digest, error },
            }
        });
        let former = item.m.as_ref().and_then(|raw| Former::read(raw.get()));
        let former = former.map(|(former, bytes)| (former, Mutation::digest(bytes.as_bytes())));
        Item { n: item.n, tx: item.tx, former, content }
    };
    items.iter().map(&mut read_one).collect()
}

fn digest_of_stamp(Hlc(ms, counter): Hlc) -> u64 {
    Mutation::digest(format!("{ms},{counter}").as_bytes())
}

/// Why a [`Content::Clash`] is refused.
pub(super) fn clash() -> CoreError {
    CoreError::new(Code::BadMessage, "this push has two contents under one number")
}
