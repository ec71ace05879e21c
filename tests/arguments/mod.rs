//! A command line means the same as with Neo4j's tool: same values, or same message and exit code.
//!
//! What differs on purpose is in [`DIFFERENCES`], and in `docs/compatibility.md`.

mod generator;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use neo4j_admin::backup::selection::Selection;
use neo4j_admin::catchup::message::MetadataKind;
use neo4j_admin::cli::backup::arguments::BackupArguments;
use neo4j_admin::cli::{self, Command, VERSION};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::golden;
use crate::support::kernel::Kernel;
use crate::support::random::{self, Random};
use crate::support::streams::Output;

/// What a command line means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Meaning {
    exit: u8,
    /// Standard error without the help that may follow.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    /// What is shown beside the message: the version, or the help of this.
    #[serde(skip_serializing_if = "String::is_empty")]
    shows: String,
    /// Deprecated options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// The values of `backup`, if it would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Value>,
}

/// A committed command line with what Neo4j's tool makes of it.
#[derive(Serialize, Deserialize)]
struct Known {
    words: Vec<String>,
    #[serde(flatten)]
    meaning: Meaning,
}

/// Something that is not as with Neo4j's tool, on purpose.
struct Difference {
    name: &'static str,
    /// Whether it explains why the words mean the first to us and the second to Neo4j's tool.
    explains: fn(&[String], &Meaning, &Meaning) -> bool,
}

/// Each occurs in the committed command lines.
const DIFFERENCES: [Difference; 3] = [
    Difference {
        name: "a command has --help and -h",
        explains: |words, ours, theirs| {
            words.iter().any(|word| word.starts_with("--help") || word.starts_with("-h"))
                && ours.shows == "backup"
                && (ours.exit == 0 && theirs.exit == 2 || ours.message.starts_with("option '--help'"))
        },
    },
    Difference {
        name: "a mistake in --verbose or --expand-commands shows the help of the program",
        explains: |_, ours, theirs| {
            theirs.shows == "launcher" && *ours == Meaning { shows: "program".to_owned(), ..theirs.clone() }
        },
    },
    Difference {
        name: "only commands that there are can be meant",
        explains: |_, ours, theirs| {
            let (our_line, our_commands) = suggestions(&ours.message);
            let (their_line, their_commands) = suggestions(&theirs.message);
            // No more than three are suggested, so one that both have may give way to others.
            let agree =
                our_commands.starts_with(&their_commands) || their_commands.starts_with(&our_commands);
            ours.exit == theirs.exit && our_line == their_line && ours.message != theirs.message && agree
        },
    },
];

/// The first line, and those of the suggested commands that Neo4j's tool and ours have.
fn suggestions(message: &str) -> (&str, Vec<&str>) {
    let (line, commands) = message.split_once("\nDid you mean: ").unwrap_or((message, ""));
    let commands = commands.trim_end_matches('?').split(" or ");
    (
        line,
        commands
            .filter(|command| matches!(*command, "backup" | "check-consistency" | "help" | "store-info"))
            .collect(),
    )
}

fn ours(words: &[String]) -> Meaning {
    let output = Output::default();
    let understood = cli::understand(words.iter().map(OsString::from), &output.streams());
    let (exit, values, warnings) = match understood {
        Ok(Command::Backup(arguments)) => (0, Some(values(&arguments)), arguments.deprecations().collect()),
        Ok(other) => panic!("{words:?} became {other:?}"),
        Err(exit) => (exit.code(), None, Vec::new()),
    };
    // Neo4j's tool does not tell what a switch without a value means.
    let err: String =
        output.err().split_inclusive('\n').filter(|line| !line.starts_with("Warning: '--")).collect();
    Meaning { warnings, values, ..shown(exit, &output.out(), &err) }
}

fn values(arguments: &BackupArguments) -> Value {
    let (database, pattern) = match &arguments.database {
        Selection::Name(name) => (name.as_str(), false),
        Selection::Pattern(pattern) => (pattern.as_str(), true),
    };
    json!({
        "verbose": arguments.verbose,
        "expand-commands": arguments.expand_commands,
        "backup-dir": arguments.backup_dir,
        "from": arguments.from,
        "database": database,
        "pattern": pattern,
        "fallback-to-full": arguments.fallback_to_full,
        "pagecache": arguments.pagecache,
        "check-consistency": arguments.check_consistency,
        "report-dir": arguments.check.report_directory,
        "check-graph": arguments.check.graph,
        "check-indexes": arguments.check.indexes,
        "check-index-structure": arguments.check.index_structure,
        "additional-config": arguments.additional_config,
        "include-metadata": arguments.include_metadata.map(|what| match what {
            MetadataKind::All => "all",
            MetadataKind::Users => "users",
            MetadataKind::Roles => "roles",
        }),
        "prepare-restore": arguments.prepare_restore,
        "parallel-recovery": arguments.parallel_recovery,
    })
}

fn theirs(kernel: &Kernel, words: &[String]) -> Meaning {
    #[derive(Deserialize)]
    struct Answer {
        exit: u8,
        stdout: String,
        stderr: String,
        values: Option<Value>,
    }
    let answer: Answer = kernel.oracle().ask(&json!({"job": "arguments", "words": words}));
    let warnings =
        answer.stdout.lines().filter(|line| line.starts_with("Warning: ")).map(str::to_owned).collect();
    if answer.values.is_some() {
        // Standard output has the header of --verbose, too.
        return Meaning {
            exit: answer.exit,
            message: answer.stderr,
            warnings,
            values: answer.values,
            ..Meaning::default()
        };
    }
    shown(answer.exit, &answer.stdout, &answer.stderr)
}

/// Tells messages and help texts apart.
fn shown(exit: u8, out: &str, err: &str) -> Meaning {
    let helps = [
        ("launcher", "Usage: Neo4j Admin\n"),
        ("backup", "\nPerform an online backup from a running Neo4j enterprise server.\n\nUSAGE"),
        ("help", "Displays help information about the specified command\n\n"),
        ("program", "Usage: neo4j-admin [-hV]"),
    ];
    let find = |text: &str| helps.iter().filter_map(|(name, start)| Some((text.find(start)?, *name))).min();
    let version = matches!(out.trim_end(), "4.4.38" | VERSION).then_some("version");
    let shows = find(out).or(find(err)).map(|(_, name)| name).or(version).unwrap_or_default();
    let message = find(err).map_or(err, |(start, _)| &err[..start]).trim_end_matches('\n');
    Meaning { exit, message: message.to_owned(), shows: shows.to_owned(), ..Meaning::default() }
}

/// Compares, and notes which difference on purpose was met.
fn compare(words: &[String], ours: &Meaning, theirs: &Meaning, met: &mut BTreeSet<&'static str>) {
    if ours == theirs {
        return;
    }
    match DIFFERENCES.iter().find(|difference| (difference.explains)(words, ours, theirs)) {
        Some(difference) => {
            met.insert(difference.name);
        }
        None => panic!("{words:?}\nours   {ours:?}\ntheirs {theirs:?}"),
    }
}

fn known() -> (PathBuf, Vec<Known>) {
    let file = golden::directory().join("arguments.jsonl");
    let lines = fs::read_to_string(&file).expect("committed command lines");
    (file, lines.lines().map(|line| serde_json::from_str(line).expect("a command line")).collect())
}

#[test]
fn committed_command_lines_mean_what_they_mean_to_neo4j() {
    let (_, known) = known();
    assert!(known.len() > 300);
    let mut met = BTreeSet::new();
    for Known { words, meaning } in &known {
        compare(words, &ours(words), meaning, &mut met);
    }
    assert_eq!(met, DIFFERENCES.iter().map(|difference| difference.name).collect());
}

#[test]
fn the_committed_meanings_are_those_of_neo4j() {
    let Some(kernel) = Kernel::find() else { return };
    let (file, known) = known();
    let lines: String = known
        .into_iter()
        .map(|Known { words, .. }| {
            let meaning = theirs(kernel, &words);
            serde_json::to_string(&Known { words, meaning }).expect("JSON") + "\n"
        })
        .collect();
    golden::compare(&file, &lines);
}

#[test]
fn generated_command_lines_mean_what_they_mean_to_neo4j() {
    let Some(kernel) = Kernel::find() else { return };
    // Neo4j's tool builds all its commands for each line, which costs it some 10 ms.
    let default = if std::env::var_os("CI").is_some() { 5_000 } else { 500 };
    let rounds = random::rounds("NEO4J_ADMIN_TEST_COMMAND_LINES", default);
    let seed = random::rounds("NEO4J_ADMIN_TEST_SEED", 3) as u64;
    println!("{rounds} command lines, NEO4J_ADMIN_TEST_SEED={seed}");
    let mut random = Random(seed);
    let (mut valid, mut met) = (0, BTreeSet::new());
    for _ in 0..rounds {
        let words = generator::command_line(&mut random);
        let theirs = theirs(kernel, &words);
        valid += usize::from(theirs.values.is_some());
        compare(&words, &ours(&words), &theirs, &mut met);
    }
    println!("{valid} valid; on purpose: {met:?}");
    assert!(valid > rounds / 10 && valid < rounds * 9 / 10, "{valid} of {rounds} are valid");
}

#[test]
fn argument_files_are_where_the_command_lines_look_for_them() {
    for word in generator::FILES.iter().filter(|word| !word.contains("missing")) {
        assert!(Path::new(&word[1..]).is_file(), "{word}");
    }
}
