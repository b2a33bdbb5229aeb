//! The binary: arguments in, one server until a signal.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tidewire_server::cli::{self, Args, Command, HELP};
use tidewire_server::{State, Timeouts, serve, store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The port is taken: `npm start` tries the next one.
const EXIT_PORT_TAKEN: u8 = 98;

fn main() -> ExitCode {
    let args = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(args)) => args,
        Ok(Command::Restore(args, backup)) => return restore(args, &backup),
        Ok(Command::PrintConfig(args)) => {
            return args.printed_config().map_or_else(|error| fail(&error.to_string()), |text| say(&text));
        }
        Ok(Command::Help) => return say(HELP),
        Ok(Command::Version) => return say(concat!("tidewire-server ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => return fail(&format!("{error}\n\n{HELP}")),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => fail(&format!("no threads: {error}")),
    }
}

fn restore(args: Args, backup: &Path) -> ExitCode {
    let restored = args
        .into_data()
        .map_err(|error| error.to_string())
        .and_then(|directory| store::sqlite::restore(&directory, backup).map_err(|error| error.to_string()));
    match restored {
        Ok(history) => say(&format!("restored; the history is {history} now\n")),
        Err(error) => fail(&error),
    }
}

async fn run(args: Args) -> ExitCode {
    let dev = args.dev;
    let config = match args.into_config() {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    let address = SocketAddr::from((config.server.host, config.server.port));
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let port = address.port();
            eprintln!("tidewire-server: port {port} is taken: stop the other program, or give another one with --port");
            return ExitCode::from(EXIT_PORT_TAKEN);
        }
        Err(error) => return fail(&format!("cannot listen on {address} (--host, --port): {error}")),
    };
    let state = match State::open(config, dev, Timeouts::default()).await {
        Ok(state) => state,
        Err(error) => return fail(&error.to_string()),
    };
    if dev {
        warn_of_dev(address);
    }
    let stop_state = state.clone();
    tokio::spawn(async move {
        if wait_for_signal().await.is_ok() {
            tracing::info!("stopping");
            stop_state.stop();
        }
    });
    match listener.local_addr() {
        Ok(address) => say(&format!("listening on http://{address}\n")),
        Err(error) => return fail(&error.to_string()),
    };
    match serve::serve(listener, state).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

async fn wait_for_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt,
    }
}

fn warn_of_dev(address: SocketAddr) {
    let reach = if address.ip().is_loopback() { "on this machine" } else { "ON YOUR NETWORK" };
    eprintln!(
        "\n  ************************************************************************\n  \
         * --dev: ANYBODY {reach} can get a token for ANY user.\n  \
         * Never use it with data that matters. Write a TOML for real use.\n  \
         ************************************************************************\n"
    );
}

/// Standard output is for what another program waits for.
fn say(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("tidewire-server: {message}");
    ExitCode::from(2)
}
