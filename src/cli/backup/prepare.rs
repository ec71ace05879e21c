//! Everything between the command line and the first byte on the wire that does not need the network.

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use super::arguments::BackupArguments;
use crate::backup::full::CopySettings;
use crate::backup::pull::Patience;
use crate::backup::recover::RecoverySettings;
use crate::backup::store_files::Retries;
use crate::catchup::brake::Brake;
use crate::catchup::{Dialer, Timeouts};
use crate::cli::environment::Directories;
use crate::cli::streams::Streams;
use crate::config::address::{AddressError, SocketAddress};
use crate::config::bytes::{self, SizeError};
use crate::config::retention::RetentionPolicy;
use crate::config::{ConfigError, Configuration, Sources};
use crate::tls::{ClientTls, TlsError};
use crate::txlog::retention::Retention;

/// What a run needs to know beside its options.
#[derive(Debug)]
pub struct Prepared {
    /// Where the backups are, symbolic links followed.
    pub backup_dir: PathBuf,
    /// The servers. Without a port it is [`DEFAULT_PORT`].
    pub servers: Vec<Dialer>,
    /// How a copy is made.
    pub settings: CopySettings,
    /// How it is recovered, if that is wanted.
    pub recovery: Option<RecoverySettings>,
    /// Bytes of the page cache.
    pub page_cache: u64,
    /// The configuration files.
    pub configuration: Configuration,
}

/// Where Neo4j serves backups.
pub const DEFAULT_PORT: u16 = 6362;

/// Why a run can't begin. Exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// `--backup-dir` is missing.
    #[error("Path '{}' does not exist.", .0.display())]
    NoBackupDirectory(PathBuf),
    /// `--backup-dir` can't be resolved.
    #[error("Path '{}' can't be resolved", .path.display())]
    Unresolved {
        /// As given.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `--backup-dir` or `--report-dir` is no directory.
    #[error("Directory '{}' does not exist.", .0.display())]
    NotADirectory(PathBuf),
    /// `--from` is no address.
    #[error(transparent)]
    From(AddressError),
    /// A configuration file can't be read, or says what it must not.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The files of the SSL policy can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `--pagecache` or `--max-rate` is no size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// `--max-rate` would let nothing pass.
    #[error("--max-rate must be at least one byte per second")]
    NoRate,
}

/// Checks in the order of Neo4j's tool, which decides the message when several things are wrong.
/// Specification: command line 4.1.
pub(super) fn prepare(
    arguments: &BackupArguments,
    directories: &Directories,
    streams: &Streams,
) -> Result<Prepared, PrepareError> {
    let here = PathBuf::from(".");
    let given = if arguments.backup_dir.as_os_str().is_empty() { &here } else { &arguments.backup_dir };
    let backup_dir = given.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PrepareError::NoBackupDirectory(arguments.backup_dir.clone()),
        _ => PrepareError::Unresolved { path: arguments.backup_dir.clone(), source },
    })?;
    for deprecation in arguments.deprecations() {
        streams.out.line(deprecation);
    }
    let from = arguments.from.split(',').map(SocketAddress::parse);
    let from = from.collect::<Result<Vec<_>, _>>().map_err(PrepareError::From)?;
    let configuration = Configuration::load(&Sources {
        conf: &directories.conf,
        home: &directories.home,
        policy_home: &backup_dir,
        additional: arguments.additional_config.as_deref(),
        expand_commands: arguments.expand_commands,
    })?;
    for directory in [&backup_dir, &arguments.check.report_directory] {
        // An empty path is the working directory, which exists.
        if !directory.as_os_str().is_empty() && !directory.is_dir() {
            return Err(PrepareError::NotADirectory(directory.clone()));
        }
    }
    let page_cache = bytes::parse(&arguments.pagecache)?;
    let brake = match &arguments.max_rate {
        Some(rate) => {
            let rate = NonZeroU64::new(bytes::parse(rate)?).ok_or(PrepareError::NoRate)?;
            Some(Arc::new(Brake::new(rate)))
        }
        None => None,
    };
    let tls = configuration.ssl.as_ref().map(ClientTls::from_policy).transpose()?;
    let servers = from.iter().map(|from| dialer(from, tls.clone(), brake.clone(), &configuration)).collect();
    let settings = copy_settings(&configuration);
    let recovery = arguments.prepare_restore.then(|| RecoverySettings {
        page_cache,
        threads: recovery_threads(arguments.parallel_recovery),
        retention: retention(configuration.tx_log.retention),
    });
    Ok(Prepared { backup_dir, servers, settings, recovery, page_cache, configuration })
}

/// The policy of a configuration as recovery takes it.
pub(in crate::cli) fn retention(policy: RetentionPolicy) -> Retention {
    match policy {
        RetentionPolicy::KeepAll => Retention::All,
        RetentionPolicy::KeepNone => Retention::NONE,
        RetentionPolicy::Files(count) => Retention::Files(count),
        RetentionPolicy::Size(bytes) => Retention::Size(bytes),
        RetentionPolicy::Transactions(count) => Retention::Transactions(count),
        RetentionPolicy::Age(age) => Retention::Age(age),
    }
}

/// Threads for a recovery: all that the machine has, or one.
pub(in crate::cli) fn recovery_threads(parallel: bool) -> usize {
    if parallel { thread::available_parallelism().map_or(1, Into::into) } else { 1 }
}

fn dialer(
    from: &SocketAddress,
    tls: Option<ClientTls>,
    brake: Option<Arc<Brake>>,
    configuration: &Configuration,
) -> Dialer {
    let mut dialer = Dialer::new(&from.host, from.port.unwrap_or(DEFAULT_PORT));
    dialer.tls = tls;
    dialer.brake = brake;
    dialer.timeouts = Timeouts {
        handshake: configuration.timeouts.handshake,
        inactivity: configuration.timeouts.inactivity,
        checkpoint: configuration.timeouts.inactivity,
        ..Timeouts::default()
    };
    let wanted = &configuration.protocol_versions;
    if !wanted.is_empty() {
        dialer.versions.retain(|version| {
            wanted
                .iter()
                .any(|&(major, minor)| version.major == i32::from(major) && version.minor == i32::from(minor))
        });
    }
    dialer
}

fn copy_settings(configuration: &Configuration) -> CopySettings {
    let timeouts = &configuration.timeouts;
    CopySettings {
        retries: Retries {
            connections: configuration.store_copy_parallelism,
            max_time: timeouts.store_file,
            max_pause: timeouts.backoff_max_wait,
        },
        patience: Patience { inactivity: timeouts.inactivity, max_pause: timeouts.backoff_max_wait },
        rotation_size: configuration.tx_log.rotation_size,
    }
}
