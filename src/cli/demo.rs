//! `demo`: one command that shows a backup from end to end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::Command;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::definition::{command, help_flag};
use super::environment::Environment;
use super::exit::Exit;
use super::failure;
use super::streams::Streams;
use crate::catchup::server::{ServerOptions, serve};
use crate::serve::{ServeError, StoreDirectory};

/// Databases `neo4j` and `system` of a Neo4j 4.4, as a backup directory.
const STORES: &[u8] = include_bytes!("../../fixtures/stores/standard.tar.gz");

/// The command and its options.
pub(super) fn definition() -> Command {
    command("demo")
        .about("Back up a small database that comes with the program.")
        .long_about(
            "Serve a small Neo4j database that comes with the program on a free port of this machine, back it up into \
             a new directory, and tell where the result lies. The exit code is that of the backup.",
        )
        .arg(help_flag())
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// A directory for temporary files is needed.
    #[error("no directory for the demo could be made below '{}'", std::env::temp_dir().display())]
    Directory(#[source] io::Error),
    /// The databases that come with the program can't be unpacked.
    #[error("the databases of the demo could not be unpacked")]
    Unpack(#[source] io::Error),
    /// No port of this machine can be used.
    #[error("no port of this machine could be opened")]
    Listen(#[source] io::Error),
    /// The unpacked databases can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs the command.
pub(super) fn run(streams: &Streams) -> Exit {
    match demonstrate(streams) {
        Ok(exit) => exit,
        Err(error) => {
            failure::report(&streams.err, "", &error, false);
            Exit::Failed
        }
    }
}

/// Serves the databases and backs them up as a user would.
fn demonstrate(streams: &Streams) -> Result<Exit, DemoError> {
    let home = temporary("neo4j-demo-server-")?;
    let stores = home.path().join("stores");
    unpack(&stores)?;
    let runtime = Runtime::new().map_err(DemoError::Listen)?;
    let address = start_server(&runtime, &stores)?;
    // Stays: the result is to be looked at.
    let backups = temporary("neo4j-demo-backup-")?.keep();

    let words = [
        "backup".to_owned(),
        format!("--from={address}"),
        format!("--backup-dir={}", backups.display()),
        "--database=*".to_owned(),
    ];
    streams
        .out
        .line(format_args!("The databases 'neo4j' and 'system' of a Neo4j 4.4 are served at {address}."));
    streams.out.line(format_args!("Their backups will lie in {}.", backups.display()));
    streams.out.line(format_args!("$ neo4j-admin {}", words.join(" ").replace('*', "'*'")));
    // No configuration of this machine may get in the way.
    let environment = Environment {
        home: Some(home.path().into()),
        conf: None,
        executable: None,
        packaged_conf: home.path().join("conf"),
    };
    let exit = super::run(words.map(Into::into), &environment, streams);
    runtime.shutdown_background();
    Ok(exit)
}

fn temporary(prefix: &str) -> Result<TempDir, DemoError> {
    tempfile::Builder::new().prefix(prefix).tempdir().map_err(DemoError::Directory)
}

fn unpack(directory: &Path) -> Result<(), DemoError> {
    let archive = flate2::read::GzDecoder::new(STORES);
    tar::Archive::new(archive).unpack(directory).map_err(DemoError::Unpack)
}

/// Serves the directory at a free port for as long as the runtime lives.
fn start_server(runtime: &Runtime, stores: &Path) -> Result<SocketAddr, DemoError> {
    let source = Arc::new(StoreDirectory::open(stores)?);
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).map_err(DemoError::Listen)?;
    let address = listener.local_addr().map_err(DemoError::Listen)?;
    runtime.spawn(serve(listener, source, ServerOptions::default(), std::future::pending()));
    Ok(address)
}
