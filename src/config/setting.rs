//! The settings that this program reads, as data.

use std::path::PathBuf;
use std::time::Duration;

use super::policy::{self, CipherSuite, ClientAuth, TlsVersion};
use super::retention::{self, RetentionPolicy};
use super::value::{self, Secret, ValueError, Words};

/// A setting with its type.
pub struct Setting<T> {
    /// What it is called in a file, its default and its use.
    pub description: Description,
    /// Reads a value; gets the name for error texts.
    read: fn(&'static str, &str) -> Result<T, ValueError>,
}

/// What can be said of a setting without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is called in a file.
    pub name: &'static str,
    /// Name of its type.
    pub kind: &'static str,
    /// The default, as it would be written in a file; empty if there is none.
    pub default: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
}

impl<T> Setting<T> {
    const fn new(
        name: &'static str,
        kind: &'static str,
        default: &'static str,
        read: fn(&'static str, &str) -> Result<T, ValueError>,
        purpose: &'static str,
    ) -> Self {
        Self { description: Description { name, kind, default, purpose, secret: false }, read }
    }

    /// Reads a value from its text.
    pub fn read(&self, text: &str) -> Result<T, ValueError> {
        (self.read)(self.description.name, text)
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What should be looked at.
    Warn,
    /// What failed.
    Error,
    /// Nothing.
    None,
}

impl Words for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("DEBUG", Self::Debug),
        ("INFO", Self::Info),
        ("WARN", Self::Warn),
        ("ERROR", Self::Error),
        ("NONE", Self::None),
    ];
}

/// The zone of times in log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTimeZone {
    /// Universal time.
    Utc,
    /// The zone of the machine.
    System,
}

impl Words for LogTimeZone {
    const WORDS: &'static [(&'static str, Self)] = &[("UTC", Self::Utc), ("SYSTEM", Self::System)];
}

/// A compression of the wire that the protocol knows. It would compress what the client sends and never what the server
/// sends, so no backup gets faster by it: it is read, and never offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name says all")]
pub enum Compression {
    Gzip,
    Snappy,
    SnappyValidating,
    Lz4,
    Lz4HighCompression,
    LzValidating,
    Lz4HighCompressionValidating,
}

impl Words for Compression {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("Gzip", Self::Gzip),
        ("Snappy", Self::Snappy),
        ("Snappy_validating", Self::SnappyValidating),
        ("LZ4", Self::Lz4),
        ("LZ4_high_compression", Self::Lz4HighCompression),
        ("LZ_validating", Self::LzValidating),
        ("LZ4_high_compression_validating", Self::Lz4HighCompressionValidating),
    ];
}

macro_rules! settings {
    ($($(#[$attribute:meta])* $constant:ident: $type:ty = $setting:expr;)*) => {
        $($(#[$attribute])* pub const $constant: Setting<$type> = $setting;)*

        /// All settings that are read.
        pub const DESCRIPTIONS: &[Description] = &[$($constant.description),*];

        #[cfg(test)]
        pub(super) fn every_default() -> Vec<(Description, Result<(), ValueError>)> {
            vec![$(($constant.description, $constant.read($constant.description.default).map(drop))),*]
        }
    };
}

settings! {
    /// How long the peer may be silent.
    INACTIVITY_TIMEOUT: Duration = Setting::new(
        "causal_clustering.catch_up_client_inactivity_timeout", "duration", "10m", value::time,
        "how long the server may be silent before a request is given up");
    /// How long to connect.
    HANDSHAKE_TIMEOUT: Duration = Setting::new(
        "causal_clustering.handshake_timeout", "duration", "20s", value::time,
        "how long the handshake may take");
    /// How long to retry a store file.
    STORE_COPY_MAX_RETRY_TIME: Duration = Setting::new(
        "causal_clustering.store_copy_max_retry_time_per_request", "duration", "20m", value::time,
        "how long a store file is tried for again");
    /// How long to wait between tries.
    STORE_COPY_BACKOFF_MAX_WAIT: Duration = Setting::new(
        "causal_clustering.store_copy_backoff_max_wait", "duration", "5s", value::time,
        "longest pause between two tries; the first one is 1 ms, each further one twice as long");
    /// Connections for store files.
    STORE_COPY_PARALLELISM: i32 = Setting::new(
        "causal_clustering.store_copy_parallelism", "integer from 1 on, 32 at most are used", "4",
        value::integer_between::<1, { i32::MAX }>,
        "connections over which the store files of a database are fetched");
    /// Size of a chunk of a store file.
    STORE_COPY_CHUNK_SIZE: i32 = Setting::new(
        "causal_clustering.store_copy_chunk_size", "integer, 4096 to 1048576", "32768",
        value::integer_between::<4096, 1_048_576>,
        "bytes of a file in one message of `serve-backup`");
    /// Versions of the protocol.
    PROTOCOL_VERSIONS: Vec<(u16, u16)> = Setting::new(
        "causal_clustering.protocol_implementations.catchup", "list of versions", "", value::versions,
        "protocol versions to offer, e.g. `3.0,4.0`; empty for all");
    /// Compressions of the wire.
    COMPRESSION: Vec<Compression> = Setting::new(
        "causal_clustering.protocol_implementations.compression", "list of names", "", value::words_of,
        "checked, and otherwise without effect: the protocol compresses only what a client sends");
    /// Whether TLS is spoken.
    SSL_ENABLED: bool = Setting::new(
        "dbms.ssl.policy.backup.enabled", "boolean", "false", value::boolean,
        "whether connections are encrypted");
    /// Where the files of the policy are.
    SSL_BASE_DIRECTORY: PathBuf = Setting::new(
        "dbms.ssl.policy.backup.base_directory", "path", "certificates/backup", value::path,
        "directory of the files below; must exist");
    /// The key.
    SSL_PRIVATE_KEY: PathBuf = Setting::new(
        "dbms.ssl.policy.backup.private_key", "path", "private.key", value::path,
        "private key, PEM");
    /// The password of the key.
    SSL_PRIVATE_KEY_PASSWORD: Secret = Setting {
        description: Description {
            name: "dbms.ssl.policy.backup.private_key_password", kind: "secret", default: "",
            purpose: "password of the private key, if that is encrypted", secret: true,
        },
        read: |_, text| Ok(value::secret(text)),
    };
    /// The certificate.
    SSL_PUBLIC_CERTIFICATE: PathBuf = Setting::new(
        "dbms.ssl.policy.backup.public_certificate", "path", "public.crt", value::path,
        "certificate of the key or a chain that begins with it, PEM");
    /// Whom to trust.
    SSL_TRUSTED_DIR: PathBuf = Setting::new(
        "dbms.ssl.policy.backup.trusted_dir", "path", "trusted", value::path,
        "directory of certificates to trust, PEM or DER");
    /// Whom not to trust any more.
    SSL_REVOKED_DIR: PathBuf = Setting::new(
        "dbms.ssl.policy.backup.revoked_dir", "path", "revoked", value::path,
        "directory of certificate revocation lists, PEM or DER");
    /// Whether to trust everybody.
    SSL_TRUST_ALL: bool = Setting::new(
        "dbms.ssl.policy.backup.trust_all", "boolean", "false", value::boolean,
        "accept any certificate of the peer");
    /// Whether names matter.
    SSL_VERIFY_HOSTNAME: bool = Setting::new(
        "dbms.ssl.policy.backup.verify_hostname", "boolean", "false", value::boolean,
        "whether the server's certificate must be for the host of `--from`");
    /// What a server demands of its clients.
    SSL_CLIENT_AUTH: ClientAuth = Setting::new(
        "dbms.ssl.policy.backup.client_auth", "`NONE`, `OPTIONAL`, `REQUIRE`", "REQUIRE", value::one_of,
        "what `serve-backup` demands of its clients; `REQUIRE` also needs a certificate to trust");
    /// Versions of TLS.
    SSL_TLS_VERSIONS: Vec<TlsVersion> = Setting::new(
        "dbms.ssl.policy.backup.tls_versions", "list of `TLSv1.2`, `TLSv1.3`", "TLSv1.2", policy::tls_versions,
        "versions of TLS that may be used");
    /// Cipher suites.
    SSL_CIPHERS: Vec<CipherSuite> = Setting::new(
        "dbms.ssl.policy.backup.ciphers", "list of names", "", policy::ciphers,
        "cipher suites that may be used, by their Java names; empty for all");
    /// Whether dot files in the directories of certificates are skipped.
    SSL_IGNORE_DOT_FILES: bool = Setting::new(
        "unsupported.dbms.ssl.system.ignore_dot_files", "boolean", "false", value::boolean,
        "skip files whose names begin with a dot in `trusted_dir` and `revoked_dir`");
    /// How much is logged.
    LOG_LEVEL: LogLevel = Setting::new(
        "dbms.logs.debug.level", "`DEBUG`, `INFO`, `WARN`, `ERROR`, `NONE`", "INFO", value::one_of,
        "how much is logged; `--verbose` sets `DEBUG`");
    /// The zone of log lines.
    LOG_TIME_ZONE: LogTimeZone = Setting::new(
        "dbms.db.timezone", "`UTC`, `SYSTEM`", "UTC", value::one_of,
        "zone of the times in log lines");
    /// Size of a transaction log file.
    TX_LOG_ROTATION_SIZE: u64 = Setting::new(
        "dbms.tx_log.rotation.size", "bytes, at least 128K", "250MiB", value::rotation_size,
        "when a new transaction log file is begun");
    /// Memory for pages of store files.
    PAGE_CACHE: Option<u64> = Setting::new(
        "dbms.memory.pagecache.size", "bytes", "", value::optional_size,
        "page cache of `prepare-restore`, by default a quarter of the memory; `backup` has `--pagecache`");
    /// How long transaction log files are kept.
    TX_LOG_RETENTION: RetentionPolicy = Setting::new(
        "dbms.tx_log.rotation.retention_policy", "`<number>[K|M|G] <type>`", "7 days", retention::parse,
        "which transaction log files of a backup may go");
    /// Where databases are.
    DATA_DIRECTORY: PathBuf = Setting::new(
        "dbms.directories.data", "path", "data", value::path,
        "data directory of the installation");
    /// Where transaction logs are.
    TRANSACTION_LOGS_ROOT: PathBuf = Setting::new(
        "dbms.directories.transaction.logs.root", "path", "transactions", value::path,
        "transaction logs of the installation, relative to its data directory");
    /// Where members of a cluster keep their state.
    CLUSTER_STATE: PathBuf = Setting::new(
        "dbms.directories.cluster_state", "path", "cluster-state", value::path,
        "state of the cluster member, relative to the data directory: `restore` refuses a database that is in it");
    /// After how many reports a check ends.
    FAIL_FAST_THRESHOLD: i32 = Setting::new(
        "unsupported.consistency_checker.fail_fast_threshold", "integer from 0 on", "0", value::integer_between::<0, { i32::MAX }>,
        "after so many errors and warnings about records a consistency check ends; 0: it goes on");
    /// Whether unknown settings are errors.
    STRICT_VALIDATION: bool = Setting::new(
        "dbms.config.strict_validation", "boolean", "false", value::boolean,
        "whether an unknown setting is an error");
    /// How long a command may take.
    COMMAND_TIMEOUT: Duration = Setting::new(
        "unsupported.dbms.config.command_evaluation_timeout", "duration", "30s", value::time,
        "how long a command in `$(...)` may take");
}

/// Names of further settings of Neo4j 4.4, and families of names, which end in a dot.
const KNOWN: &str = include_str!("known_settings.txt");

/// Whether Neo4j has a setting of this name. Of the settings of the Enterprise Edition only families are known, so a
/// wrong name in one of these is not noticed.
pub(super) fn is_known(name: &str) -> bool {
    DESCRIPTIONS.iter().any(|description| description.name == name)
        || KNOWN.lines().any(|known| known == name || known.ends_with('.') && name.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_type() {
        for (description, result) in every_default() {
            assert_eq!(result, Ok(()), "{}", description.name);
        }
    }

    #[test]
    fn names_are_known_alone_or_by_their_family() {
        for name in ["dbms.tx_log.rotation.size", "dbms.mode", "causal_clustering.x", "metrics.enabled"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["dbms.tx_log.rotation.sizes", "dbms.mod", "metrics", "nosuch", ""] {
            assert!(!is_known(name), "{name}");
        }
    }

    /// The table of the documentation is made of the same data.
    #[test]
    fn the_documentation_lists_every_setting() {
        let documentation = include_str!("../../docs/configuration.md");
        for Description { name, kind, default, purpose, .. } in DESCRIPTIONS {
            let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
            let row = format!("| `{name}` | {kind} | {default} | {purpose} |\n");
            assert!(documentation.contains(&row), "docs/configuration.md lacks\n{row}");
        }
    }
}
