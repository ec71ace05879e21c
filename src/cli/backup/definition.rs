//! The options of `backup`. Specification: command line 2.1; the order is that of the help there, 1.5.

use clap::Command;

use crate::backup::selection::Selection;
use crate::catchup::message::MetadataKind;
use crate::cli::check_options;
use crate::cli::definition::{additional, boolean, command, flag, help_flag, invalid, path, switch, value};

/// The command and its options.
pub(in crate::cli) fn definition() -> Command {
    command("backup")
        .about("Perform an online backup from a running Neo4j enterprise server.")
        .long_about(
            "Perform an online backup from a running Neo4j enterprise server. Neo4j's backup service must have been \
             configured on the server beforehand.\n\
             \n\
             Options written as --name[=<true/false>] negate their default when they stand without a value: \
             --check-consistency alone means --check-consistency=false. Write the value.\n\
             \n\
             The first run makes a full copy, later ones fetch what was committed since. Then the transactions are \
             applied and the result is checked.\n\
             \n\
             The exit code is 0 if all went well, 1 if a backup failed, 2 if only its check could not be made, and 3 if \
             the check found inconsistencies. Of several databases it is 0 or 1.\n\
             \n\
             For more information see: https://neo4j.com/docs/operations-manual/current/backup/",
        )
        .arg(path("backup-dir").required(true).help("Directory to place backup in."))
        .arg(value("from", "host:port").default_value("localhost:6362").help(
            "Host and port of Neo4j. Of several, with commas between them, the first one is used that can be reached and \
             has the database.",
        ))
        .arg(
            value("database", "database")
                .default_value("neo4j")
                .help("Name of the remote database to backup. Can contain * and ? for globbing.")
                .value_parser(|text: &str| {
                    Selection::parse(text).map_err(|reason| {
                        // The class of the exception is part of the text that scripts know.
                        let reason = format!(
                            "Invalid database name '{text}'. (java.lang.IllegalArgumentException: {reason})"
                        );
                        invalid("database", reason)
                    })
                }),
        )
        .arg(switch("fallback-to-full", true).help(
            "If an incremental backup fails backup will move the old backup to <name>.err.<N> and fallback to a full.",
        ))
        .arg(
            value("pagecache", "size")
                .default_value("8m")
                .help("The size of the page cache to use for the backup process."),
        )
        .arg(switch("check-consistency", true).help("If a consistency check should be made."))
        .args(check_options::options())
        .arg(path("additional-config").help("Configuration file to supply additional configuration in."))
        .arg(
            value("include-metadata", "all/users/roles")
                .help(
                    "Include metadata in file. Can't be used for backing system database.\n\
                     roles - commands to create the roles and privileges (for both database and graph) that affect \
                     the use of the database\n\
                     users - commands to create the users that can use the database and their role assignments\n\
                     all - include roles and users",
                )
                .value_parser(|text: &str| match text {
                    "all" => Ok(MetadataKind::All),
                    "users" => Ok(MetadataKind::Users),
                    "roles" => Ok(MetadataKind::Roles),
                    _ => {
                        let reason =
                            format!("expected one of [all, users, roles] (case-sensitive) but was '{text}'");
                        Err(invalid("include-metadata", reason))
                    }
                }),
        )
        .arg(switch("prepare-restore", true).help(
            "Perform the recovery of the backup store by applying the latest pulled transactions. If disabled, the \
             backup will be faster but a recovery of the backup store will be required at a later time before \
             restoring the data (using the neo4j-admin prepare-restore command). Note: if --prepare-restore is set to \
             false, then --check-consistency is implicitly set to false because the consistency of a none-recovered \
             store can't be checked.",
        ))
        .arg(switch("parallel-recovery", false).help(
            "Allow multiple threads to apply pulled transactions to a backup in parallel. For some databases and \
             workloads this may reduce backup times significantly.\n\
             Note: this is an EXPERIMENTAL option. Consult Neo4j support before use.",
        ))
        .arg(additional(flag("fallback-on-any-error")).help(
            "Fall back to a full copy whatever the reason of the failure, also when the server can not be reached. \
             Without it that is done only where a full copy helps.",
        ))
        .arg(additional(boolean("resume")).default_value("true").help(
            "If a full copy that was cut off should be continued.",
        ))
        .arg(additional(flag("cleanup")).help(
            "Delete what earlier runs have left beside the backup (<name>.tmp.<N>) and can not be continued.",
        ))
        .arg(additional(value("max-rate", "size")).help(
            "Bytes per second from the network at most, all connections together.",
        ))
        .arg(help_flag())
}
