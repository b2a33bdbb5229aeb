//! The way from one version of an app's schema to the next, as data, so that both ends go it alike.
//!
//! A step names a field. So it says what becomes of a document, and also what becomes of an edit that was made before:
//! of the paths that it names, of the values that it brings, and of those that its author saw.
//!
//! Invariant 13: where all of it is defined, the migrated edit makes of the migrated document what migrating makes of
//! the edited one. An edit of which that cannot be said is refused with `migration`, and nothing is guessed.

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{self, Fields, Value};
use crate::limits::DEPTH_MAX;
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::planted::Bug;
use crate::small::SmallMap;

/// The version of a schema of which nothing is said.
pub const FIRST: u64 = 1;

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It has another name, in the same object.
    Rename {
        /// The old path.
        from: Path,
        /// The new one.
        to: Path,
    },
    /// A top-level field is no more, nor what edits say of it.
    Remove {
        /// Its path.
        field: Path,
    },
    /// A top-level field has a value where it had none.
    Default {
        /// Its path.
        field: Path,
        /// The value.
        value: Value,
    },
}

/// The steps of all collections to one version.
type Steps = SmallMap<CollectionName, Vec<Step>>;

/// The way from the oldest version that is known to the present one.
#[derive(Debug, Clone, PartialEq)]
pub struct Migrations {
    oldest: u64,
    /// To the version after the oldest, and so on.
    steps: Vec<Steps>,
}

impl Migrations {
    /// Reads it: for each version up to `version`, without a gap, the steps that lead to it, by collection.
    ///
    /// # Errors
    /// `bad-config`.
    ///
    /// ```
    /// use tidewire_core::json;
    /// use tidewire_core::model::{migration::Migrations, mutation::Mutation};
    /// let steps = json!({"2": {"todos": [{"rename": "address.town", "to": "address.city"}]}});
    /// let migrations = Migrations::read(2, &steps)?;
    /// let old = Mutation::parse(
    ///     br#"{"c":"todos","id":"1","kind":"patch","base":3,"set":{"/address/town":"Ulm"},"at":[5,0]}"#,
    /// )?;
    /// let new = migrations.mutation(&old)?;
    /// assert_eq!(new.set.keys().next().unwrap().as_str(), "/address/city");
    /// assert_eq!(new.schema, 2);
    /// # Ok::<(), tidewire_core::error::CoreError>(())
    /// ```
    pub fn read(version: u64, value: &Value) -> Result<Self, CoreError> {
        Self::read_all(version, value).map_err(|_| wrong())
    }

    fn read_all(version: u64, value: &Value) -> Result<Self, CoreError> {
        let mut versions: SmallMap<u64, Steps> = SmallMap::new();
        for (key, steps) in entries(value)? {
            let number = key.parse().map_err(|_| wrong())?;
            versions.insert(number, read_steps(steps)?);
        }
        let oldest = versions.keys().next().map_or(version, |number| number.saturating_sub(1));
        let is_whole = (oldest + 1..).zip(versions.keys()).all(|(expected, number)| expected == *number);
        if oldest < FIRST || !is_whole || oldest + versions.len() as u64 != version {
            return Err(wrong());
        }
        Ok(Self { oldest, steps: versions.values().cloned().collect() })
    }

    /// Where it leads.
    pub fn version(&self) -> u64 {
        self.oldest + self.steps.len() as u64
    }

    /// A document of an older version as it is now.
    ///
    /// # Errors
    /// `migration`.
    pub fn document(&self, collection: &CollectionName, schema: u64, mut doc: Value) -> Result<Value, CoreError> {
        for step in self.way(collection, schema)? {
            match step {
                Step::Rename { from, to } => rename(&mut doc, from, to)?,
                Step::Remove { field } => {
                    document::remove(&mut doc, field);
                }
                Step::Default { field, value } if document::get(&doc, field).is_none() => {
                    document::set(&mut doc, field, value.clone());
                }
                Step::Default { .. } => {}
            }
        }
        Ok(doc)
    }

    /// An edit of an older version as it would be made now.
    ///
    /// # Errors
    /// `migration`, with the path.
    pub fn mutation(&self, old: &Mutation) -> Result<Mutation, CoreError> {
        match self.brought(old) {
            // What was made of it is no edit: a path became too long.
            Err(error) if error.code != Code::Migration => Err(refused()),
            done => done,
        }
    }

    fn brought(&self, old: &Mutation) -> Result<Mutation, CoreError> {
        let mut new = old.clone();
        for step in self.way(&old.collection, old.schema)? {
            match step {
                Step::Rename { from, to } => rename_in(&mut new, from, to)?,
                Step::Remove { field } => remove_in(&mut new, field),
                // Of a delete that says nothing of what its author saw, nothing is known.
                Step::Default { .. } if new.kind == Kind::Delete && new.was.is_empty() => {}
                Step::Default { field, value } => default_in(&mut new, field, value)?,
            }
        }
        let is_empty = |mutation: &Mutation| {
            mutation.kind == Kind::Patch
                && mutation.paths().next().is_none()
                && mutation.resolves.is_empty()
                && mutation.reopens.is_empty()
        };
        if is_empty(&new) && !is_empty(old) {
            let path = old.paths().next().map(Path::as_str).unwrap_or_default();
            return Err(refused().at(path));
        }
        new.schema = self.version();
        new.check()?;
        Ok(new)
    }

    /// A path of an older version as it is now; `None`: its field is no more, or its name another's.
    ///
    /// # Errors
    /// `migration`: nothing is known of that version.
    pub fn path(&self, collection: &CollectionName, schema: u64, path: &Path) -> Result<Option<Path>, CoreError> {
        let mut path = path.clone();
        for step in self.way(collection, schema)? {
            match step {
                Step::Rename { to, .. } if to.covers(&path) => return Ok(None),
                Step::Rename { from, to } => path = renamed(&path, from, to)?,
                Step::Remove { field } if field.covers(&path) => return Ok(None),
                Step::Remove { .. } | Step::Default { .. } => {}
            }
        }
        Ok(Some(path))
    }

    /// The steps that a collection's documents and edits of this version have before them.
    fn way(&self, collection: &CollectionName, schema: u64) -> Result<impl Iterator<Item = &Step>, CoreError> {
        let gone = schema.checked_sub(self.oldest).and_then(|gone| usize::try_from(gone).ok());
        let Some(ahead) = gone.and_then(|gone| self.steps.get(gone..)) else {
            return Err(refused());
        };
        Ok(ahead.iter().filter_map(|steps| steps.get(collection.as_str())).flatten())
    }
}

fn entries(value: &Value) -> Result<impl Iterator<Item = (&String, &Value)>, CoreError> {
    let map = value.as_object().ok_or_else(wrong)?;
    Ok(map.iter())
}

fn read_steps(value: &Value) -> Result<Steps, CoreError> {
    let mut all = Steps::new();
    for (name, steps) in entries(value)? {
        let mut list = Vec::new();
        for step in steps.as_array().ok_or_else(wrong)? {
            list.push(Step::read(step)?);
        }
        all.insert(CollectionName::parse(name)?, list);
    }
    Ok(all)
}

impl Step {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        if let Some(from) = fields.get("rename") {
            let (from, to) = (path_of(from)?, path_of(fields.need("to")?)?);
            if from == to || from.ancestors().last() != to.ancestors().last() {
                return Err(wrong());
            }
            return Ok(Self::Rename { from, to });
        }
        let remove = fields.get("remove");
        let field = match remove {
            Some(field) => path_of(field)?,
            None => path_of(fields.need("default")?)?,
        };
        if field.depth() > 1 {
            return Err(wrong());
        }
        if remove.is_some() {
            return Ok(Self::Remove { field });
        }
        let Some(value) = fields.any("value") else { return Err(wrong()) };
        json::check(value, DEPTH_MAX - 1)?;
        Ok(Self::Default { field, value: value.clone() })
    }
}

/// A path as the app names one: keys with dots between them, or a list of keys.
fn path_of(value: &Value) -> Result<Path, CoreError> {
    let mut path: Option<Path> = None;
    if let Some(text) = value.as_str() {
        for key in text.split('.') {
            path = Some(Path::below(path.as_ref(), key)?);
        }
    }
    for key in value.as_array().into_iter().flatten() {
        path = Some(Path::below(path.as_ref(), json::text(key)?)?);
    }
    path.filter(|path| path.top() != "/id").ok_or_else(wrong)
}

/// Renames in a document, or in a value with the paths as they are there.
fn rename(doc: &mut Value, from: &Path, to: &Path) -> Result<(), CoreError> {
    if document::get(doc, to).is_some() {
        return Err(refused().at(to.as_str()));
    }
    if let Some(value) = document::remove(doc, from) {
        document::set(doc, to, value);
    }
    Ok(())
}

fn rename_in(mutation: &mut Mutation, from: &Path, to: &Path) -> Result<(), CoreError> {
    let Mutation { set, unset, inc, add, remove, was, .. } = mutation;
    for values in [&mut *set, &mut *was] {
        for (path, value) in values.iter_mut() {
            if path != from && path.covers(from) {
                rename(value, &within(from, path)?, &within(to, path)?)?;
            }
        }
    }
    *set = moved(set, from, to)?;
    if !Bug::WasNotMigrated.is_planted() {
        *was = moved(was, from, to)?;
    }
    *inc = moved(inc, from, to)?;
    *add = moved(add, from, to)?;
    *remove = moved(remove, from, to)?;
    for path in unset {
        *path = renamed(path, from, to)?;
    }
    Ok(())
}

/// A path as it is in the value at another one.
fn within(whole: &Path, at: &Path) -> Result<Path, CoreError> {
    Path::parse(whole.as_str().get(at.as_str().len()..).unwrap_or_default())
}

/// A path that lies in a renamed field, under its new name.
fn renamed(path: &Path, from: &Path, to: &Path) -> Result<Path, CoreError> {
    if to.covers(path) {
        return Err(refused().at(path.as_str()));
    }
    if !from.covers(path) || Bug::DeepPathsStay.is_planted() && path != from {
        return Ok(path.clone());
    }
    Path::parse(&[to.as_str(), path.as_str().get(from.as_str().len()..).unwrap_or_default()].concat())
}

/// Each entry under its new path.
fn moved<T: Clone>(entries: &SmallMap<Path, T>, from: &Path, to: &Path) -> Result<SmallMap<Path, T>, CoreError> {
    let mut all = SmallMap::new();
    for (path, value) in entries.iter() {
        all.insert(renamed(path, from, to)?, value.clone());
    }
    Ok(all)
}

fn remove_in(mutation: &mut Mutation, field: &Path) {
    let Mutation { set, unset, inc, add, remove, was, .. } = mutation;
    set.retain(|path, _| !field.covers(path));
    was.retain(|path, _| !field.covers(path));
    inc.retain(|path, _| !field.covers(path));
    add.retain(|path, _| !field.covers(path));
    remove.retain(|path, _| !field.covers(path));
    unset.retain(|path| !field.covers(path));
}

fn default_in(mutation: &mut Mutation, field: &Path, value: &Value) -> Result<(), CoreError> {
    match mutation.kind {
        Kind::Insert => {
            if !mutation.set.contains_key(field) {
                mutation.set.insert(field.clone(), value.clone());
            }
            return Ok(());
        }
        Kind::Delete => {}
        Kind::Patch => {
            let Some(touched) = mutation.paths().find(|path| field.covers(path)).cloned() else { return Ok(()) };
            if !is_neutral(mutation, field, &touched, value) {
                return Err(refused().at(touched.as_str()));
            }
            if touched != *field {
                return Ok(());
            }
            if let Some(at) = mutation.unset.iter().position(|path| path == field) {
                mutation.unset.remove(at);
                mutation.set.insert(field.clone(), value.clone());
            }
        }
    }
    if !mutation.was.contains_key(field) {
        mutation.was.insert(field.clone(), value.clone());
    }
    Ok(())
}

/// Whether what an edit does at, or below, a field comes to the same with this default in place of nothing.
fn is_neutral(mutation: &Mutation, field: &Path, touched: &Path, value: &Value) -> bool {
    if mutation.was.contains_key(touched) {
        return true;
    }
    if touched != field {
        return value.as_object().is_some_and(json::Map::is_empty);
    }
    let is_array = |value: &Value| value.as_array().is_some_and(|items| items.is_empty());
    (!mutation.inc.contains_key(field) || value.as_f64() == Some(0.0))
        && (!mutation.add.contains_key(field) && !mutation.remove.contains_key(field) || is_array(value))
}

/// The type of `Migrations` in TypeScript says how they are meant: few words, as each is in every app's download.
fn wrong() -> CoreError {
    CoreError::new(Code::BadConfig, "`migrations` cannot be read")
}

/// The path says about which field.
fn refused() -> CoreError {
    CoreError::new(Code::Migration, "the schema has changed: edit or discard it")
}
