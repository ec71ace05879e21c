//! Configuration: `neo4j.conf`, `--additional-config`, and how values are written.
//!
//! [`Configuration::load`] reads the files and returns everything that a run needs as typed values. What is wrong in a
//! file is told with file and line.

pub mod address;
pub mod bytes;
pub mod command;
pub mod duration;
mod layers;
pub mod policy;
pub mod properties;
pub mod retention;
pub mod setting;
pub mod value;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::command::Expansion;
use self::layers::Layers;
pub use self::layers::{Origin, Reason};
use self::policy::{PolicyFile, SslPolicy};
use self::retention::RetentionPolicy;
use self::setting::{Compression, LogLevel, LogTimeZone};

/// A configuration cannot be used. `Failed to read config <file>: <reason> (line <n>)`, the first part being Neo4j's.
///
/// Specification: command line 1.3.
#[derive(Debug, thiserror::Error)]
#[error("Failed to read config {}: {reason}{origin}", origin.file.display())]
pub struct ConfigError {
    /// Where the error is.
    pub origin: Origin,
    /// What is wrong. It is part of the text and no source: without the file nobody could do anything about it.
    pub reason: Reason,
}

/// Where a configuration comes from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The directory of `neo4j.conf` (`NEO4J_CONF`). The file may be missing.
    pub conf: &'a Path,
    /// The installation (`NEO4J_HOME`).
    pub home: &'a Path,
    /// What the directory of the SSL policy is relative to: the backup directory, or `home` where there is none.
    pub policy_home: &'a Path,
    /// `--additional-config`: its settings win. The file may be missing.
    pub additional: Option<&'a Path>,
    /// `--expand-commands`: values of the form `$(command)` are replaced by what the command prints.
    pub expand_commands: bool,
}

/// Everything that this program takes from configuration files.
#[derive(Debug)]
pub struct Configuration {
    /// How long the network may take.
    pub timeouts: Timeouts,
    /// Connections over which the store files of one database are fetched, 1 to 32.
    pub store_copy_parallelism: usize,
    /// Bytes of a file in one message of the server side, 4096 to 1048576.
    pub store_copy_chunk_size: usize,
    /// Protocol versions to offer, `(major, minor)`; empty for all.
    pub protocol_versions: Vec<(u16, u16)>,
    /// The SSL policy `backup`; none: connections are not encrypted.
    pub ssl: Option<SslPolicy>,
    /// How much is logged. `--verbose` comes on top.
    pub log_level: LogLevel,
    /// The zone of times in log lines.
    pub log_time_zone: LogTimeZone,
    /// Bytes of the page cache for commands without an option for it. Only they look at the value, so only to them a
    /// wrong one is an error.
    pub page_cache: Result<Option<u64>, ConfigError>,
    /// Errors and warnings about records after which a consistency check ends; none: it goes on.
    pub fail_fast: Option<NonZeroU32>,
    /// Transaction logs.
    pub tx_log: TxLog,
    /// Data directory of the installation.
    pub data_directory: PathBuf,
    /// Transaction logs of the installation: a directory per database.
    pub transaction_logs_root: PathBuf,
    /// State of this installation as a member of a cluster.
    pub cluster_state_directory: PathBuf,
    /// What the user should know about the configuration, each a sentence.
    pub notices: Vec<String>,
    /// What a user looking for a mistake might want to know: unknown and overridden settings.
    pub warnings: Vec<String>,
}

/// How long the network may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From connect to the end of the handshake.
    pub handshake: Duration,
    /// Longest silence of the server during a request.
    pub inactivity: Duration,
    /// How long a store file is tried for again.
    pub store_file: Duration,
    /// Longest pause between two tries.
    pub backoff_max_wait: Duration,
}

/// How transaction logs are written and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxLog {
    /// When a new file is begun, in bytes, at least 131072.
    pub rotation_size: u64,
    /// Which files may go.
    pub retention: RetentionPolicy,
}

/// Connections to one server beyond this number do not make a copy faster.
const PARALLELISM_LIMIT: i32 = 32;

impl Configuration {
    /// Reads the files and evaluates every setting that is used.
    ///
    /// Specification: command line 5.1.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let mut notices = Vec::new();
        layers.add(&sources.conf.join("neo4j.conf"), sources.expand_commands)?;
        if let Some(additional) = sources.additional
            && !layers.add(additional, sources.expand_commands)?
        {
            notices.push(format!("The additional configuration {} does not exist.", additional.display()));
        }
        let expansion = expansion(&layers, sources.expand_commands)?;
        let strict = layers.get_or_default(&setting::STRICT_VALIDATION, &expansion)?;
        layers.check_names(strict)?;
        for (name, origin) in layers.misspelt_policies() {
            notices.push(format!(
                "The setting {name} in {}{origin} has no effect: only 'dbms.ssl.policy.backup' in lower case has.",
                origin.file.display()
            ));
        }
        let read = Read { layers: &layers, expansion };

        let compression: Vec<Compression> = read.of(&setting::COMPRESSION)?;
        let mut warnings = Vec::new();
        if !compression.is_empty() {
            warnings.push(format!(
                "{} has no effect: the protocol compresses only what a client sends.",
                setting::COMPRESSION.description.name
            ));
        }
        let parallelism = read.of(&setting::STORE_COPY_PARALLELISM)?;
        if parallelism > PARALLELISM_LIMIT {
            warnings.push(format!(
                "{} is {parallelism}, {PARALLELISM_LIMIT} connections are used.",
                setting::STORE_COPY_PARALLELISM.description.name
            ));
        }
        let data_directory = sources.home.join(read.of(&setting::DATA_DIRECTORY)?);
        let mut configuration = Self {
            timeouts: Timeouts {
                handshake: read.of(&setting::HANDSHAKE_TIMEOUT)?,
                inactivity: read.of(&setting::INACTIVITY_TIMEOUT)?,
                store_file: read.of(&setting::STORE_COPY_MAX_RETRY_TIME)?,
                backoff_max_wait: read.of(&setting::STORE_COPY_BACKOFF_MAX_WAIT)?,
            },
            store_copy_parallelism: parallelism.min(PARALLELISM_LIMIT).unsigned_abs() as usize,
            store_copy_chunk_size: read.of(&setting::STORE_COPY_CHUNK_SIZE)?.unsigned_abs() as usize,
            protocol_versions: read.of(&setting::PROTOCOL_VERSIONS)?,
            ssl: ssl(&read, sources, &mut notices)?,
            log_level: read.of(&setting::LOG_LEVEL)?,
            log_time_zone: read.of(&setting::LOG_TIME_ZONE)?,
            page_cache: read.of(&setting::PAGE_CACHE),
            fail_fast: NonZeroU32::new(read.of(&setting::FAIL_FAST_THRESHOLD)?.unsigned_abs()),
            tx_log: TxLog {
                rotation_size: read.of(&setting::TX_LOG_ROTATION_SIZE)?,
                retention: read.of(&setting::TX_LOG_RETENTION)?,
            },
            transaction_logs_root: data_directory.join(read.of(&setting::TRANSACTION_LOGS_ROOT)?),
            cluster_state_directory: data_directory.join(read.of(&setting::CLUSTER_STATE)?),
            data_directory,
            notices,
            warnings: Vec::new(),
        };
        warnings.append(&mut layers.warnings);
        configuration.warnings = warnings;
        Ok(configuration)
    }
}

/// Settings of files, read with one set of rules for commands.
struct Read<'a> {
    layers: &'a Layers,
    expansion: Expansion,
}

impl Read<'_> {
    fn of<T>(&self, setting: &setting::Setting<T>) -> Result<T, ConfigError> {
        self.layers.get_or_default(setting, &self.expansion)
    }

    fn explicit<T>(&self, setting: &setting::Setting<T>) -> Result<Option<T>, ConfigError> {
        self.layers.get(setting, &self.expansion)
    }
}

/// How commands are run. The time limit is a setting itself; until it is known its default holds.
fn expansion(layers: &Layers, allowed: bool) -> Result<Expansion, ConfigError> {
    let first = Expansion { allowed, timeout: Duration::from_secs(30) };
    let timeout = layers.get_or_default(&setting::COMMAND_TIMEOUT, &first)?;
    Ok(Expansion { allowed, timeout })
}

/// The SSL policy. Wrong values are errors even if it is off; only what a TLS library must offer is not looked at then.
fn ssl(
    read: &Read<'_>,
    sources: &Sources<'_>,
    notices: &mut Vec<String>,
) -> Result<Option<SslPolicy>, ConfigError> {
    let enabled = read.of(&setting::SSL_ENABLED)?;
    let base_directory = base_directory(&read.of(&setting::SSL_BASE_DIRECTORY)?, enabled, sources, notices);
    let file = |setting| -> Result<PolicyFile, ConfigError> {
        let path = base_directory.join(read.of(setting)?);
        Ok(PolicyFile { path, explicit: read.explicit(setting)?.is_some() })
    };
    let policy = SslPolicy {
        private_key: file(&setting::SSL_PRIVATE_KEY)?,
        private_key_password: read.explicit(&setting::SSL_PRIVATE_KEY_PASSWORD)?,
        public_certificate: file(&setting::SSL_PUBLIC_CERTIFICATE)?,
        trusted_dir: base_directory.join(read.of(&setting::SSL_TRUSTED_DIR)?),
        revoked_dir: base_directory.join(read.of(&setting::SSL_REVOKED_DIR)?),
        ignore_dot_files: read.of(&setting::SSL_IGNORE_DOT_FILES)?,
        trust_all: read.of(&setting::SSL_TRUST_ALL)?,
        verify_hostname: read.of(&setting::SSL_VERIFY_HOSTNAME)?,
        client_auth: read.of(&setting::SSL_CLIENT_AUTH)?,
        tls_versions: if enabled { read.of(&setting::SSL_TLS_VERSIONS)? } else { Vec::new() },
        ciphers: if enabled { read.of(&setting::SSL_CIPHERS)? } else { Vec::new() },
        base_directory,
    };
    Ok(enabled.then_some(policy))
}

/// A relative directory is looked for below the backup directory, as the original does, and then, as people expect,
/// below the installation.
fn base_directory(
    configured: &Path,
    enabled: bool,
    sources: &Sources<'_>,
    notices: &mut Vec<String>,
) -> PathBuf {
    let first = sources.policy_home.join(configured);
    let second = sources.home.join(configured);
    if !enabled || first.is_dir() || first == second || !second.is_dir() {
        return first;
    }
    notices.push(format!(
        "The directory of the SSL policy 'backup', {}, is relative: {} does not exist, {} is used.",
        configured.display(),
        first.display(),
        second.display()
    ));
    second
}
