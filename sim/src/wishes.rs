//! What became of deletions and of removals of fields, which leave no text behind that could be looked for.

use tidewire_core::json::Value;

use crate::oracle::Token;
use crate::releases::{first_path, stored_in};
use crate::world::World;

impl World {
    /// A deletion, or a removal, may come back to a restored server before what it removed, and then removes nothing.
    /// When a field was removed is known until the horizon.
    pub(crate) fn may_remove_nothing(&self, token: &Token) -> bool {
        let is_removal = token.path.starts_with('-');
        (is_removal || token.path.is_empty()) && self.labels.count("restored") > 0
            || is_removal && self.labels.count("pruned") > 0
    }

    /// A deletion, or the removal of a field, has no text.
    pub(crate) fn is_wish_granted(&self, token: &Token) -> bool {
        let holds = |tab: usize| self.tabs[tab].alive && self.held_ids(tab).contains(&token.id);
        let is_text_less = token.path.is_empty() || token.path.starts_with('-');
        if is_text_less && (0..self.tabs.len()).any(|tab| holds(tab) || self.has_letter(tab, token)) {
            return true;
        }
        let live = self.server.entity(token.collection, &token.id).filter(|row| !row.stored.deleted);
        match (live, token.path.strip_prefix("-/")) {
            (live, _) if token.path.is_empty() => {
                live.is_none()
                    || self.oracle.made_again.contains(&token.id)
                    || self.oracle.was_made_after(token, self.order_is_lost())
                    || self.labels.count("pruned") > 0 && self.oracle.turned.contains(&token.id)
                    || self.is_loss_told(token)
            }
            (None, Some(_)) => true,
            (Some(row), Some(field)) => stored_in(&row.stored.doc, field).is_none() || self.is_loss_told(token),
            _ => false,
        }
    }

    /// Whether a tab shows a deletion, or the removal of a field, as refused.
    fn has_letter(&self, tab: usize, token: &Token) -> bool {
        let queue = if self.tabs[tab].alive { self.view(tab, "queue") } else { Value::Null };
        let failed = queue.get("failed").and_then(Value::as_array);
        failed.is_some_and(|failed| failed.iter().any(|entry| is_wish_of(entry, token)))
    }

    /// Where a clock jumped, or a deletion was forgotten, nobody can tell that an insert is older than a deletion.
    fn order_is_lost(&self) -> bool {
        self.labels.count("clock jumped") > 0 || self.labels.count("pruned") > 0
    }

    /// What somebody wrote where he saw nothing.
    pub(crate) fn written_over_nothing(&self, removal: &Token) -> Vec<u32> {
        let Some(path) = removal.path.strip_prefix('-') else { return Vec::new() };
        let all = self.oracle.tokens.iter().enumerate();
        let over = all.filter(|(_, one)| one.over_nothing && one.id == removal.id && one.path == path);
        over.map(|(number, _)| number as u32).collect()
    }

    /// Somebody who removed the field, or deleted the note, is told that it did not come to that. Of several who did so
    /// only one is: the latest that is not the author's own.
    fn is_loss_told(&self, token: &Token) -> bool {
        let is_there = |path: &str| token.path.is_empty() || first_path(path) == token.path.trim_start_matches('-');
        let is_it = |one: &Value| {
            one.get("e").and_then(Value::as_str) == Some(token.id.as_str())
                && one.get("path").and_then(Value::as_str).is_some_and(is_there)
                && one.get("yours").is_none()
        };
        self.server.conflicts().any(is_it)
    }
}

/// Whether an edit, as a tab shows it, is this deletion or has this removal in it.
pub(crate) fn is_wish_of(entry: &Value, token: &Token) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let mut unset = entry.get("unset").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    text("id") == Some(token.id.as_str())
        && match token.path.strip_prefix('-') {
            Some(removed) => unset.any(|path| first_path(path) == removed),
            None => token.path.is_empty() && text("kind") == Some("delete"),
        }
}
