//! Text, full-text and fusion indexes: the reports of Neo4j's checker, and damaged files of Lucene.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use neo4j_admin::consistency::CheckOptions;
use neo4j_admin::index::lucene::{ENTITY, FULLTEXT_ENTITY, Found, LuceneError, LuceneIndex, TEXT, Wanted};
use neo4j_admin::io::disk::OsDisk;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{Entries, archive, checking};
use crate::support::damage::{read, write};
use crate::support::kernel::Kernel;
use crate::support::random::{Random, rounds};
use crate::support::reports;

/// A document: its entity and its terms with their fields.
type Document = (i64, Vec<(String, String)>);

/// The documents of a partition as we read them, in no order.
fn documents(index: &Path, id: &str, fields: &[&str]) -> Result<Vec<Document>, LuceneError> {
    let index = LuceneIndex::open(&OsDisk, index)?;
    let mut all = Vec::new();
    for segment in index.segments() {
        let mut documents: BTreeMap<u32, Document> = BTreeMap::new();
        segment.verify(&OsDisk)?;
        // The least window: several for a segment of many documents.
        segment.read::<LuceneError>(&OsDisk, Wanted { entity: id, values: fields }, 1, |found| {
            match found {
                Found::Document { document, entity } => {
                    assert!(documents.insert(document, (entity, Vec::new())).is_none(), "{document}");
                }
                Found::Term { document, entity, field, term } => {
                    let (of, terms) =
                        documents.get_mut(&document).expect("documents come before their terms");
                    assert_eq!(*of, entity);
                    terms.push((fields[field].to_owned(), String::from_utf8(term.to_vec()).expect("a text")));
                }
            }
            Ok(())
        })?;
        all.extend(documents.into_values());
    }
    Ok(all)
}

#[test]
fn documents_are_read_as_lucene_reads_them() {
    #[derive(Deserialize)]
    struct Answer {
        documents: Vec<LuceneDocument>,
    }
    #[derive(Deserialize)]
    struct LuceneDocument {
        entity: i64,
        terms: Vec<(String, String)>,
    }
    let Some(kernel) = Kernel::find() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    for (number, (entities, few, count)) in
        [("ascending", true, 300), ("wild", false, 40_000), ("three", false, 700), ("same", false, 900)]
            .into_iter()
            .enumerate()
    {
        let mut steps = Vec::new();
        for at in 0..count {
            // The first half has small numbers: blocks of several widths.
            let entity = match entities {
                "three" => [5, -7, 1 << 40][random.below(3)],
                "same" => 7,
                "wild" if at > count / 2 => (random.next() >> 24) as i64,
                _ => at,
            };
            steps.push(json!({"add": entity, "fields": {"string": text(&mut random)}}));
            if few && random.once_in(70) {
                steps.push(json!({"flush": true}));
            }
            if few && random.once_in(5) {
                steps.push(json!({"delete": random.below(at as usize + 1).to_string()}));
            }
        }
        let index = scratch.path().join(number.to_string());
        let partition = index.join("1");
        let request = json!({"job": "lucene", "directory": partition, "id": ENTITY, "steps": steps,
            "compound": number % 2 == 0, "merge": !few});
        let _: Value = kernel.oracle().ask(&request);
        let request = json!({"job": "documents", "directory": partition, "id": ENTITY});
        let answer: Answer = kernel.oracle().ask(&request);
        let mut expected: Vec<_> =
            answer.documents.into_iter().map(|document| (document.entity, document.terms)).collect();
        let mut found = documents(&index, ENTITY, &[TEXT]).unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found.len(), expected.len(), "{entities}");
        assert!(found == expected, "{entities}");
    }
}

/// Texts that many documents have, and others: blocks of terms are compressed in each way that there is.
fn text(random: &mut Random) -> String {
    match random.below(10) {
        0..3 => "a common text".to_owned(),
        3..5 => format!("c{}", random.below(30)),
        5 => format!("{:032x}", random.next()),
        6 => format!("AAAABBBB{}AAAABBBBAAAABBBB", random.below(1000)),
        7 => "x".repeat(random.below(300)),
        8 => format!("{}漢", "ЖЩ".repeat(random.below(100))),
        _ => format!("Text {}", random.next()),
    }
}

/// A database with text indexes, and the same before a part of it was changed.
struct Stores {
    kernel: &'static Kernel,
    scratch: tempfile::TempDir,
}

impl Stores {
    fn make(kernel: &'static Kernel, format: &str, seed: usize) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let request = json!({"job": "texts", "directory": scratch.path(), "format": format, "seed": seed,
            "nodes": rounds("NEO4J_ADMIN_TEST_INDEX_NODES", 800)});
        let _: Value = kernel.oracle().ask(&request);
        Self { kernel, scratch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Directories of indexes with a part of Lucene, and whether they are full-text.
    fn indexes(&self) -> Vec<(PathBuf, bool)> {
        let mut indexes = Vec::new();
        for (provider, below) in [("text-1.0", ""), ("fulltext-1.0", ""), ("lucene_native-3.0", "lucene-2.0")]
        {
            let provider = Path::new("schema/index").join(provider);
            let mut ids: Vec<_> = std::fs::read_dir(self.path("new").join(&provider))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            ids.sort();
            let is_full = provider.ends_with("fulltext-1.0");
            indexes.extend(ids.into_iter().map(|id| (provider.join(id).join(below), is_full)));
        }
        indexes
    }

    /// Checks the newer database with an index changed, by both checkers; how their reports differ.
    fn compare(&self, name: &str, change: impl FnOnce(&Path)) -> Option<String> {
        #[derive(Deserialize)]
        struct Checked {
            errors: u64,
            report: Option<PathBuf>,
        }
        // Lucene remembers locked directories: each check has its own.
        let scratch = tempfile::tempdir().unwrap();
        let store = scratch.path().join("store");
        write(&read(&self.path("new")), &store);
        change(&store);
        let entries = Entries::default();
        let verdict = checking(&store, &CheckOptions::default()).run(&entries).unwrap();
        let request = json!({"job": "check", "directory": store, "report": scratch.path()});
        let checked: Checked = self.kernel.oracle().ask(&request);
        let report = checked.report.map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
        let different = reports::differences(&reports::entries(&report), &entries.0.into_inner(), true);
        assert!(verdict.unchecked.is_empty(), "{name}: {:?}", verdict.unchecked);
        assert!(name == "unchanged" || checked.errors > 20, "{name}: {} errors are no test", checked.errors);
        let counted = (verdict.summary.errors(), checked.errors);
        (!different.is_empty() || counted.0 != counted.1)
            .then(|| format!("{name}: {counted:?} errors\n{different}"))
    }
}

/// Documents that a healthy index would not have: deleted, for other entities, without fields, twice, with other texts.
fn wrong_documents(documents: &[Document], is_full: bool, random: &mut Random) -> Vec<Value> {
    let fields = |random: &mut Random| match random.below(5) {
        0 => json!({}),
        1 => json!({"other": "field"}),
        2 => json!({"k": "", "m": ".", "string": ""}),
        3 if is_full => json!({"m": "word"}),
        _ => json!({"k": "word", "string": "another text"}),
    };
    let mut steps = Vec::new();
    for _ in 0..12 {
        let (entity, terms) = &documents[random.below(documents.len())];
        let same: serde_json::Map<_, _> =
            terms.iter().map(|(field, term)| (field.clone(), Value::from(term.as_str()))).collect();
        match random.below(6) {
            0 => steps.push(json!({"delete": entity.to_string()})),
            1 => steps.push(json!({"add": entity, "fields": same})),
            2 => steps.push(json!({"add": random.below(800), "fields": fields(random)})),
            3 => steps.push(json!({"add": 1_000_000 + random.below(100), "fields": fields(random)})),
            4 => steps.push(json!({"flush": true})),
            _ => {
                steps.push(json!({"delete": entity.to_string()}));
                steps.push(json!({"add": entity, "fields": fields(random)}));
            }
        }
    }
    steps
}

#[test]
fn text_indexes_that_differ_from_the_store_are_reported_as_neo4j_reports_them() {
    let Some(kernel) = Kernel::find() else { return };
    for (seed, format) in ["standard", "aligned"].into_iter().enumerate() {
        let stores = Stores::make(kernel, format, seed);
        let mut different = Vec::new();
        different.extend(stores.compare("unchanged", |_| {}));
        different.extend(stores.compare("indexes of before the last changes", |store| {
            for (index, _) in stores.indexes() {
                std::fs::remove_dir_all(store.join(&index)).unwrap();
                write(&read(&stores.path("old").join(&index)), &store.join(&index));
            }
        }));
        for round in 0..rounds("NEO4J_ADMIN_TEST_ROUNDS", 1) {
            let mut random = Random((seed << 32 | round) as u64);
            different.extend(stores.compare(&format!("round {round}"), |store| {
                for (index, is_full) in stores.indexes() {
                    let (id, keys) = if is_full { (FULLTEXT_ENTITY, &["k", "m"][..]) } else { (ENTITY, &[TEXT][..]) };
                    let documents = documents(&store.join(&index), id, keys).unwrap();
                    if !documents.is_empty() {
                        let request = json!({"job": "lucene", "directory": store.join(&index).join("1"), "id": id,
                            "steps": wrong_documents(&documents, is_full, &mut random), "tokenised": is_full,
                            "compound": !random.once_in(2), "merge": random.once_in(2)});
                        let _: Value = kernel.oracle().ask(&request);
                    }
                }
            }));
        }
        assert!(different.is_empty(), "{format}: {}", different.join("\n"));
    }
}

/// Rounds, unless the environment says otherwise.
const ROUNDS: usize = 1500;

#[test]
fn damaged_files_of_lucene_are_errors_or_other_documents_and_nothing_worse() {
    let scratch = tempfile::tempdir().unwrap();
    let mut files = archive("consistency/base-x");
    files.retain(|path, _| {
        let is_text =
            path.starts_with("schema/index/text-1.0/8") || path.starts_with("schema/index/fulltext-1.0/15");
        is_text && !path.ends_with("failure-message") && !path.ends_with("write.lock")
    });
    let names: Vec<_> = files.keys().cloned().collect();
    for round in 0..rounds("NEO4J_ADMIN_TEST_ROUNDS", ROUNDS) {
        let mut random = Random(round as u64);
        let name = &names[random.below(names.len())];
        let mut bytes = files[name].clone();
        let mut what = Vec::new();
        for _ in 0..=random.below(3) {
            let bit = random.below(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            what.push(bit);
        }
        if random.once_in(8) {
            bytes.truncate(random.below(bytes.len()));
        } else if bytes.len() > 64 && !random.once_in(4) {
            seal(&mut bytes);
        }
        let directory = scratch.path().join(round.to_string());
        let is_full = name.starts_with("schema/index/fulltext-1.0");
        let index = name.ancestors().nth(2).unwrap();
        let mut damaged = files.clone();
        damaged.insert(name.clone(), bytes);
        damaged.retain(|path, _| path.starts_with(index));
        write(&damaged, &directory);
        let begun = Instant::now();
        let (id, fields) =
            if is_full { (FULLTEXT_ENTITY, &["name", "descr"][..]) } else { (ENTITY, &[TEXT][..]) };
        // Whether it is an error does not matter here: it must come, and name the file.
        if let Err(error) = read_all(&directory.join(index), id, fields) {
            assert!(error.to_string().starts_with(directory.to_str().unwrap()), "round {round}: {error}");
        }
        assert!(begun.elapsed().as_secs() < 5, "round {round}: {} bits {what:?}", name.display());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

fn read_all(index: &Path, id: &str, fields: &[&str]) -> Result<(), LuceneError> {
    for segment in LuceneIndex::open(&OsDisk, index)?.segments() {
        segment.read::<LuceneError>(&OsDisk, Wanted { entity: id, values: fields }, 1, |_| Ok(()))?;
    }
    Ok(())
}

/// Gives a file and the parts of a compound file the checksums of their bytes, so that damage is not found by these alone.
fn seal(bytes: &mut [u8]) {
    /// Bytes of the header of a compound file; the parts follow one another without a gap.
    const HEAD: usize = 46;
    const FOOTER: [u8; 8] = [0xc0, 0x28, 0x93, 0xe8, 0, 0, 0, 0];
    let seal = |bytes: &mut [u8], from: usize, to: usize| {
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[from..to]);
        bytes[to..to + 8].copy_from_slice(&u64::from(sum.sum()).to_be_bytes());
    };
    let whole = bytes.len() - 8;
    let footers: Vec<_> =
        (HEAD..whole.saturating_sub(8)).filter(|&at| bytes[at..].starts_with(&FOOTER)).collect();
    let mut start = HEAD;
    for footer in footers {
        seal(bytes, start, footer + 8);
        start = footer + 16;
    }
    seal(bytes, 0, whole);
}
