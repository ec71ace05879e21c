//! `serve-backup`: the backup protocol over stores at rest.

use std::path::PathBuf;

use clap::Command;

use super::definition::{command, flag, help_flag, path, value};
use super::environment::Environment;
use super::exit::Exit;
use super::grammar::Call;
use super::streams::Streams;
use super::usage::UsageError;

/// The command and its options.
pub(super) fn definition() -> Command {
    command("serve-backup")
        .about("Serve database directories at rest to backup clients.")
        .long_about(
            "Serve the database directories below a backup or data directory to backup clients, read only. A store \
             that needs recovery is refused.\n\
             \n\
             The backup protocol has no users and passwords: who reaches the address can copy the databases. An \
             address that other machines reach needs TLS (SSL policy backup of the configuration) or --allow-plain.",
        )
        .arg(path("store").required(true).help("Directory that holds one directory per database."))
        .arg(value("listen", "host:port").default_value("127.0.0.1:6362").help("Address to serve at."))
        .arg(flag("allow-plain").help("Serve other machines without TLS."))
        .arg(path("additional-config").help("Configuration file to supply additional configuration in."))
        .arg(help_flag())
}

/// Runs the command.
pub(super) fn run(arguments: &ServeArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories() {
        Ok(directories) => directories,
        Err(error) => {
            streams.err.line(error);
            return Exit::Usage;
        }
    };
    streams.err.line(format_args!("This version does not serve yet: {arguments:?} {directories:?}"));
    Exit::Failed
}

/// What the command line of a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeArguments {
    /// Directory that holds one directory per database.
    pub store: PathBuf,
    /// Where to listen, as written; read when the server starts.
    pub listen: String,
    /// Whether other machines may be served without TLS.
    pub allow_plain: bool,
    /// More settings, which win over `neo4j.conf`.
    pub additional_config: Option<PathBuf>,
    /// Internal log lines and chains of errors.
    pub verbose: bool,
    /// Whether `$(command)` in the configuration is run.
    pub expand_commands: bool,
}

impl ServeArguments {
    /// Takes the values of a call.
    pub(super) fn of(call: &Call) -> Result<Self, UsageError> {
        Ok(Self {
            store: call.value("store")?,
            listen: call.value("listen")?,
            allow_plain: call.value("allow-plain")?,
            additional_config: call.optional("additional-config"),
            verbose: call.value("verbose")?,
            expand_commands: call.value("expand-commands")?,
        })
    }
}
