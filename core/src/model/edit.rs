//! A mutation as this device keeps it: the bytes that travel, and of what they say only what is asked again and again.
//!
//! A queue may hold fifty thousand of them, most of which nobody looks into before they are sent. Not here: what an
//! edit means; see [`Mutation`].
//!
//! Invariant: [`Edit::mutation`] is what [`Mutation::parse`] reads in the bytes, but for the base of an edit that is
//! [`rebased`](Edit::rebased), and for the entity of one that is [`of_another`](Edit::of_another).

use std::cell::OnceCell;
use std::ops::Deref;
use std::rc::Rc;

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, MutationId, Rev};
use crate::json::{self, JsonLimits, Raw, Value};
use crate::model::mutation::{Kind, Mutation};

/// An edit; a copy is the same one.
#[derive(Debug, Clone)]
pub struct Edit(Rc<Head>);

/// What is known of an edit without reading it.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its bytes.
    pub raw: Raw,
    /// As in [`Mutation`].
    pub collection: CollectionName,
    /// The entity that it is about.
    pub id: EntityId,
    /// The id that the bytes have, where that became another's.
    pub alias: Option<EntityId>,
    /// As in [`Mutation`].
    pub kind: Kind,
    /// As in [`Mutation`].
    pub base_rev: Rev,
    /// As in [`Mutation`].
    pub at: Hlc,
    /// As in [`Mutation`].
    pub retry_of: Option<MutationId>,
    /// A patch that was read: every look at its entity needs it. Others hold whole documents.
    read: OnceCell<Rc<Mutation>>,
}

impl Deref for Edit {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0
    }
}

impl PartialEq for Edit {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw && self.base_rev == other.base_rev && self.id == other.id
    }
}

impl Edit {
    /// An edit of this tab's own.
    pub fn of(mutation: Mutation) -> Self {
        let raw = Raw::trusted(json::to_text(&mutation));
        let Mutation { base_rev, retry_of, .. } = mutation;
        let (collection, id, kind, at) = (mutation.collection.clone(), mutation.id.clone(), mutation.kind, mutation.at);
        let read = OnceCell::new();
        let edit = Self(Rc::new(Head { raw, collection, id, alias: None, kind, base_rev, at, retry_of, read }));
        edit.keep(&Rc::new(mutation));
        edit
    }

    /// An edit with nothing before it, of which these are the bytes.
    pub(super) fn new(raw: Raw, kind: Kind, collection: CollectionName, id: EntityId, at: Hlc) -> Self {
        let read = OnceCell::new();
        Self(Rc::new(Head { raw, collection, id, alias: None, kind, base_rev: 0, at, retry_of: None, read }))
    }

    /// The bytes of an edit that went through [`Mutation::parse`], or were written by this crate, before.
    ///
    /// # Errors
    /// `bad-mutation` or `bad-name`.
    ///
    /// ```
    /// use tidewire_core::json::Raw;
    /// use tidewire_core::model::edit::Edit;
    /// let raw = Raw::parse(r#"{"c":"deals","id":"1","kind":"patch","base":3,"set":{"/city":"Ulm"},"at":[5,0]}"#)?;
    /// let edit = Edit::read(raw)?;
    /// assert_eq!((edit.id.as_str(), edit.base_rev), ("1", 3));
    /// assert_eq!(edit.mutation().set.len(), 1);
    /// # Ok::<(), tidewire_core::error::CoreError>(())
    /// ```
    pub fn read(raw: Raw) -> Result<Self, CoreError> {
        Self::read_beside(raw, &mut None)
    }

    /// As [`read`](Self::read), with the collection of the edit that was read before: most are about the same.
    pub(crate) fn read_beside(raw: Raw, before: &mut Option<CollectionName>) -> Result<Self, CoreError> {
        let mut found: [Option<&str>; 6] = [None; 6];
        // Where the stamp stands at the end, as nearly always, what is before it is not passed over.
        found[4] = stamp_at_end(raw.get());
        let in_front = found[4].is_some();
        json::members(raw.get(), &mut |key, value| {
            let place = ["c", "id", "kind", "base", "at", "retry_of"].iter().position(|known| *known == key);
            if let Some(place) = place.and_then(|place| found.get_mut(place)) {
                *place = Some(value);
            }
            !(in_front && found[..4].iter().all(Option::is_some))
        });
        let [Some(c), Some(id), Some(kind), Some(base), Some(at), retry_of] = found else {
            return Err(CoreError::new(Code::BadMutation, "a mutation lacks its head"));
        };
        let collection = match before {
            Some(known) if plain(c) == Some(known.as_str()) => known.clone(),
            _ => CollectionName::read(&value(c)?)?,
        };
        *before = Some(collection.clone());
        let id = match plain(id) {
            Some(id) => EntityId::parse(id)?,
            None => EntityId::read(&value(id)?)?,
        };
        let retry_of = retry_of.map(value).transpose()?.filter(|n| !n.is_null());
        let head = Head {
            collection,
            id,
            alias: None,
            kind: Kind::of(plain(kind).unwrap_or_default())?,
            base_rev: match base.parse() {
                Ok(base) => base,
                Err(_) => json::number(&value(base)?)?,
            },
            at: match stamp(at) {
                Some(at) => at,
                None => Hlc::read(&value(at)?)?,
            },
            retry_of: retry_of.map(|n| MutationId::read(&n)).transpose()?,
            read: OnceCell::new(),
            raw,
        };
        Ok(Self(Rc::new(head)))
    }

    /// The same edit against nothing: its base is a revision of another history.
    #[must_use]
    pub fn rebased(&self) -> Self {
        self.altered(self.id.clone(), self.alias.clone(), 0)
    }

    /// The same edit of the entity that the one of its bytes became; of that one again, if it is told so.
    #[must_use]
    pub fn of_another(&self, id: &EntityId) -> Self {
        let alias = Some(self.written()).filter(|written| *written != id).cloned();
        self.altered(id.clone(), alias, self.base_rev)
    }

    fn altered(&self, id: EntityId, alias: Option<EntityId>, base_rev: Rev) -> Self {
        let Head { raw, collection, kind, at, retry_of, .. } = &*self.0;
        let (raw, collection) = (raw.clone(), collection.clone());
        let (kind, at, retry_of, read) = (*kind, *at, *retry_of, OnceCell::new());
        Self(Rc::new(Head { raw, collection, id, alias, kind, base_rev, at, retry_of, read }))
    }

    /// [`of_another`](Self::of_another), if it is one's.
    #[must_use]
    pub(crate) fn standing_for(self, other: Option<&EntityId>) -> Self {
        match other {
            Some(id) => self.of_another(id),
            None => self,
        }
    }

    /// The entity that its bytes name.
    pub fn written(&self) -> &EntityId {
        self.alias.as_ref().unwrap_or(&self.id)
    }

    /// All that it says; of an edit that a later release wrote, and nobody here can read, nothing: what makes a new
    /// edit of it takes [`whole`](Self::whole).
    pub fn mutation(&self) -> Rc<Mutation> {
        self.whole().unwrap_or_else(|_| {
            let mut nothing = Mutation::empty(self.collection.clone(), self.id.clone(), self.at);
            nothing.base_rev = self.base_rev;
            Rc::new(nothing)
        })
    }

    /// All that it says.
    ///
    /// # Errors
    /// `bad-mutation`, `bad-path` and the others of [`Mutation::parse`].
    pub fn whole(&self) -> Result<Rc<Mutation>, CoreError> {
        if let Some(known) = self.read.get() {
            return Ok(known.clone());
        }
        let mut mutation = Mutation::parse(self.raw.get().as_bytes())?;
        mutation.base_rev = self.base_rev;
        if self.alias.is_some() {
            mutation.id = self.id.clone();
        }
        let mutation = Rc::new(mutation);
        self.keep(&mutation);
        Ok(mutation)
    }

    /// Whether the bytes say what is known of it.
    pub fn is_as_read(&self) -> bool {
        let read = Mutation::parse(self.raw.get().as_bytes());
        let head =
            Self::read(self.raw.clone()).map(|edit| (edit.target(), edit.kind, edit.base_rev, edit.at, edit.retry_of));
        head == Ok((self.target(), self.kind, self.base_rev, self.at, self.retry_of))
            && read.is_ok_and(|read| self.read.get().is_none_or(|known| **known == read))
    }

    fn keep(&self, mutation: &Rc<Mutation>) {
        if self.kind == Kind::Patch {
            let _known = self.read.set(mutation.clone());
        }
    }

    /// The entity that it is about.
    pub fn target(&self) -> (CollectionName, EntityId) {
        (self.collection.clone(), self.id.clone())
    }
}

/// The stamp of an edit whose last fields are those that this crate writes last, and that tries none again.
fn stamp_at_end(text: &str) -> Option<&str> {
    let text = text.strip_suffix('}')?;
    let text = text.strip_suffix(",\"synced_clock\":true").unwrap_or(text);
    let (before, stamp) = text.split_at_checked(text.rfind('[')?)?;
    (before.ends_with(",\"at\":") && stamp.ends_with(']')).then_some(stamp)
}

/// A stamp as this crate writes it.
fn stamp(text: &str) -> Option<Hlc> {
    let (ms, counter) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
    Some(Hlc(ms.parse().ok()?, counter.parse().ok()?))
}

/// A text without escapes.
fn plain(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

fn value(text: &str) -> Result<Value, CoreError> {
    json::parse(text.as_bytes(), JsonLimits::MESSAGE)
}
