//! `serve-backup`: the backup protocol over stores at rest.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Command;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::backup::prepare::DEFAULT_PORT;
use super::definition::{command, flag, help_flag, path, value};
use super::environment::{Directories, Environment};
use super::exit::Exit;
use super::grammar::Call;
use super::streams::Streams;
use super::usage::UsageError;
use super::{failure, log, signals};
use crate::backup::stop::Stop;
use crate::catchup::server::{ServerOptions, serve};
use crate::config::address::{AddressError, SocketAddress};
use crate::config::{ConfigError, Configuration, Sources};
use crate::serve::{ServeError, StoreDirectory};
use crate::tls::{ServerTls, TlsError};

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

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
enum ServeBackupError {
    /// `--listen` is no address.
    #[error(transparent)]
    Listen(AddressError),
    /// A configuration file can't be read, or says what it must not.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Everybody could copy the databases.
    #[error(
        "{0} can be reached from other machines, and the backup protocol has no passwords: enable \
         dbms.ssl.policy.backup, or say --allow-plain if the network itself is protected"
    )]
    Open(std::net::SocketAddr),
    /// The files of the SSL policy can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing can be served from the directory.
    #[error(transparent)]
    Store(#[from] ServeError),
    /// The address can't be used.
    #[error("could not listen at '{address}'")]
    Bind {
        /// As given.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Runs the command.
pub(super) fn run(arguments: &ServeArguments, environment: &Environment, streams: &Streams) -> Exit {
    let directories = match environment.directories_or_say(streams) {
        Ok(directories) => directories,
        Err(exit) => return exit,
    };
    match start(arguments, &directories, streams) {
        Ok(()) => Exit::Success,
        Err(error) => {
            failure::report(&streams.err, "", &error, arguments.verbose);
            Exit::Failed
        }
    }
}

/// Serves until a signal comes, which is how a server ends in order.
fn start(
    arguments: &ServeArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<(), ServeBackupError> {
    let listen = SocketAddress::parse(&arguments.listen).map_err(ServeBackupError::Listen)?;
    let configuration = Configuration::load(&Sources {
        conf: &directories.conf,
        home: &directories.home,
        policy_home: &arguments.store,
        additional: arguments.additional_config.as_deref(),
        expand_commands: arguments.expand_commands,
    })?;
    let tls = configuration.ssl.as_ref().map(ServerTls::from_policy).transpose()?;
    let open_to_all = tls.is_none() && !arguments.allow_plain;
    let log = log::of_run(&configuration, arguments.verbose, streams);
    let source = StoreDirectory::open(&arguments.store)?;
    let options = ServerOptions {
        tls,
        chunk_size: configuration.store_copy_chunk_size,
        handshake_timeout: configuration.timeouts.handshake,
        ..ServerOptions::default()
    };
    let failed = |source| ServeBackupError::Bind { address: arguments.listen.clone(), source };
    let runtime = Runtime::new().map_err(failed)?;
    let stop = Stop::default();
    signals::listen(&runtime, &stop).map_err(failed)?;
    let address = (host(&listen), listen.port.unwrap_or(DEFAULT_PORT));
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    if open_to_all && !bound.ip().is_loopback() {
        return Err(ServeBackupError::Open(bound));
    }
    streams.out.line(format_args!("Serving '{}' at {bound}", arguments.store.display()));
    log.observe(|| {
        let shutdown = async move {
            stop.wait().await;
        };
        runtime.block_on(serve(listener, Arc::new(source), options, shutdown));
    });
    Ok(())
}

/// The host to listen at. An empty one is this machine alone, as for a client.
fn host(listen: &SocketAddress) -> &str {
    if listen.host.is_empty() { "localhost" } else { &listen.host }
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
