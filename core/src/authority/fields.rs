//! Fields that not everybody sees who sees the entity: hidden ones are not there for others, of masked ones others see
//! the end.
//!
//! The invariant: what is told of an entity, in whatever form, goes through the [`Mask`] of its reader, and nobody
//! writes where he does not see.

use crate::authority::groups::GroupRule;
use crate::error::{Code, CoreError};
use crate::ids::{EntityId, Group};
use crate::json::Value;
use crate::model::document;
use crate::model::mutation::Mutation;
use crate::model::path::Path;
use crate::protocol::message::Verdict;

/// What stands for the beginning of a masked text, however long it is.
const STARS: &str = "****";

/// Who sees a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// The field, with all that is in it.
    pub path: Path,
    /// Those who see it, of those who see the entity.
    pub shown_to: Vec<GroupRule>,
    /// The characters at the end of a text that everybody sees; `None`: it is hidden.
    pub keep: Option<usize>,
}

/// The fields of a collection that not everybody sees.
///
/// ```
/// use tidewire_core::authority::fields::{FieldRule, FieldRules};
/// use tidewire_core::authority::groups::{GroupRule, field_path};
/// use tidewire_core::ids::{EntityId, Group};
/// use tidewire_core::json;
///
/// let rule = |name: &str, keep| FieldRule {
///     path: field_path(name).unwrap(),
///     shown_to: vec![GroupRule::parse("role:hr").unwrap(), GroupRule::parse("user:{userId}").unwrap()],
///     keep,
/// };
/// let rules = FieldRules(vec![rule("pay", None), rule("iban", Some(4))]);
/// let id = EntityId::parse("p1").unwrap();
/// let ann = json!({"userId": "ann", "pay": 7, "iban": "DE021234567890"});
/// let seen_by = |group: &str| {
///     let mut doc = ann.clone();
///     rules.mask(&[Group::parse(group).unwrap()], &id, &ann).document(&mut doc);
///     doc
/// };
/// assert_eq!(seen_by("role:hr"), ann);
/// assert_eq!(seen_by("user:ann"), ann);
/// assert_eq!(seen_by("user:ben"), json!({"userId": "ann", "iban": "****7890"}));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldRules(pub Vec<FieldRule>);

/// The fields of one entity that one reader does not see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask(Vec<(Path, Option<usize>)>);

impl FieldRules {
    /// What somebody in these groups does not see of an entity. They need not be widened.
    pub fn mask(&self, reader: &[Group], id: &EntityId, doc: &Value) -> Mask {
        let unseen = |rule: &&FieldRule| !rule.shown_to.iter().any(|to| to.admits(reader, id, doc));
        Mask(self.0.iter().filter(unseen).map(|rule| (rule.path.clone(), rule.keep)).collect())
    }
}

impl Mask {
    /// Whether its reader sees all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether somebody may write at these paths. Asked of every write, whether it would change something or not: who
    /// is told that nothing changed has guessed the value.
    ///
    /// # Errors
    /// `forbidden` with the path.
    pub fn check<'p>(&self, paths: impl IntoIterator<Item = &'p Path>) -> Result<(), CoreError> {
        for path in paths {
            if self.0.iter().any(|(unseen, _)| unseen.overlaps(path)) {
                let message = "you may not write a field that you do not see whole";
                return Err(CoreError::new(Code::Forbidden, message).at(path.as_str()));
            }
        }
        Ok(())
    }

    /// A deletion that does not say what its author has seen where he does not see: whether that was so would tell.
    pub(super) fn unguessed(&self, edit: &Mutation) -> Mutation {
        let mut edit = edit.clone();
        edit.was.retain(|path, _| !self.0.iter().any(|(unseen, _)| unseen.overlaps(path)));
        edit
    }

    /// Whether a path lies where its reader does not see.
    pub fn hides(&self, path: &Path) -> bool {
        self.0.iter().any(|(unseen, _)| unseen.covers(path))
    }

    /// The first path where the reader of this one does not see, and that of the other does.
    pub fn shown_by<'m>(&'m self, other: &Self) -> Option<&'m Path> {
        self.0.iter().map(|(path, _)| path).find(|path| !other.0.iter().any(|(unseen, _)| unseen == *path))
    }

    /// The document as the reader sees it.
    pub fn document(&self, doc: &mut Value) {
        for (path, keep) in &self.0 {
            conceal(doc, path, *keep);
        }
    }

    /// A value at a path as the reader sees it.
    pub fn value(&self, path: &Path, value: Option<Value>) -> Option<Value> {
        let mut value = value?;
        for (unseen, keep) in &self.0 {
            if unseen == path {
                value = masked(&value, (*keep)?);
            } else if unseen.covers(path) {
                return None;
            } else if path.covers(unseen)
                && let Some(Ok(rest)) = unseen.as_str().strip_prefix(path.as_str()).map(Path::parse)
            {
                conceal(&mut value, &rest, *keep);
            }
        }
        Some(value)
    }

    /// A value of the reader's own at a path: without what lies below it where he does not see.
    pub fn own(&self, path: &Path, value: Option<Value>) -> Option<Value> {
        Self(self.0.iter().filter(|(unseen, _)| unseen != path && path.covers(unseen)).cloned().collect())
            .value(path, value)
    }

    /// Takes out of a verdict what others wrote where its author does not see.
    pub fn verdict(&self, verdict: &mut Verdict) {
        let (Verdict::Merged { overwritten, displaced, .. } | Verdict::Conflict { overwritten, displaced, .. }) =
            verdict
        else {
            return;
        };
        // The names of what is below a field tell of it, too.
        overwritten.retain(|lost| !self.hides(&lost.path));
        displaced.retain(|lost| !self.hides(&lost.path));
        for lost in overwritten {
            lost.kept = self.value(&lost.path, lost.kept.take());
        }
        for lost in displaced {
            lost.yours = self.value(&lost.path, lost.yours.take());
        }
    }
}

fn conceal(doc: &mut Value, path: &Path, keep: Option<usize>) {
    let Some(value) = document::get(doc, path) else { return };
    match keep {
        None => drop(document::remove(doc, path)),
        Some(keep) => {
            let shown = masked(value, keep);
            document::set(doc, path, shown);
        }
    }
}

/// The end of a text, if that is no more than half of it. Of anything else nothing is seen but that it is there.
fn masked(value: &Value, keep: usize) -> Value {
    let text = value.as_str().unwrap_or_default();
    let length = text.chars().count();
    if value.is_null() {
        return Value::Null;
    }
    let end: String =
        if length >= keep.saturating_mul(2) { text.chars().skip(length - keep).collect() } else { String::new() };
    Value::from(format!("{STARS}{end}"))
}
