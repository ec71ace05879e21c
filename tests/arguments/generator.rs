//! Command lines: valid, odd and wrong.

use crate::support::random::Random;

/// Words that stand for the words of a file.
pub const FILES: [&str; 12] = [
    "@tests/golden/arguments/plain",
    "@tests/golden/arguments/quoted",
    "@tests/golden/arguments/nested",
    "@tests/golden/arguments/empty",
    "@tests/golden/arguments/switch",
    "@tests/golden/arguments/escapes",
    "@tests/golden/arguments/loop",
    "@tests/golden/arguments/verbose",
    "@tests/golden/arguments/command",
    "@tests/golden/arguments/wrong",
    "@tests/golden/arguments/dangling",
    "@tests/golden/arguments/missing",
];

const SWITCHES: [&str; 4] =
    ["--fallback-to-full", "--check-consistency", "--prepare-restore", "--parallel-recovery"];

const BOOLEANS: [&str; 6] = [
    "--check-graph",
    "--check-indexes",
    "--check-index-structure",
    "--check-label-scan-store",
    "--check-relationship-type-scan-store",
    "--check-property-owners",
];

/// Options with their good and bad values.
const VALUES: [(&str, &[&str], &[&str]); 7] = [
    ("--backup-dir", &["/mnt/backups", ".", "relative/dir", "/a b", ""], &["--", "--from", "--from=x"]),
    (
        "--from",
        &["db1:6362", "192.168.1.34", "[::1]:1", ":6362", "bolt://h:1", "a,b", " "],
        &["--", "--database"],
    ),
    (
        "--database",
        &["neo4j", "Orders", "n*", "N?", "*", "a.b-1", "system"],
        &[
            "",
            " ",
            "a_b",
            "a%B",
            "x y",
            "ä",
            "a123456789b123456789c123456789d123456789e123456789f123456789g123",
        ],
    ),
    ("--pagecache", &["8m", "4G", "1.5 g", "x", "-1"], &["--"]),
    ("--report-dir", &[".", "/var/log", ""], &["--report-dir"]),
    ("--additional-config", &["/etc/more.conf", "@tests/golden/arguments/wrong"], &["--verbose"]),
    ("--include-metadata", &["all", "users", "roles"], &["", "ALL", "none", "all,users", " all"]),
];

const ODD: [&str; 40] = [
    "",
    " ",
    "-",
    "--",
    "---",
    "--=",
    "=",
    "=x",
    "-1",
    "-5.5",
    "-0x1f",
    "-x",
    "-h",
    "-V",
    "-hV",
    "--help",
    "--version",
    "--help=x",
    "--bogus",
    "--bogus=1",
    "-from=x",
    "--From=x",
    "extra",
    "true",
    "false",
    "backup",
    "help",
    "@",
    "@@x",
    "--check",
    "--pagecach=4G",
    "--databas",
    "--x y",
    "\"quoted\"",
    "'",
    "#",
    "ünïcode",
    "--ünïcode",
    "-é",
    "a\nb",
];

/// A command line without the name of the program.
pub fn command_line(random: &mut Random) -> Vec<String> {
    let mut words = if random.once_in(8) { around_the_root(random) } else { backup(random) };
    let mistakes = if random.once_in(3) { 0 } else { random.below(3) };
    for _ in 0..mistakes {
        mistake(random, &mut words);
    }
    for flag in ["--verbose", "--expand-commands"] {
        if random.once_in(5) {
            let value =
                if random.once_in(3) { pick(random, &["=true", "=FALSE", "=", "=maybe"]) } else { "" };
            insert(random, &mut words, format!("{flag}{value}"));
        }
    }
    words
}

fn pick<'i, T: ?Sized>(random: &mut Random, items: &[&'i T]) -> &'i T {
    items[random.below(items.len())]
}

fn around_the_root(random: &mut Random) -> Vec<String> {
    let words = [
        "help",
        "backup",
        "nosuch",
        "-h",
        "--help",
        "-V",
        "--version",
        "-hV",
        "--help=true",
        "bakcup",
        "BACKUP",
    ];
    (0..random.below(4)).map(|_| pick(random, &words).to_owned()).collect()
}

fn backup(random: &mut Random) -> Vec<String> {
    let mut options: Vec<Vec<String>> = Vec::new();
    for (name, good, _) in VALUES {
        let wanted = if name == "--backup-dir" { !random.once_in(12) } else { random.once_in(5) };
        if wanted {
            let value = pick(random, good);
            options.push(with_value(random, name, value));
        }
    }
    for name in SWITCHES {
        if random.once_in(6) {
            let value = pick(random, &["", "=true", "=false", "=False"]);
            options.push(vec![format!("{name}{value}")]);
        }
    }
    for name in BOOLEANS {
        if random.once_in(8) {
            let value = pick(random, &["true", "false", "TRUE"]);
            options.push(with_value(random, name, value));
        }
    }
    let mut words = Vec::new();
    while !options.is_empty() {
        words.extend(options.swap_remove(random.below(options.len())));
    }
    words.insert(0, "backup".to_owned());
    words
}

fn with_value(random: &mut Random, name: &str, value: &str) -> Vec<String> {
    if random.once_in(2) { vec![format!("{name}={value}")] } else { vec![name.to_owned(), value.to_owned()] }
}

fn insert(random: &mut Random, words: &mut Vec<String>, word: String) {
    words.insert(random.below(words.len() + 1), word);
}

fn mistake(random: &mut Random, words: &mut Vec<String>) {
    match random.below(9) {
        kind @ (0 | 1) => {
            let word = pick(random, if kind == 0 { &ODD[..] } else { &FILES[..] }).to_owned();
            insert(random, words, word);
        }
        2 if !words.is_empty() => {
            words.remove(random.below(words.len()));
        }
        3 if !words.is_empty() => {
            let twice = words[random.below(words.len())].clone();
            insert(random, words, twice);
        }
        4 if !words.is_empty() => misspell(random, words),
        5 => {
            let name = pick(random, &SWITCHES);
            let value = pick(random, &["=", "=yes", "=--from", " ", "=true", "= true"]);
            insert(random, words, format!("{name}{value}"));
        }
        6 => {
            let name = pick(random, &BOOLEANS);
            let value = pick(random, &["=", "=yes", "", "=false", "=--check-graph=true"]);
            insert(random, words, format!("{name}{value}"));
        }
        _ => {
            let (name, _, bad) = VALUES[random.below(VALUES.len())];
            let value = pick(random, bad);
            words.extend(with_value(random, name, value));
        }
    }
}

fn misspell(random: &mut Random, words: &mut [String]) {
    let word = &mut words[random.below(words.len())];
    let mut characters: Vec<char> = word.chars().collect();
    let position = random.below(characters.len() + 1);
    match random.below(3) {
        0 => characters.insert(position, *pick(random, &[&'-', &'=', &'a', &'E', &'"', &' '])),
        1 if position < characters.len() => {
            characters.remove(position);
        }
        _ if position + 1 < characters.len() => characters.swap(position, position + 1),
        _ => {}
    }
    *word = characters.into_iter().collect();
}
