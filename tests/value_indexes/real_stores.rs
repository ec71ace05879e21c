//! The committed stores.

use neo4j_admin::index::files;
use neo4j_admin::index::lucene::{self, LuceneState};
use neo4j_admin::store::schema::RuleKind;

use super::Database;
use crate::support::stores;

#[test]
fn every_value_index_of_the_committed_stores_has_what_the_stores_have() {
    for archive in ["standard", "aligned"] {
        let directory = tempfile::tempdir().expect("a directory");
        stores::unpack(archive, directory.path());
        let database = Database::open(&directory.path().join("neo4j"));
        let counts: Vec<_> = database
            .indexes()
            .iter()
            .map(|index| (&index.rule.name, database.assert_index_has_what_the_stores_have(index)))
            .collect();
        assert_eq!(counts.len(), 7, "{archive}: {counts:?}");
        assert!(counts.iter().map(|(_, count)| count).sum::<usize>() >= 40, "{archive}: {counts:?}");
    }
}

#[test]
fn a_tree_of_ours_has_what_the_kernels_has() {
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("standard", directory.path());
    let database = Database::open(&directory.path().join("neo4j"));
    for index in database.indexes() {
        let before = database.assert_index_has_what_the_stores_have(&index);
        database.rebuild(&index, 0);
        assert_eq!(database.assert_index_has_what_the_stores_have(&index), before, "{}", index.rule.name);
    }
}

#[test]
fn lucene_indexes_of_the_committed_stores_are_online() {
    for archive in ["standard", "aligned", "crashed"] {
        let directory = tempfile::tempdir().expect("a directory");
        stores::unpack(archive, directory.path());
        let database = Database::open(&directory.path().join("neo4j"));
        let mut found = 0;
        for rule in &database.rules {
            let RuleKind::Index(index) = &rule.kind else { continue };
            if let Some(lucene) = files::lucene(&database.layout, index.provider, rule.id) {
                let state = lucene::state(&lucene).expect("readable");
                assert_eq!(state, LuceneState::Online, "{archive}: {}", rule.name);
                found += 1;
            }
        }
        assert_eq!(found, 2, "{archive}");
        let listed = files::list(&database.layout).expect("directories");
        assert_eq!(listed.len(), database.indexes().len() + found, "{archive}: {listed:?}");
    }
}
