//! A cloned store is known by its numbers: the same one, with other content (rule 8).

use crate::authority::Rows;
use crate::authority::item::{Content, Item};
use crate::planted::Bug;
use crate::protocol::message::ForkedItem;

/// What the sender has to know if this push comes from a clone: per number, decided with the same content, with other
/// content, or not at all. `None` if it does not.
///
/// Below the floor the sender has durably read every verdict, so an unknown number there comes from an older copy of
/// it. A void makes no fork, but content does that comes to a number under which another edit was given up.
pub(super) fn find<R: Rows>(rows: &mut R, replica: &str, items: &[Item]) -> Result<Option<Vec<ForkedItem>>, R::Error> {
    let floor = rows.floor()?;
    let mut forked = false;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let mut one = ForkedItem { n: item.n, same: None, differs: false };
        match (rows.verdict(replica, item.n)?, &item.content) {
            (Some((_, verdict)), Content::Void(_)) | (Some((None, verdict)), _) => one.same = Some(verdict),
            (Some((decided, verdict)), _) if item.is_what(decided, &verdict) => one.same = Some(verdict),
            (Some(_), Content::Clash) | (None, Content::Void(_) | Content::Clash) => {}
            (Some(_), _) => one.differs = true,
            (None, _) => forked |= item.n < floor,
        }
        forked |= one.differs;
        out.push(one);
    }
    Ok((forked && !Bug::NoFork.is_planted()).then_some(out))
}
