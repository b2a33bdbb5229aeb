//! The policy as it is for the author of one push.

use std::cell::{Cell, RefCell};

use tidewire_core::authority::Policy;
use tidewire_core::authority::fields::Mask;
use tidewire_core::authority::groups::is_visible;
use tidewire_core::authority::relations::Relations;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json::Value;
use tidewire_core::model::schema::{CollectionSettings, Settings};

use super::{Principal, ServerPolicy, Standing};
use crate::store::StoreError;

/// Where memberships are looked up.
pub type Granted<'a> = dyn Fn(&Owner) -> Result<Vec<Group>, StoreError> + 'a;

/// Who writes. A push may change its author's memberships: what he may do is worked out anew when it did.
pub struct Author<'a> {
    policy: &'a ServerPolicy,
    principal: &'a Principal,
    granted: &'a Granted<'a>,
    /// Memberships were written since they were looked up.
    stale: &'a Cell<bool>,
    standing: RefCell<Standing>,
    failure: RefCell<Option<StoreError>>,
}

impl<'a> Author<'a> {
    /// `stale` is set by whoever writes memberships.
    pub fn new(
        policy: &'a ServerPolicy,
        principal: &'a Principal,
        granted: &'a Granted<'a>,
        stale: &'a Cell<bool>,
    ) -> Self {
        stale.set(true);
        let (standing, failure) = (RefCell::default(), RefCell::default());
        Self { policy, principal, granted, stale, standing, failure }
    }

    /// Why memberships could not be looked up. Then nothing that was decided counts.
    ///
    /// # Errors
    /// Those of the store.
    pub fn check(&self) -> Result<(), StoreError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn with<T>(&self, ask: impl FnOnce(&Standing) -> T) -> T {
        if self.stale.replace(false) {
            let granted = (self.granted)(&self.principal.owner).unwrap_or_else(|error| {
                self.failure.replace(Some(error));
                Vec::new()
            });
            *self.standing.borrow_mut() = self.policy.standing(self.principal, granted);
        }
        ask(&self.standing.borrow())
    }
}

impl Policy for Author<'_> {
    fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    fn collection(&self, name: &CollectionName) -> Option<&CollectionSettings> {
        self.policy.collection(name)
    }

    fn check_access(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        let holders = self.policy.groups(collection, id, stored);
        if self.with(|standing| is_visible(standing.reads(), &holders)) {
            return Ok(());
        }
        Err(CoreError::new(Code::Forbidden, "you may not change this entity"))
    }

    fn check_write(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        self.with(|standing| self.policy.check_write(standing, collection, id, stored, doc))
    }

    fn check_revival(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        doc: &Value,
    ) -> Result<(), CoreError> {
        self.with(|standing| self.policy.check_revival(standing, collection, id, doc))
    }

    fn mask(&self, _user: &Owner, collection: &CollectionName, id: &EntityId, doc: &Value) -> Mask {
        self.with(|standing| self.policy.mask(standing, collection.as_str(), id, doc)).unwrap_or_default()
    }

    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        self.policy.groups(collection, id, doc)
    }

    fn reader_groups(&self, _user: &Owner) -> Vec<Group> {
        self.with(|standing| standing.reads().to_vec())
    }

    fn relations(&self) -> &Relations {
        self.policy.relations()
    }
}
