//! The configuration: one TOML file, parsed into types that need no further checks.
//!
//! An error names the file, the line and the key, and says what to do. Unknown keys are errors: a misspelt limit is
//! no limit.

mod auth;
mod collection;
mod environment;
mod origin;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use tidewire_core::authority::groups::GroupRule;
use tidewire_core::ids::{CONFLICTS, CollectionName};
use tidewire_core::limits;

pub use auth::{AuthConfig, Ed25519Key, HsSecret, JwksUrl, NamedKey, P256Key, RsaKey};
pub use collection::{
    CollectionConfig, JsonType, KeyFields, MaskConfig, MembershipConfig, RefConfig, Rules, WriteConfig,
};
pub use environment::{Setting, printed};
pub use origin::{Origin, is_loopback_name};

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[auth]`
    pub auth: AuthConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[collections.NAME]`
    pub collections: BTreeMap<CollectionName, CollectionConfig>,
}

/// `[admin]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The roles of those who may administer their tenant. Empty: nobody may.
    pub roles: Vec<String>,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen.
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The directory of the database.
    pub data: PathBuf,
    /// A directory of files to serve at `/`.
    #[serde(rename = "static")]
    pub static_files: Option<PathBuf>,
    /// The web pages that may call this server.
    pub origins: Vec<Origin>,
    /// Further origins that the served page may connect to, sockets included (CSP `connect-src`).
    pub connect: Vec<Origin>,
    /// Bytes of one push.
    pub max_push_bytes: usize,
    /// Mutations in one push.
    pub max_push_mutations: usize,
    /// Connections at one time.
    pub max_connections: usize,
    /// What is compressed.
    pub compression: Compression,
    /// How long deletions are remembered, in seconds. A device that was away longer reads everything again.
    pub horizon_seconds: NonZeroU32,
}

/// `server.compression`: whether answers are compressed, and compressed pushes asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Unless a page of this machine talks to this machine.
    Auto,
    /// For every caller that can.
    Always,
    /// Where something else does it, or nothing should.
    Never,
}

/// 30 days.
const HORIZON_SECONDS: NonZeroU32 = match NonZeroU32::new((limits::HORIZON_MS / 1_000) as u32) {
    Some(seconds) => seconds,
    None => NonZeroU32::MAX,
};
/// A horizon under a day would have every device that sleeps at night read everything again.
const HORIZON_SECONDS_MIN: u32 = 86_400;

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 8787,
            data: PathBuf::from(".tidewire"),
            static_files: None,
            origins: Vec::new(),
            connect: Vec::new(),
            max_push_bytes: limits::PUSH_BYTES_MAX,
            max_push_mutations: limits::PUSH_MUTATIONS_MAX,
            max_connections: 10_000,
            compression: Compression::Auto,
            horizon_seconds: HORIZON_SECONDS,
        }
    }
}

impl Config {
    /// Reads a file, with what the environment says over it, and the secrets that stand in files of their own.
    ///
    /// # Errors
    /// With file, line and key, or with the variable.
    pub fn load(path: Option<&Path>, settings: &[Setting]) -> Result<Self, ConfigError> {
        let (name, text) = text_of(path, settings)?;
        let mut config = Self::parse(&name, &text)?;
        config.auth.read_secret()?;
        Ok(config)
    }

    /// Parses the text of a file with that name.
    ///
    /// # Errors
    /// With file, line and key.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let Some(span) = error.span() else { return ConfigError(format!("{file}: {}", error.message())) };
            let line = line_at(text, span.start);
            let key = key_at(text, line);
            let hint = if error.message().starts_with("unknown field") { ". Mend or remove this key" } else { "" };
            ConfigError(format!("{file}:{line}: {key}: {}{hint}", error.message().trim_end()))
        })?;
        if config.collections.contains_key(CONFLICTS) {
            let at = text.find(CONFLICTS).unwrap_or_default();
            let line = line_at(text, at);
            let what = "the server keeps this collection by itself: remove it";
            return Err(ConfigError(format!("{file}:{line}: collections.{CONFLICTS}: {what}")));
        }
        config.check_refs(file, text)?;
        config.check_memberships(file, text)?;
        config.check_hidden(file, text)?;
        Ok(config)
    }

    /// What is referred to is declared: else nothing that follows from a deletion could ever be carried out.
    fn check_refs(&self, file: &str, text: &str) -> Result<(), ConfigError> {
        let refs = self.collections.values().flat_map(|collection| collection.refs.values());
        let Some(lost) = refs.map(|one| &one.to).find(|to| !self.collections.contains_key(to.get_ref())) else {
            return Ok(());
        };
        let (line, name) = (line_at(text, lost.span().start), lost.get_ref());
        let key = key_at(text, line);
        let what = format!("there is no collection `{name}`: declare [collections.{name}]");
        Err(ConfigError(format!("{file}:{line}: {key}: {what}")))
    }

    /// Whoever writes a membership lets people in.
    fn check_memberships(&self, file: &str, text: &str) -> Result<(), ConfigError> {
        let free = self.collections.iter().find_map(|(name, collection)| {
            let membership = collection.membership.as_ref()?;
            let write = &collection.write;
            let is_free = write.insert.is_none() || write.update.is_none() || write.delete.is_none();
            is_free.then(|| (name, membership.span().start))
        });
        let Some((name, at)) = free else { return Ok(()) };
        let line = line_at(text, at);
        let key = key_at(text, line);
        let what = format!(
            "whoever writes these lets people in or puts them out: say who may, in collections.{name}.write.insert, \
             update and delete"
        );
        Err(ConfigError(format!("{file}:{line}: {key}: {what}")))
    }

    /// What is hidden is told neither by the names of groups nor by whether somebody has the same key.
    fn check_hidden(&self, file: &str, text: &str) -> Result<(), ConfigError> {
        for (name, collection) in &self.collections {
            let of_groups = collection.groups.iter().filter_map(GroupRule::field).map(|path| (path, "groups"));
            let keys = collection.natural_keys.iter().flat_map(|key| &key.0).map(|path| (path, "natural_keys"));
            let told: Vec<_> = of_groups.chain(keys).collect();
            for rule in collection.field_rules().0 {
                if let Some((_, key)) = told.iter().find(|(path, _)| path.overlaps(&rule.path)) {
                    let line = line_at(text, text.find(&format!("\"{}\"", rule.path)).unwrap_or_default());
                    let (path, what) = (&rule.path, format!("collections.{name}.{key} would tell what it holds"));
                    let kind = if rule.keep.is_some() { "masked" } else { "hidden" };
                    return Err(ConfigError(format!("{file}:{line}: collections.{name}.{kind}.\"{path}\": {what}")));
                }
            }
        }
        Ok(())
    }

    /// Checks what a server without `--dev` needs.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn check_for_production(&self, file: &str) -> Result<(), ConfigError> {
        let missing = |what: &str| Err(ConfigError(format!("{file}: {what}. Or start with --dev to try things out")));
        if !self.auth.has_keys() {
            return missing(
                "[auth] has no key: set auth.jwks_url or auth.hs256_secret, or add [[auth.rs256]], [[auth.es256]] or \
                 [[auth.ed25519]]",
            );
        }
        if self.auth.issuer.is_none() {
            return missing("auth.issuer is missing: the `iss` of the tokens to accept");
        }
        if self.auth.audience.is_none() {
            return missing("auth.audience is missing: the `aud` of the tokens to accept");
        }
        if self.server.horizon_seconds.get() < HORIZON_SECONDS_MIN {
            return missing(
                "server.horizon_seconds is under a day (86400): raise it, or devices read everything daily",
            );
        }
        if self.collections.is_empty() {
            return missing("no collection is declared: add [collections.NAME] for each");
        }
        Ok(())
    }
}

/// The name and the text of a file, with what the environment says over it.
fn text_of(path: Option<&Path>, settings: &[Setting]) -> Result<(String, String), ConfigError> {
    let Some(path) = path else {
        return Ok(("the environment".to_owned(), environment::over("", settings)?));
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError(format!("{name}: cannot be read: {e}. Give another file with --config")))?;
    if settings.is_empty() {
        return Ok((name, text));
    }
    // What is wrong in the file is told with its line.
    Config::parse(&name, &text)?;
    let text = environment::over(&text, settings)?;
    Ok((format!("{name} and the environment"), text))
}

/// The number of the line with this byte.
fn line_at(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1
}

/// The full key on a line, with the table that it stands in: `server.port`.
fn key_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let here = lines.last().map_or("", |line| line.trim());
    if here.starts_with('[') {
        return here.trim_matches(['[', ']']).to_owned();
    }
    let key = here.split('=').next().unwrap_or(here).trim();
    let table = lines.iter().rev().map(|line| line.trim()).find(|line| line.starts_with('[') && line.ends_with(']'));
    table.map_or_else(|| key.to_owned(), |table| format!("{}.{key}", table.trim_matches(['[', ']'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse("tidewire.toml", text).expect_err("refused").to_string()
    }

    #[test]
    fn errors_name_file_line_and_key_and_say_what_to_do() {
        let unknown = error("[server]\nhost = \"127.0.0.1\"\nprot = 8787\n");
        assert!(unknown.starts_with("tidewire.toml:3: server.prot: unknown field `prot`"), "{unknown}");
        assert!(unknown.ends_with("Mend or remove this key"), "{unknown}");
        let wrong_type = error("[server]\n\nport = \"eighty\"\n");
        assert!(wrong_type.starts_with("tidewire.toml:3: server.port: "), "{wrong_type}");
        let horizon = error("[server]\nhorizon_seconds = 0\n");
        assert!(horizon.starts_with("tidewire.toml:2: server.horizon_seconds: "), "{horizon}");
        let syntax = error("[server\n");
        assert!(syntax.starts_with("tidewire.toml:1: "), "{syntax}");
        let origin = error("[server]\norigins = [\"https://app.example.com/path\"]\n");
        assert!(origin.starts_with("tidewire.toml:2: server.origins: "), "{origin}");
        assert!(origin.contains("https://app.example.com"), "{origin}");
        let secret = error("[auth]\nhs256_secret = \"short\"\n");
        assert!(secret.starts_with("tidewire.toml:2: auth.hs256_secret: "), "{secret}");
        assert!(secret.contains("32") && !secret.contains("short"), "{secret}");
        let key = error("[[auth.ed25519]]\nkid = \"a\"\nkey = \"AAAA\"\n");
        assert!(key.starts_with("tidewire.toml:3: auth.ed25519.key: "), "{key}");
        let group = error("[collections.notes]\ngroups = [\"team:{x\"]\n");
        assert!(group.starts_with("tidewire.toml:2: collections.notes.groups: "), "{group}");
        let strategy = error("[collections.notes]\nconflict = \"newest\"\n");
        assert!(strategy.contains("last-write-wins"), "{strategy}");
        let path = error("[collections.notes]\nrequired = [\"title\"]\n");
        assert!(path.starts_with("tidewire.toml:2: collections.notes.required: "), "{path}");
        let keys = error("[collections.notes]\nnatural_keys = [[]]\n");
        assert!(keys.starts_with("tidewire.toml:2: collections.notes.natural_keys: "), "{keys}");
        let refs =
            "[collections.notes]\n\n[collections.notes.refs]\n\"/by\" = { to = \"people\", on_delete = \"cascade\" }\n";
        let lost = error(refs);
        assert!(lost.starts_with("tidewire.toml:4: collections.notes.refs.\"/by\": "), "{lost}");
        assert!(lost.ends_with("there is no collection `people`: declare [collections.people]"), "{lost}");
        let follows = error(&format!("{}[collections.people]\n", refs.replace("cascade", "vanish")));
        assert!(follows.ends_with("expected one of `cascade`, `restrict`, `set-null`"), "{follows}");
        assert!(Config::parse("t.toml", &format!("{refs}[collections.people]\n")).is_ok());
        let members = "[collections.members]\nwrite.insert = []\nwrite.update = []\n\
                       membership = { user = \"u\", gives = [\"team:{t}\"] }\n";
        let free = error(members);
        assert!(free.starts_with("tidewire.toml:4: collections.members.membership: whoever writes these"), "{free}");
        assert!(Config::parse("t.toml", &members.replace("membership", "write.delete = []\nmembership")).is_ok());
        let tenant = error(&members.replace("team:{t}", "user:{t}"));
        assert!(tenant.contains("is said by the token, never by an entity"), "{tenant}");
        let told = error("[collections.people]\ngroups = [\"team:{t}\"]\nhidden.\"/t\" = [\"role:hr\"]\n");
        assert!(told.starts_with("tidewire.toml:3: collections.people.hidden.\"/t\": "), "{told}");
        let own = error("\n[collections.\"$conflicts\"]\nmax_bytes = 1\n");
        assert!(own.starts_with("tidewire.toml:2: collections.$conflicts: "), "{own}");
        let name = error("[collections.\"1 x\"]\nmax_bytes = 1\n");
        assert!(name.contains("starts with a letter"), "{name}");
    }

    #[test]
    fn without_dev_keys_issuer_audience_and_collections_are_needed() {
        let mut config = Config::default();
        let check = |config: &Config| config.check_for_production("t.toml").err().map(|e| e.to_string());
        assert!(check(&config).expect("refused").contains("auth.hs256_secret"));
        config.auth.hs256_secret = Some(HsSecret::parse(&"s".repeat(32)).expect("long enough"));
        assert!(check(&config).expect("refused").contains("auth.issuer"));
        config.auth.issuer = Some("i".into());
        assert!(check(&config).expect("refused").contains("auth.audience"));
        config.auth.audience = Some("a".into());
        config.server.horizon_seconds = NonZeroU32::MIN;
        assert!(check(&config).expect("refused").contains("server.horizon_seconds"));
        config.server.horizon_seconds = HORIZON_SECONDS;
        assert!(check(&config).expect("refused").contains("[collections.NAME]"));
        config.collections.insert(CollectionName::parse("notes").expect("name"), CollectionConfig::default());
        assert_eq!(check(&config), None);
    }
}
