//! Who may see what: notes and accounts are everybody's or one user's, papers and their lines are a team's, and some
//! are their author's as well.

use tidewire_core::authority::Policy;
use tidewire_core::authority::memory::{DeclaredPolicy, OpenPolicy};
use tidewire_core::authority::relations::{OnDelete, Relations};
use tidewire_core::error::CoreError;
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json::Value;
use tidewire_core::model::migration::Migrations;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, FieldStrategy, Settings};

use crate::scenario::Setup;
use crate::server::{name, user_name};

/// Teams there are; everybody is in two of them at the beginning.
pub(crate) const TEAMS: usize = 3;

/// Collections that teams have, sorted: a line falls with its paper.
pub(crate) const OF_TEAMS: [&str; 2] = ["lines", "papers"];

/// See the module's text.
#[derive(Debug)]
pub(crate) struct SimPolicy {
    settings: Settings,
    open: OpenPolicy,
    teams: DeclaredPolicy,
    /// The way to the version of the schema that the server has.
    pub(crate) migrations: Option<Migrations>,
}

impl SimPolicy {
    /// # Errors
    /// None that can come of these names.
    pub(crate) fn new(setup: &Setup) -> Result<Self, CoreError> {
        let mut settings = Settings::default();
        let of = |conflict, on_delete_conflict| CollectionSettings {
            conflict,
            on_delete_conflict,
            ..CollectionSettings::default()
        };
        settings.insert(name("accounts"), CollectionSettings::default());
        for collection in OF_TEAMS.iter().chain(&["notes"]) {
            settings.insert(name(collection), of(setup.strategy, setup.deletes));
        }
        let words = Path::of_key("words")?;
        let fields = [(words, FieldStrategy::Union)].into_iter().collect();
        settings.insert(name("people"), CollectionSettings { fields, ..CollectionSettings::default() });
        let mut teams = DeclaredPolicy::default();
        for collection in OF_TEAMS {
            teams = teams.collection(collection, &["team:{team}", "writer:{author}"])?;
        }
        let mut policy = Self {
            open: OpenPolicy { settings: settings.clone(), private_to: Some("private".into()) },
            teams: teams.refers("lines", "paper", "papers", OnDelete::Cascade)?.known_by("people", &["code"])?,
            settings,
            migrations: None,
        };
        let users = setup.devices.iter().map(|device| device.user).max().unwrap_or_default();
        for user in 0..=users {
            policy.teams.grant(&user_name(user), &format!("writer:{}", user_name(user)))?;
            for team in [user, user + 1] {
                policy.admit(user, team % TEAMS, true)?;
            }
        }
        Ok(policy)
    }

    /// Lets a user into a team, or puts him out of it. Returns whether that changed anything.
    pub(crate) fn admit(&mut self, user: usize, team: usize, is_in: bool) -> Result<bool, CoreError> {
        let (subject, group) = (user_name(user), format!("team:{team}"));
        if is_in { self.teams.grant(&subject, &group) } else { self.teams.revoke(&subject, &group) }
    }

    fn of(&self, collection: &CollectionName) -> &dyn Policy {
        if OF_TEAMS.contains(&collection.as_str()) { &self.teams } else { &self.open }
    }
}

impl Policy for SimPolicy {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn migrations(&self) -> Option<&Migrations> {
        self.migrations.as_ref()
    }

    fn check_access(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        self.of(collection).check_access(user, collection, id, stored)
    }

    fn check_write(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        self.of(collection).check_write(user, collection, id, stored, doc)
    }

    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        self.of(collection).groups(collection, id, doc)
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        let mut groups = self.open.reader_groups(user);
        groups.extend(self.teams.reader_groups(user));
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn relations(&self) -> &Relations {
        self.teams.relations()
    }
}
