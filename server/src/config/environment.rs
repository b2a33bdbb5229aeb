//! Keys from the environment: `TIDEWIRE_SERVER__PORT=80` is `server.port = 80`, and
//! `TIDEWIRE_COLLECTIONS__notes__groups` is `groups` of `[collections.notes]`. Two underscores stand between names; a
//! name's case does not matter.
//!
//! Invariant: an error names the variable, and of its value no more than the parser says.

use std::path::Path;

use toml::{Table, Value};

use super::{Config, ConfigError};

/// What the names of all of them begin with.
const PREFIX: &str = "TIDEWIRE_";
/// Between the names of tables and keys.
const BETWEEN: &str = "__";

/// One variable that is a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    variable: String,
    path: Vec<String>,
    text: String,
}

impl Setting {
    /// Those among some variables, in the order of their names.
    pub fn among(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        let setting = |(variable, text): (String, String)| {
            let path: Vec<String> = variable.strip_prefix(PREFIX)?.split(BETWEEN).map(str::to_owned).collect();
            (path.len() > 1 && path.iter().all(|name| !name.is_empty())).then_some(Self { variable, path, text })
        };
        let mut settings: Vec<Self> = variables.into_iter().filter_map(setting).collect();
        settings.sort_by(|a, b| a.variable.cmp(&b.variable));
        settings
    }

    /// What the variable may mean: a value as TOML writes it, or else a text.
    fn values(&self) -> Vec<Value> {
        let written = toml::from_str::<Table>(&format!("value = {}", self.text)).ok();
        let written = written.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
        written.into_iter().chain([Value::String(self.text.clone())]).collect()
    }

    fn put(&self, table: &mut Table, value: Value) -> Result<(), ConfigError> {
        let Some((last, tables)) = self.path.split_last() else { return Ok(()) };
        let mut at = table;
        for name in tables {
            let name = as_declared(at, name);
            let below = at.entry(name).or_insert_with(|| Value::Table(Table::new()));
            at = below.as_table_mut().ok_or_else(|| self.refused("there is no table of this name"))?;
        }
        at.insert(as_declared(at, last), value);
        Ok(())
    }

    fn refused(&self, why: &str) -> ConfigError {
        let key = self.path.join(".").to_lowercase();
        ConfigError(format!("{}: {key}: {}", self.variable, why.trim_end()))
    }
}

/// A name as it is written already, or else in small letters.
fn as_declared(table: &Table, name: &str) -> String {
    let known = table.keys().find(|known| known.eq_ignore_ascii_case(name));
    known.cloned().unwrap_or_else(|| name.to_lowercase())
}

/// The text of a file with what the environment says over it.
///
/// # Errors
/// Names the variable that cannot be.
pub(super) fn over(text: &str, settings: &[Setting]) -> Result<String, ConfigError> {
    let mut table: Table = toml::from_str(text).map_err(|error| ConfigError(error.message().to_owned()))?;
    for setting in settings {
        let mut refusal = None;
        for value in setting.values() {
            let mut next = table.clone();
            setting.put(&mut next, value)?;
            match toml::from_str::<Config>(&written(&next)?) {
                Ok(_) => {
                    (table, refusal) = (next, None);
                    break;
                }
                // Of both readings the first is what was meant, if it is one.
                Err(error) => refusal = refusal.or(Some(setting.refused(error.message()))),
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    written(&table)
}

fn written(table: &Table) -> Result<String, ConfigError> {
    toml::to_string(table).map_err(|error| ConfigError(error.to_string()))
}

/// What is configured, by a file and the environment, as TOML, without its secrets.
///
/// # Errors
/// Those of the file and the variables.
pub fn printed(file: Option<&Path>, settings: &[Setting]) -> Result<String, ConfigError> {
    let mut table: Table =
        toml::from_str(&super::text_of(file, settings)?.1).map_err(|error| ConfigError(error.message().to_owned()))?;
    redact(&mut table);
    written(&table)
}

/// Paths of files with secrets are none.
fn redact(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(below) => redact(below),
            Value::String(text) if key.contains("secret") && !key.ends_with("_file") => "(set)".clone_into(text),
            Value::Array(all) => all.iter_mut().filter_map(Value::as_table_mut).for_each(redact),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let text = over(text, &Setting::among(variables)).map_err(|error| error.0)?;
        Config::parse("t.toml", &text).map_err(|error| error.0)
    }

    #[test]
    fn a_variable_goes_before_the_file_whatever_its_type() {
        let toml = "[server]\nport = 1\n[auth]\nissuer = \"file\"\n[collections.Notes]\nrequired = [\"/a\"]\n";
        let found = config(
            toml,
            &[
                ("TIDEWIRE_SERVER__PORT", "9000"),
                ("TIDEWIRE_SERVER__ORIGINS", "[\"https://a.example\", \"https://b.example\"]"),
                ("TIDEWIRE_AUTH__ISSUER", "https://login.example/"),
                ("TIDEWIRE_AUTH__AUDIENCE", "42"),
                ("TIDEWIRE_COLLECTIONS__NOTES__MAX_BYTES", "77"),
                ("TIDEWIRE_COLLECTIONS__tasks__GROUPS", "[\"user:{ownerId}\"]"),
                ("TIDEWIRE_SERVER", "not one of these"),
                ("TIDEWIRE_RUNS", "3"),
                ("PATH", "/bin"),
            ],
        )
        .expect("a configuration");
        assert_eq!((found.server.port, found.server.origins.len()), (9_000, 2));
        assert_eq!(found.auth.issuer.as_deref(), Some("https://login.example/"));
        assert_eq!(found.auth.audience.as_deref(), Some("42"), "a text, where a text is meant");
        let notes = &found.collections["Notes"];
        assert_eq!((notes.max_bytes, notes.required.len()), (77, 1));
        assert_eq!(found.collections["tasks"].groups[0].to_string(), "user:{/ownerId}");
    }

    #[test]
    fn what_is_wrong_names_the_variable() {
        let error = |name: &str, value: &str| config("[server]\nport = 1\n", &[(name, value)]).expect_err("refused");
        let port = error("TIDEWIRE_SERVER__PORT", "eighty");
        assert!(port.starts_with("TIDEWIRE_SERVER__PORT: server.port: invalid type"), "{port}");
        let many = error("TIDEWIRE_SERVER__PORT", "70000");
        assert!(many.contains("70000"), "{many}");
        let unknown = error("TIDEWIRE_SERVER__PROT", "1");
        assert!(unknown.starts_with("TIDEWIRE_SERVER__PROT: server.prot: unknown field `prot`"), "{unknown}");
        let below = error("TIDEWIRE_SERVER__PORT__X", "1");
        assert!(below.ends_with("there is no table of this name"), "{below}");
        let secret = error("TIDEWIRE_AUTH__HS256_SECRET", "hunter2");
        assert!(secret.contains("at least 32 bytes") && !secret.contains("hunter2"), "{secret}");
    }
}
