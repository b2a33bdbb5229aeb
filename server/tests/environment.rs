//! What the binary takes from its environment, and what it prints of its configuration.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire-server"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_environment_goes_before_the_file_and_secrets_are_not_printed() {
    let directory = TempDir::new().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let secret = "a canary of at least thirty-two bytes";
    let toml = file(
        "t.toml",
        &format!("[server]\nport = 1\n[auth]\nissuer = \"i\"\nhs256_secret = \"{secret}\"\n[collections.notes]\n"),
    );
    let print = |more: &[(&str, &str)]| {
        let mut command = command(&["config", "print", "--config", &toml]);
        command.envs(more.iter().copied()).output().expect("it runs")
    };
    let printed = print(&[("TIDEWIRE_SERVER__PORT", "81"), ("TIDEWIRE_AUTH__AUDIENCE", "here")]);
    let text = String::from_utf8(printed.stdout).expect("text");
    assert!(printed.status.success() && text.contains("port = 81") && text.contains("audience = \"here\""), "{text}");
    assert!(text.contains("hs256_secret = \"(set)\"") && !text.contains("canary"), "{text}");
    let wrong = print(&[("TIDEWIRE_SERVER__PORT", "x")]);
    let told = String::from_utf8(wrong.stderr).expect("text");
    assert!(told.starts_with("tidewire-server: TIDEWIRE_SERVER__PORT: server.port: invalid type"), "{told}");
    assert_eq!(wrong.status.code(), Some(2));
    // The secret in a file: as well as in the configuration it is too much.
    let path = file("secret", &format!("{secret}\n"));
    let both = String::from_utf8(print(&[("TIDEWIRE_AUTH__HS256_SECRET_FILE", &path)]).stderr).expect("text");
    assert!(both.contains("auth.hs256_secret is given as well"), "{both}");
    let toml = file("u.toml", "[auth]\nissuer = \"i\"\naudience = \"a\"\n[collections.notes]\n");
    let run = |path: &str| {
        let data = directory.path().join("data");
        let args = ["--config", &toml, "--port", "0", "--data", data.to_str().expect("text")];
        command(&args).env("TIDEWIRE_AUTH__HS256_SECRET_FILE", path).spawn().expect("it starts")
    };
    let mut server = run(&path);
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("listening on"), "{line}");
    server.kill().expect("killed");
    server.wait().expect("ended");
    let missing = run("/no/such/file").wait_with_output().expect("it ends");
    let told = String::from_utf8(missing.stderr).expect("text");
    assert!(told.contains("auth.hs256_secret_file: /no/such/file: cannot be read"), "{told}");
}
