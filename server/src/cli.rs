//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::config::{Config, ConfigError, Setting, printed};

/// What `--help` prints.
pub const HELP: &str = "\
The Tidewire sync server

Usage: tidewire-server [--config FILE] [--dev] [--host IP] [--port N] [--data DIR] [--static DIR]
       tidewire-server restore BACKUP [--config FILE] [--data DIR]
       tidewire-server config print [--config FILE]

  restore BACKUP  put a backup in the place of the database, which is kept beside it, and begin a new
                  history: clients push again what the backup has not seen. Stop the server first
  config print    what is configured, by the file and the environment, without its secrets
  --config FILE   a TOML file; docs/OPERATIONS.md has every key
  --dev           try things out: demo tokens for anybody, any page on this machine, and any
                  collection while the file declares none
  --host IP       listen here instead of server.host (127.0.0.1)
  --port N        listen here instead of server.port (8787); 0 takes a free port
  --data DIR      the database's directory, instead of server.data (.tidewire)
  --static DIR    serve these files at / as well
  --help, --version

An environment variable goes before the file: TIDEWIRE_SERVER__PORT=80 is server.port = 80, two
underscores between the names. The options above go before both.
The environment variable RUST_LOG sets what is logged, such as `tidewire_server=debug`.
Exit code 98: the port is taken.
";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Run.
    Run(Args),
    /// Put a backup in the place of the database.
    Restore(Args, PathBuf),
    /// Print what is configured.
    PrintConfig(Args),
}

/// The options; each goes before the file's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--dev`
    pub dev: bool,
    /// `--host`
    pub host: Option<IpAddr>,
    /// `--port`
    pub port: Option<u16>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--static`
    pub static_files: Option<PathBuf>,
}

/// Parses the arguments behind the program's name.
///
/// # Errors
/// Says which option is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut parsed = Args::default();
    let mut words: Vec<PathBuf> = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("config") => parsed.config = Some(parser.value()?.into()),
            Long("dev") => parsed.dev = true,
            Long("host") => parsed.host = Some(parser.value()?.parse()?),
            Long("port") => parsed.port = Some(parser.value()?.parse()?),
            Long("data") => parsed.data = Some(parser.value()?.into()),
            Long("static") => parsed.static_files = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") | Short('V') => return Ok(Command::Version),
            Value(word) if words.len() < 2 && (!words.is_empty() || word == "restore" || word == "config") => {
                words.push(word.into());
            }
            _ => return Err(arg.unexpected()),
        }
    }
    let second = if words.len() > 1 { words.pop() } else { None };
    match (words.pop(), second) {
        (None, _) => Ok(Command::Run(parsed)),
        (Some(first), Some(what)) if first == Path::new("config") && what == Path::new("print") => {
            Ok(Command::PrintConfig(parsed))
        }
        (Some(first), _) if first == Path::new("config") => Err("write `config print`".into()),
        (Some(_), Some(backup)) => Ok(Command::Restore(parsed, backup)),
        (Some(_), None) => Err("`restore` needs the file of a backup".into()),
    }
}

impl Args {
    /// The directory of the database.
    ///
    /// # Errors
    /// Those of the file.
    pub fn into_data(self) -> Result<PathBuf, ConfigError> {
        let config = Config::load(self.config.as_deref(), &settings())?;
        Ok(self.data.unwrap_or(config.server.data))
    }

    /// What is configured, without these options, as TOML.
    ///
    /// # Errors
    /// Those of the file and the environment.
    pub fn printed_config(&self) -> Result<String, ConfigError> {
        // Only what could be used is printed.
        Config::load(self.config.as_deref(), &settings())?;
        printed(self.config.as_deref(), &settings())
    }

    /// The file's configuration with these options over it, checked.
    ///
    /// # Errors
    /// Those of the file; without `--dev` also what is missing.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref();
        let mut config = Config::load(file, &settings())?;
        if !self.dev {
            let name = file.unwrap_or(Path::new("--config (none given)")).display().to_string();
            config.check_for_production(&name)?;
        }
        let server = &mut config.server;
        server.host = self.host.unwrap_or(server.host);
        server.port = self.port.unwrap_or(server.port);
        server.data = self.data.unwrap_or(std::mem::take(&mut server.data));
        server.static_files = self.static_files.or(server.static_files.take());
        if let Some(directory) = server.static_files.as_deref().filter(|directory| !directory.is_dir()) {
            let directory = directory.display();
            return Err(ConfigError(format!(
                "--static, server.static: {directory} is no directory: build the site first"
            )));
        }
        Ok(config)
    }
}

fn settings() -> Vec<Setting> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    Setting::among(std::env::vars_os().filter_map(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, lexopt::Error> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn options_go_before_the_file() {
        let Ok(Command::Run(args)) = parsed(&["--dev", "--port", "0", "--data=x"]) else { panic!("parses") };
        let config = args.into_config().expect("a configuration");
        assert_eq!((config.server.port, config.server.data), (0, PathBuf::from("x")));
        assert_eq!(config.server.host, IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parsed(&["--prot", "1"]).expect_err("refused").to_string().contains("--prot"));
        assert!(parsed(&["--port", "70000"]).expect_err("refused").to_string().contains("70000"));
        assert!(parsed(&["restore"]).expect_err("refused").to_string().contains("backup"));
        assert_eq!(parsed(&["config", "print"]).expect("parses"), Command::PrintConfig(Args::default()));
        assert!(parsed(&["config"]).expect_err("refused").to_string().contains("config print"));
        assert!(parsed(&["resotre", "x"]).is_err() && parsed(&["restore", "x", "y"]).is_err());
        assert_eq!(parsed(&["--help"]).expect("parses"), Command::Help);
        let without_dev = Args::default().into_config().expect_err("refused").to_string();
        assert!(without_dev.contains("--dev"), "{without_dev}");
        let missing = Args { dev: true, static_files: Some("/no/such".into()), ..Args::default() };
        assert!(missing.into_config().expect_err("refused").to_string().contains("/no/such"));
    }
}
