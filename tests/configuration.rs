//! Configuration files in, values or an error out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use neo4j_admin::config::policy::{CipherSuite, ClientAuth, PolicyFile, TlsVersion};
use neo4j_admin::config::retention::RetentionPolicy;
use neo4j_admin::config::setting::{LogLevel, LogTimeZone};
use neo4j_admin::config::{ConfigError, Configuration, Sources, Timeouts, TxLog};
use tempfile::TempDir;

/// A home with `conf/neo4j.conf`, a backup directory and an additional file.
struct Home {
    directory: TempDir,
    expand: bool,
}

impl Home {
    fn new(neo4j_conf: &str) -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap(), expand: false };
        fs::create_dir_all(home.path("conf")).unwrap();
        fs::create_dir_all(home.path("backups")).unwrap();
        fs::write(home.path("conf/neo4j.conf"), neo4j_conf).unwrap();
        home.protect("conf/neo4j.conf", 0o640);
        home
    }

    fn with_additional(neo4j_conf: &str, additional: &str) -> Self {
        let home = Self::new(neo4j_conf);
        fs::write(home.path("more.conf"), additional).unwrap();
        home.protect("more.conf", 0o600);
        home
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn protect(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Configuration, ConfigError> {
        let more = self.path("more.conf");
        Configuration::load(&Sources {
            conf: &self.path("conf"),
            home: self.directory.path(),
            policy_home: &self.path("backups"),
            additional: more.exists().then_some(more.as_path()),
            expand_commands: self.expand,
        })
    }

    /// The error without its first words and the name of `neo4j.conf`.
    fn error(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        let start = format!("Failed to read config {}: ", self.path("conf/neo4j.conf").display());
        text.strip_prefix(&start).map(str::to_owned).unwrap_or(text)
    }
}

#[test]
fn without_files_everything_has_its_default() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let sources = Sources { conf: home, home, policy_home: home, additional: None, expand_commands: false };
    let configuration = Configuration::load(&sources).unwrap();
    assert_eq!(
        configuration.timeouts,
        Timeouts {
            handshake: Duration::from_secs(20),
            inactivity: Duration::from_secs(600),
            store_file: Duration::from_secs(1200),
            backoff_max_wait: Duration::from_secs(5),
        }
    );
    assert_eq!(configuration.store_copy_parallelism, 4);
    assert_eq!(configuration.store_copy_chunk_size, 32_768);
    assert_eq!(configuration.protocol_versions, []);
    assert!(configuration.ssl.is_none());
    assert_eq!((configuration.log_level, configuration.log_time_zone), (LogLevel::Info, LogTimeZone::Utc));
    let retention = RetentionPolicy::Age(Duration::from_secs(7 * 86_400));
    assert_eq!(configuration.tx_log, TxLog { rotation_size: 250 << 20, retention });
    assert_eq!(configuration.data_directory, home.join("data"));
    assert_eq!(configuration.transaction_logs_root, home.join("data/transactions"));
    assert!(configuration.notices.is_empty() && configuration.warnings.is_empty());
}

#[test]
fn later_files_and_later_lines_win() {
    let home = Home::with_additional(
        "dbms.logs.debug.level=DEBUG\ncausal_clustering.handshake_timeout=1s\ndbms.jvm.additional=-a\n\
         dbms.jvm.additional=-b\ndbms.db.timezone=utc\ncausal_clustering.handshake_timeout=2s\n",
        "dbms.logs.debug.level = warn \ncausal_clustering.store_copy_parallelism=8\ndbms.db.timezone=System\n\
         causal_clustering.protocol_implementations.catchup=3.0\ndbms.directories.data=/data\n",
    );
    let configuration = home.load().unwrap();
    assert_eq!((configuration.log_level, configuration.log_time_zone), (LogLevel::Warn, LogTimeZone::System));
    assert_eq!(configuration.timeouts.handshake, Duration::from_secs(2));
    assert_eq!(configuration.store_copy_parallelism, 8);
    assert_eq!(configuration.protocol_versions, [(3, 0)]);
    assert_eq!(configuration.transaction_logs_root, Path::new("/data/transactions"));
    assert_eq!(
        configuration.warnings,
        [
            "The 'causal_clustering.handshake_timeout' setting is overridden. Setting value changed from '1s' to '2s'.",
            "The 'dbms.logs.debug.level' setting is overridden. Setting value changed from 'DEBUG' to 'warn '.",
            "The 'dbms.db.timezone' setting is overridden. Setting value changed from 'utc' to 'System'.",
        ]
    );
}

#[test]
fn a_wrong_value_is_told_with_file_and_line() {
    for (conf, message) in [
        (
            "\ndbms.tx_log.rotation.size=100K",
            "Error evaluating value for setting 'dbms.tx_log.rotation.size'. Failed to validate '102400' for \
             'dbms.tx_log.rotation.size': minimum allowed value is 128.00KiB (line 2)",
        ),
        (
            "dbms.logs.debug.level=\\\n bla\n",
            "Error evaluating value for setting 'dbms.logs.debug.level'. 'bla' not one of [DEBUG, INFO, WARN, ERROR, \
             NONE] (line 1)",
        ),
        (
            "dbms.ssl.policy.backup.client_auth=foo",
            "Error evaluating value for setting 'dbms.ssl.policy.backup.client_auth'. 'foo' not one of [NONE, \
             OPTIONAL, REQUIRE] (line 1)",
        ),
        (
            "dbms.ssl.policy.backup.enabled=",
            "Error evaluating value for setting 'dbms.ssl.policy.backup.enabled'. '' is not a valid boolean value, \
             must be 'true' or 'false' (line 1)",
        ),
        (
            "dbms.ssl.policy.backup.private_key=a\\u0000b",
            "Error evaluating value for setting 'dbms.ssl.policy.backup.private_key'. Nul character not allowed: \
             a\0b (line 1)",
        ),
        (
            "causal_clustering.handshake_timeout=5x",
            "Error evaluating value for setting 'causal_clustering.handshake_timeout'. Unrecognized unit `x`. Valid \
             units are: `ns`, `μs`, `ms`, `s`, `m`, `h` and `d`; default unit is `s` (line 1)",
        ),
        (
            "causal_clustering.store_copy_parallelism=0",
            "Error evaluating value for setting 'causal_clustering.store_copy_parallelism'. Failed to validate '0' \
             for 'causal_clustering.store_copy_parallelism': minimum allowed value is 1 (line 1)",
        ),
        (
            "causal_clustering.protocol_implementations.compression=zip",
            "Error evaluating value for setting 'causal_clustering.protocol_implementations.compression'. 'zip' not \
             one of [Gzip, Snappy, Snappy_validating, LZ4, LZ4_high_compression, LZ_validating, \
             LZ4_high_compression_validating] (line 1)",
        ),
        ("# \n\n x = \\u12", "Malformed \\uxxxx encoding. (line 3)"),
    ] {
        assert_eq!(Home::new(conf).error(), message);
    }
}

#[test]
fn an_error_in_the_additional_file_names_that_file() {
    let home = Home::with_additional("dbms.db.timezone=x", "\n\ndbms.db.timezone=y");
    let expected = format!(
        "Failed to read config {}: Error evaluating value for setting 'dbms.db.timezone'. 'y' not one of [UTC, \
         SYSTEM] (line 3)",
        home.path("more.conf").display()
    );
    assert_eq!(home.load().unwrap_err().to_string(), expected);
}

#[test]
fn settings_of_others_are_not_evaluated() {
    let home = Home::new(
        "dbms.memory.pagecache.size=rubbish\ndbms.ssl.policy.https.client_auth=foo\n\
         dbms.connector.bolt.enabled=$(exit 1)\nplugin.key=1\ndbms.ssl.policy.nosuch.enabled=1\n\
         dbms.ssl.policy.=1\ndbms.ssl.policy.backup.nosuch=1\ndbms.ssl.policy=1\n",
    );
    assert_eq!(
        home.load().unwrap().warnings,
        [
            "Unrecognized setting. No declared setting with name: dbms.ssl.policy",
            "Malformed group setting name: 'dbms.ssl.policy.', does not match any setting in its group.",
            "Unrecognized setting. No declared setting with name: dbms.ssl.policy.nosuch.enabled",
            "Unrecognized setting. No declared setting with name: plugin.key",
        ]
    );
}

#[test]
fn strict_validation_makes_errors_of_unknown_settings() {
    for (line, message) in [
        ("nosuch.setting=1", "Unrecognized setting. No declared setting with name: nosuch.setting (line 2)"),
        (
            "dbms.ssl.policy.nosuch.enabled=1",
            "Unrecognized setting. No declared setting with name: dbms.ssl.policy.nosuch.enabled (line 2)",
        ),
        (
            "dbms.ssl.policy..enabled=1",
            "Malformed group setting name: 'dbms.ssl.policy..enabled', does not match any setting in its group. \
             (line 2)",
        ),
    ] {
        assert_eq!(Home::new(&format!("dbms.config.strict_validation=true\n{line}\n")).error(), message);
    }
    let home = Home::new("dbms.config.strict_validation=true\ndbms.ssl.policy.BOLT.x=1\ndbms.mode=CORE\n");
    assert!(home.load().is_ok());
    assert_eq!(
        Home::new("dbms.config.strict_validation=maybe").error(),
        "Error evaluating value for setting 'dbms.config.strict_validation'. 'maybe' is not a valid boolean value, \
         must be 'true' or 'false' (line 1)"
    );
}

#[test]
fn a_missing_additional_file_is_noticed() {
    let home = Home::new("");
    let missing = home.path("nosuch.conf");
    let sources = Sources {
        conf: &home.path("conf"),
        home: home.directory.path(),
        policy_home: home.directory.path(),
        additional: Some(&missing),
        expand_commands: false,
    };
    assert_eq!(
        Configuration::load(&sources).unwrap().notices,
        [format!("The additional configuration {} does not exist.", missing.display())]
    );
}

#[test]
fn a_directory_has_one_file_per_setting() {
    let mut home = Home::new("");
    fs::remove_file(home.path("conf/neo4j.conf")).unwrap();
    fs::create_dir_all(home.path("conf/neo4j.conf/dbms.tx_log.rotation.size")).unwrap();
    fs::create_dir(home.path("conf/neo4j.conf/..data")).unwrap();
    fs::write(home.path("conf/neo4j.conf/..data/level"), "WARN\n").unwrap();
    std::os::unix::fs::symlink("..data/level", home.path("conf/neo4j.conf/dbms.logs.debug.level")).unwrap();
    fs::write(home.path("conf/neo4j.conf/.dbms.db.timezone"), "rubbish").unwrap();
    fs::write(home.path("conf/neo4j.conf/dbms.directories.data"), "/d\\u0041 = ä\r\n").unwrap();
    let configuration = home.load().unwrap();
    assert_eq!(configuration.log_level, LogLevel::Warn);
    assert_eq!(configuration.data_directory, Path::new("/d/u0041 = ä"), "no escapes, no separators");

    let zone = home.path("conf/neo4j.conf/dbms.db.timezone");
    fs::write(&zone, "x").unwrap();
    let start = format!("Failed to read config {}: ", zone.display());
    let error = home.load().unwrap_err().to_string();
    assert_eq!(
        error.strip_prefix(&start),
        Some("Error evaluating value for setting 'dbms.db.timezone'. 'x' not one of [UTC, SYSTEM]")
    );
    fs::write(&zone, [0xe4]).unwrap();
    let error = home.load().unwrap_err().to_string();
    assert!(error.starts_with(&format!("{start}cannot read it as UTF-8: ")), "{error}");

    fs::write(&zone, "UTC").unwrap();
    home.protect("conf/neo4j.conf/dbms.db.timezone", 0o604);
    home.protect("conf/neo4j.conf/dbms.directories.data", 0o600);
    home.protect("conf/neo4j.conf/..data/level", 0o600);
    home.expand = true;
    assert_eq!(
        home.load().unwrap_err().to_string(),
        format!(
            "{start}{} does not have the correct file permissions to evaluate commands. Has [OWNER_READ, OWNER_WRITE, \
             OTHERS_READ], requires at most [OWNER_READ, OWNER_WRITE, GROUP_READ].",
            zone.display()
        )
    );
}

#[test]
fn commands_are_run_only_on_demand_and_only_for_settings_that_are_used() {
    let conf = "dbms.tx_log.rotation.size= $(echo 1G) \nother=$(false)\nunsupported.dbms.config.command_evaluation_\
                timeout=$(echo 10s)\ndbms.ssl.policy.backup.private_key_password=$(echo geheim)\n";
    let mut home = Home::with_additional(conf, "dbms.config.strict_validation=$(echo false)");
    assert_eq!(
        home.error(),
        "Error evaluating value for setting 'unsupported.dbms.config.command_evaluation_timeout'. $(echo 10s) is a \
         command, but config is not explicitly told to expand it. (Missing --expand-commands argument?) (line 3)"
    );
    home.expand = true;
    assert_eq!(home.load().unwrap().tx_log.rotation_size, 1 << 30);

    home.protect("more.conf", 0o644);
    let more = home.path("more.conf");
    assert_eq!(
        home.load().unwrap_err().to_string(),
        format!(
            "Failed to read config {0}: {0} does not have the correct file permissions to evaluate commands. Has \
             [OWNER_READ, OWNER_WRITE, GROUP_READ, OTHERS_READ], requires at most [OWNER_READ, OWNER_WRITE, \
             GROUP_READ].",
            more.display()
        )
    );
}

#[test]
fn a_failing_command_is_told_with_its_setting_and_line() {
    let mut home = Home::new("dbms.tx_log.rotation.size=$(sh -c 'echo out; echo err >&2; exit 3')");
    home.expand = true;
    assert_eq!(
        home.error(),
        "Error evaluating value for setting 'dbms.tx_log.rotation.size'. Command `sh -c 'echo out; echo err >&2; exit \
         3'` failed with exit code 3.\nout\nerr (line 1)"
    );
    let mut home =
        Home::new("unsupported.dbms.config.command_evaluation_timeout=0\ndbms.db.timezone=$(sleep 5)");
    home.expand = true;
    assert_eq!(
        home.error(),
        "Error evaluating value for setting 'dbms.db.timezone'. Timed out executing command `sleep 5` (line 2)"
    );
}

#[test]
fn secrets_never_show() {
    let home = Home::new(
        "dbms.ssl.policy.backup.enabled=true\ndbms.ssl.policy.backup.private_key_password=geheim\n\
         dbms.ssl.policy.backup.private_key_password= geheim2 \ndbms.security.ldap.system_password=geheim3\n\
         dbms.security.ldap.system_password=geheim4\n",
    );
    let configuration = home.load().unwrap();
    let policy = configuration.ssl.clone().unwrap();
    assert_eq!(policy.private_key_password.unwrap().reveal(), "geheim2");
    assert_eq!(configuration.warnings.len(), 2);
    assert!(!format!("{configuration:?}").contains("geheim"));
}

#[test]
fn the_policy_has_its_defaults_below_the_backup_directory() {
    let policy = Home::new("dbms.ssl.policy.backup.enabled=true").load().unwrap();
    let home = Home::new("dbms.ssl.policy.backup.enabled=true");
    let base = home.path("backups/certificates/backup");
    let file = |name: &str| PolicyFile { path: base.join(name), explicit: false };
    assert!(policy.notices.is_empty());
    let policy = home.load().unwrap().ssl.unwrap();
    assert_eq!(policy.base_directory, base);
    assert_eq!(policy.private_key, file("private.key"));
    assert_eq!(policy.public_certificate, file("public.crt"));
    assert_eq!((policy.trusted_dir, policy.revoked_dir), (base.join("trusted"), base.join("revoked")));
    assert!(!policy.trust_all && !policy.verify_hostname && !policy.ignore_dot_files);
    assert_eq!(policy.client_auth, ClientAuth::Require);
    assert_eq!((policy.tls_versions, policy.ciphers), (vec![TlsVersion::V1_2], vec![]));
    assert!(policy.private_key_password.is_none());
}

#[test]
fn the_policy_takes_what_the_file_says() {
    let home = Home::new(
        "dbms.ssl.policy.backup.enabled=TRUE\ndbms.ssl.policy.backup.base_directory=/certificates\n\
         dbms.ssl.policy.backup.private_key=/keys/private.key\ndbms.ssl.policy.backup.trusted_dir=ca\n\
         dbms.ssl.policy.backup.tls_versions=TLSv1.3\ndbms.ssl.policy.backup.ciphers=TLS_AES_128_GCM_SHA256\n\
         dbms.ssl.policy.backup.client_auth=optional\ndbms.ssl.policy.backup.verify_hostname=true\n",
    );
    let policy = home.load().unwrap().ssl.unwrap();
    assert_eq!(policy.private_key, PolicyFile { path: "/keys/private.key".into(), explicit: true });
    assert_eq!(
        policy.public_certificate,
        PolicyFile { path: "/certificates/public.crt".into(), explicit: false }
    );
    assert_eq!(policy.trusted_dir, Path::new("/certificates/ca"));
    assert_eq!(
        (policy.tls_versions, policy.ciphers),
        (vec![TlsVersion::V1_3], vec![CipherSuite::Aes128GcmSha256])
    );
    assert_eq!(policy.client_auth, ClientAuth::Optional);
    assert!(policy.verify_hostname);
}

#[test]
fn a_relative_directory_that_only_the_installation_has_is_used_and_noticed() {
    let home = Home::new("dbms.ssl.policy.backup.enabled=true");
    let (first, second) = (home.path("backups/certificates/backup"), home.path("certificates/backup"));
    fs::create_dir_all(&second).unwrap();
    let configuration = home.load().unwrap();
    assert_eq!(configuration.ssl.unwrap().base_directory, second);
    assert_eq!(
        configuration.notices,
        [format!(
            "The directory of the SSL policy 'backup', certificates/backup, is relative: {} does not exist, {} is used.",
            first.display(),
            second.display()
        )]
    );
    fs::create_dir_all(&first).unwrap();
    let configuration = home.load().unwrap();
    assert_eq!(configuration.ssl.unwrap().base_directory, first);
    assert!(configuration.notices.is_empty());
}

#[test]
fn what_only_this_tls_cannot_do_is_no_error_while_the_policy_is_off() {
    let conf = "dbms.ssl.policy.backup.tls_versions=TLSv1.1\ndbms.ssl.policy.backup.ciphers=SSL_OLD\n";
    assert!(Home::new(conf).load().unwrap().ssl.is_none());
    assert_eq!(
        Home::new(&format!("{conf}dbms.ssl.policy.backup.enabled=true")).error(),
        "Error evaluating value for setting 'dbms.ssl.policy.backup.tls_versions'. TLS version 'TLSv1.1' is not \
         supported because it is not safe, use TLSv1.2 or TLSv1.3 (line 1)"
    );
}

#[test]
fn a_policy_name_in_upper_case_has_no_effect_and_that_is_noticed() {
    let home = Home::new("\ndbms.ssl.policy.BACKUP.enabled=true");
    let configuration = home.load().unwrap();
    assert!(configuration.ssl.is_none());
    assert_eq!(
        configuration.notices,
        [format!(
            "The setting dbms.ssl.policy.BACKUP.enabled in {} (line 2) has no effect: only 'dbms.ssl.policy.backup' in \
             lower case has.",
            home.path("conf/neo4j.conf").display()
        )]
    );
}

#[test]
fn more_connections_than_are_useful_and_compression_are_warned_of() {
    let home = Home::new(
        "causal_clustering.store_copy_parallelism=100\n\
         causal_clustering.protocol_implementations.compression=gzip,LZ4\n",
    );
    let configuration = home.load().unwrap();
    assert_eq!(configuration.store_copy_parallelism, 32);
    assert_eq!(
        configuration.warnings,
        [
            "causal_clustering.protocol_implementations.compression has no effect: the protocol compresses only what a \
             client sends.",
            "causal_clustering.store_copy_parallelism is 100, 32 connections are used.",
        ]
    );
}

#[test]
fn an_unreadable_file_is_an_error() {
    let home = Home::new("");
    fs::remove_file(home.path("conf/neo4j.conf")).unwrap();
    std::os::unix::fs::symlink("neo4j.conf", home.path("conf/neo4j.conf")).unwrap();
    assert!(home.error().starts_with("cannot read it: "), "{}", home.error());
}
