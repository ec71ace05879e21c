//! The rules of transaction log 8.15 that concern indexes, and what becomes of indexes that can't be kept.

use super::graph::{Graph, Omit, schema_command, transaction};
use super::world::{World, index_mut, key_of, keys_of, of_relationships, rule, tokens_of};
use crate::index::files;
use crate::index::statistics::Sample;
use crate::io::disk::OsDisk;
use crate::io::sort::Scratch;
use crate::recovery::RecoveryError;
use crate::recovery::index_updates::parts::WholeEvents;
use crate::recovery::index_updates::{Cause, Collector, Watch};
use crate::store::id::SchemaId;
use crate::store::schema::{EntityType, IndexProvider, SchemaRule};
use crate::store::value::Value;
use crate::txlog::wire::Commands;

const NODE: EntityType = EntityType::Node;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A history: the graph before the window and behind each transaction.
struct History {
    moments: Vec<Graph>,
    transactions: Vec<(bool, Vec<u8>)>,
}

impl History {
    fn from(graph: Graph) -> Self {
        Self { moments: vec![graph], transactions: Vec::new() }
    }

    /// From a graph with one node of label 0 and these properties.
    fn of_node(properties: &[(u32, Value)]) -> Self {
        let mut graph = Graph::default();
        let mut transaction = graph.begin();
        transaction.create((NODE, 7), &[0]);
        for (key, value) in properties {
            transaction.set((NODE, 7), *key, value.clone());
        }
        transaction.commit(1);
        Self::from(graph)
    }

    fn then(mut self, change: impl FnOnce(&mut super::graph::Transaction<'_>)) -> Self {
        self.push(true, change);
        self
    }

    fn cut(mut self, change: impl FnOnce(&mut super::graph::Transaction<'_>)) -> Self {
        self.push(false, change);
        self
    }

    fn push(&mut self, replayed: bool, change: impl FnOnce(&mut super::graph::Transaction<'_>)) {
        let mut graph = self.moments.last().unwrap().clone();
        let mut transaction = graph.begin();
        change(&mut transaction);
        let bytes = transaction.commit(self.moments.len() as i64 + 1);
        self.transactions.push((replayed, bytes));
        self.moments.push(graph);
    }

    /// Of the replay.
    fn end(&self) -> &Graph {
        &self.moments[self.transactions.iter().filter(|(replayed, _)| *replayed).count()]
    }

    /// Recovers from index files as of each moment of the window, and asserts that the indexes end the same.
    fn assert_recovers(&self, rules: &[SchemaRule]) {
        for moment in &self.moments {
            let world = World::new(rules.to_vec());
            world.write_indexes(moment);
            let outcome = world.recover(self.end(), &self.transactions);
            assert!(outcome.built.is_empty() && outcome.removed.is_empty(), "{outcome:?}");
            world.assert_holds(self.end());
        }
    }
}

fn set(key: u32, value: Value) -> impl FnOnce(&mut super::graph::Transaction<'_>) {
    move |transaction| transaction.set((NODE, 7), key, value)
}

#[test]
fn rule_8_a_file_in_a_middle_state_comes_to_the_end() {
    let index = [rule(3, IndexProvider::NativeBtree, &[0])];
    let history = History::of_node(&[(0, Value::Int(1))]).then(set(0, Value::Int(2)));
    history.then(set(0, Value::Int(3))).assert_recovers(&index);
}

#[test]
fn rule_8_a_value_that_comes_back_is_there_though_nothing_seems_to_have_changed() {
    let index = [rule(3, IndexProvider::Range, &[0])];
    let history = History::of_node(&[(0, Value::Int(1))]).then(set(0, Value::Int(2)));
    history.then(set(0, Value::Int(1))).assert_recovers(&index);
    let history = History::of_node(&[]).then(set(0, Value::Int(2)));
    history.then(|transaction| transaction.unset((NODE, 7), 0)).assert_recovers(&index);
}

#[test]
fn rule_8_what_cut_transactions_put_into_an_index_is_taken_back() {
    let rules = [
        rule(1, IndexProvider::TokenLookup, &[]),
        rule(3, IndexProvider::NativeBtree, &[0]),
        rule(4, IndexProvider::NativeBtree, &[0, 1]),
    ];
    let history = History::of_node(&[(0, Value::Int(1)), (1, text("unchanged"))])
        .then(set(0, Value::Int(2)))
        .cut(set(0, Value::Int(3)))
        .cut(|transaction| transaction.set_tokens((NODE, 7), &[4]))
        .cut(|transaction| {
            transaction.create((NODE, 8), &[0, 1]);
            transaction.set((NODE, 8), 0, Value::Int(9));
            transaction.set((NODE, 8), 1, text("of the future"));
        })
        .cut(|transaction| transaction.delete((NODE, 7)));
    assert_eq!(keys_of(history.end(), &rules[2]).len(), 1);
    history.assert_recovers(&rules);
}

#[test]
fn rule_6_an_id_that_is_used_again_belongs_to_two_entities() {
    let mut rules = vec![
        rule(1, IndexProvider::TokenLookup, &[]),
        rule(3, IndexProvider::NativeBtree, &[0]),
        rule(4, IndexProvider::NativeBtree, &[0, 1]),
        rule(5, IndexProvider::Range, &[0]),
    ];
    rules[3].schema.entity_tokens = vec![1];
    let history = History::of_node(&[(0, text("a text of the first node")), (1, Value::Int(1))])
        .then(|transaction| transaction.delete((NODE, 7)))
        .then(|transaction| {
            transaction.create((NODE, 7), &[1]);
            transaction.set((NODE, 7), 0, text("a text of the second node"));
        });
    history.assert_recovers(&rules);

    let relationship = (EntityType::Relationship, 7);
    let rules = rules.into_iter().map(of_relationships).collect::<Vec<_>>();
    let history = History::from(Graph::default())
        .then(|transaction| {
            transaction.create(relationship, &[0]);
            transaction.set(relationship, 0, Value::Int(1));
        })
        .then(|transaction| transaction.delete(relationship))
        .then(|transaction| {
            transaction.create(relationship, &[1]);
            transaction.set(relationship, 0, Value::Int(2));
        });
    history.assert_recovers(&rules);
}

#[test]
fn rule_6_a_property_record_passes_between_entities() {
    let index =
        [rule(3, IndexProvider::NativeBtree, &[0]), of_relationships(rule(4, IndexProvider::Range, &[0]))];
    let relationship = (EntityType::Relationship, 3);
    // The record of node 7 is the only one, so that each following entity gets it.
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(|transaction| transaction.unset((NODE, 7), 0))
        .then(|transaction| {
            transaction.create((NODE, 8), &[0]);
            transaction.set((NODE, 8), 0, Value::Int(2));
        })
        .then(|transaction| transaction.delete((NODE, 8)))
        .then(|transaction| {
            transaction.create(relationship, &[0]);
            transaction.set(relationship, 0, Value::Int(3));
        })
        .then(|transaction| transaction.delete(relationship))
        .then(set(0, Value::Int(4)));
    assert_eq!(key_of(history.end(), &index[0], 7).map(|key| key.len()), Some(8 + 6));
    history.assert_recovers(&index);
}

#[test]
fn rule_6_an_untouched_property_is_read_from_the_store() {
    let rules = [rule(3, IndexProvider::NativeBtree, &[1, 0]), rule(4, IndexProvider::NativeBtree, &[0, 2])];
    let history = History::of_node(&[(0, Value::Int(1)), (1, text("a text that needs several records"))]);
    history.then(set(0, Value::Int(2))).then(set(0, Value::Int(3))).assert_recovers(&rules);
}

#[test]
fn rule_7_a_text_is_replaced_by_another_one_in_the_same_records() {
    let index = [rule(3, IndexProvider::NativeBtree, &[0])];
    let history = History::of_node(&[(0, text("the first of the texts"))])
        .then(set(0, Value::Int(1)))
        .then(set(0, text("another, third of texts")));
    // Both texts begin in record 1.
    let [first, .., last] = &history.moments[..] else { panic!() };
    assert_ne!(first.nodes, last.nodes);
    history.assert_recovers(&index);
}

#[test]
fn rule_7_labels_in_the_same_records_are_other_labels() {
    let mut rules = vec![rule(1, IndexProvider::TokenLookup, &[]), rule(3, IndexProvider::NativeBtree, &[0])];
    rules[1].schema.entity_tokens = vec![5];
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(|transaction| transaction.set_tokens((NODE, 7), &[1, 2, 3, 4]))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[2, 3, 4, 5]))
        // The labels are not touched and in no command.
        .then(set(0, Value::Int(2)))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[1, 2, 3, 6]))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[5]))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[4, 5, 6]));
    history.assert_recovers(&rules);
}

#[test]
fn a_label_that_was_added_and_removed_again_leaves_nothing() {
    let rules = [rule(1, IndexProvider::TokenLookup, &[]), rule(3, IndexProvider::NativeBtree, &[0])];
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(|transaction| transaction.set_tokens((NODE, 7), &[0, 9]))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[9]))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[0]));
    history.assert_recovers(&rules);
}

#[test]
fn rule_9_equal_keys_get_the_bytes_of_the_end() {
    let index = rule(3, IndexProvider::NativeBtree, &[0]);
    let values = [Value::Int(5), Value::Long(5), Value::Double(5.0), Value::Byte(5)];
    for last in 1..values.len() {
        let mut history = History::of_node(&[(0, values[0].clone())]);
        for value in &values[1..=last] {
            history.push(true, set(0, value.clone()));
        }
        history.assert_recovers(std::slice::from_ref(&index));
    }
    let history = History::of_node(&[(0, Value::Char(b'a'.into()))]).then(set(0, text("a")));
    history.assert_recovers(&[index]);
}

fn create_and_drop(id: u64) -> [Vec<u8>; 2] {
    [schema_command(id, true, &[]), schema_command(id, false, &[])]
}

#[test]
fn rule_11_an_index_that_was_dropped_and_created_anew_is_built() {
    let history = History::of_node(&[(0, Value::Int(1))]).then(|transaction| {
        transaction.create((NODE, 8), &[0]);
        transaction.set((NODE, 8), 0, Value::Long(1));
        transaction.create((NODE, 9), &[0]);
        transaction.set((NODE, 9), 0, Value::Int(2));
    });
    // The files are of another index that had the id.
    let other = rule(3, IndexProvider::Point, &[1]);
    let world = World::new(vec![rule(3, IndexProvider::NativeBtree, &[0])]);
    world.write_keys(&other, []);
    world.write_indexes(&Graph::default());
    world.write_statistics(&[3, 4]);
    let [create, drop] = create_and_drop(3);
    let mut transactions = history.transactions.clone();
    transactions.extend([(true, transaction(8, &[drop])), (true, transaction(9, &[create]))]);
    let outcome = world.recover(history.end(), &transactions);
    assert!(!world.has_files(&other));
    world.assert_holds(history.end());
    let [built] = &outcome.built[..] else { panic!("{outcome:?}") };
    assert_eq!((built.index.id, &built.cause, built.entries), (SchemaId(3), &Cause::Created, 3));
    let sample = Sample { unique_values: 2, sample_size: 3, updates: 0, index_size: 3 };
    assert_eq!(world.statistics()[&3], sample);
    assert_eq!(world.statistics()[&4].updates, 3);
}

#[test]
fn rule_11_a_dropped_index_is_gone() {
    for replayed in [true, false] {
        let dropped = rule(3, IndexProvider::NativeBtree, &[0]);
        let mut world = World::new(vec![dropped.clone()]);
        world.write_indexes(&Graph::default());
        world.write_statistics(&[3]);
        world.watch = Some(Watch::of(&world.rules, false));
        let [create, drop] = create_and_drop(3);
        if replayed {
            world.rules.clear();
            let outcome = world.recover(&Graph::default(), &[(true, transaction(2, &[drop]))]);
            assert_eq!(outcome.removed[0].cause, Cause::Dropped);
            assert!(outcome.removed[0].index.is_none() && !world.has_files(&dropped));
            assert!(world.statistics().is_empty());
        } else {
            // The drop was cut, so the rule is there; its files may have gone with the drop.
            let cut = [(false, transaction(2, &[drop])), (false, transaction(3, &[create]))];
            let outcome = world.recover(&Graph::default(), &cut);
            assert_eq!(outcome.built[0].cause, Cause::Created);
            world.assert_holds(&Graph::default());
        }
    }
}

#[test]
fn rule_11_a_lookup_index_that_was_dropped_loses_its_file_and_a_new_one_is_built() {
    let history = History::of_node(&[(0, Value::Int(1))]);
    let [_, drop] = create_and_drop(1);
    let world = World::new(vec![]);
    world.write_tokens(NODE, [(9, 9)]);
    world.write_tokens(EntityType::Relationship, [(9, 9)]);
    world.recover(history.end(), &[(true, transaction(2, std::slice::from_ref(&drop)))]);
    assert!(!files::lookup(&world.layout, NODE).exists());

    let map = [("indexType", "LOOKUP"), ("schemaEntityType", "NODE")];
    let create = schema_command(5, true, &map);
    let world = World::new(vec![rule(5, IndexProvider::TokenLookup, &[])]);
    world.write_tokens(NODE, [(9, 9)]);
    let outcome = world.recover(history.end(), &[(true, transaction(2, &[drop, create]))]);
    assert_eq!((outcome.built.len(), &outcome.built[0].cause), (1, &Cause::Created));
    world.assert_holds(history.end());
    assert!(world.statistics().is_empty());
}

#[test]
fn a_rule_for_the_label_index_without_one_takes_over_its_file() {
    let history = History::of_node(&[]).then(|transaction| transaction.set_tokens((NODE, 7), &[1, 2]));
    let map = [("indexType", "LOOKUP"), ("schemaEntityType", "NODE")];
    let create = || schema_command(5, true, &map);
    let drop = schema_command(5, false, &[]);
    for (commands, kept) in [(vec![create()], true), (vec![create(), drop, create()], false)] {
        let mut world = World::new(vec![rule(5, IndexProvider::TokenLookup, &[])]);
        world.implied_at_start = true;
        world.watch = Some(Watch::of(&[], true));
        world.write_tokens(NODE, tokens_of(&history.moments[0], NODE));
        let mut transactions = history.transactions.clone();
        transactions.extend(commands.into_iter().map(|command| (true, transaction(5, &[command]))));
        let outcome = world.recover(history.end(), &transactions);
        assert_eq!((outcome.updated.len(), outcome.built.len()), if kept { (1, 0) } else { (0, 1) });
        world.assert_holds(history.end());
    }
}

#[test]
fn the_label_index_without_a_rule_is_kept_up_to_date() {
    let history = History::of_node(&[]).then(|transaction| transaction.set_tokens((NODE, 7), &[1, 2]));
    let mut world = World::new(vec![]);
    (world.implied_at_start, world.implied_at_end) = (true, true);
    world.write_tokens(NODE, tokens_of(&history.moments[0], NODE));
    let outcome = world.recover(history.end(), &history.transactions);
    assert_eq!(world.tokens(NODE), tokens_of(history.end(), NODE));
    assert_eq!(
        outcome.updated[0].index.to_string(),
        format!("-2 ({})", SchemaRule::label_scan_store(SchemaId(0)).name)
    );
}

#[test]
fn rule_12_a_lucene_index_is_left_to_neo4j_if_a_text_in_it_changes_and_only_then() {
    let texts = rule(3, IndexProvider::Text, &[0]);
    let documents = rule(4, IndexProvider::Fulltext, &[0, 1]);
    let both = rule(5, IndexProvider::LuceneNative, &[0]);
    let tree_only = rule(6, IndexProvider::LuceneNative, &[0, 1]);
    let rules = [texts, documents, both, tree_only];
    let node = |value: Value| History::of_node(&[(0, value), (1, Value::Int(1))]);
    let label = |tokens: &'static [u32]| {
        move |transaction: &mut super::graph::Transaction<'_>| transaction.set_tokens((NODE, 7), tokens)
    };
    let cases: [(&str, History, [bool; 3]); 8] = [
        ("a text is changed", node(text("a")).then(set(0, text("b"))), [true; 3]),
        ("undone later", node(text("a")).then(set(0, text("b"))).then(set(0, text("a"))), [true; 3]),
        ("cut later", node(Value::Int(1)).cut(set(0, text("b"))), [true; 3]),
        ("numbers only", node(Value::Int(1)).then(set(0, Value::Int(2))), [false; 3]),
        ("another property", node(text("a")).then(set(2, text("b"))), [false; 3]),
        ("another text of the document", node(Value::Int(1)).then(set(1, text("b"))), [false, true, false]),
        ("the label goes", node(text("a")).then(label(&[3])), [true; 3]),
        ("another label comes", node(text("a")).then(label(&[0, 3])), [false; 3]),
    ];
    for (name, history, touched) in cases {
        let world = World::new(rules.to_vec());
        world.write_indexes(&history.moments[0]);
        world.write_statistics(&[3, 4, 5, 6]);
        let outcome = world.recover(history.end(), &history.transactions);
        let removed: Vec<_> = outcome.removed.iter().map(|removed| (removed.id.0, &removed.cause)).collect();
        let expected: Vec<_> = (3..)
            .zip(touched)
            .filter(|(_, touched)| *touched)
            .map(|(id, _)| (id, &Cause::TextChanged))
            .collect();
        assert_eq!(removed, expected, "{name}");
        for (rule, touched) in rules.iter().zip(touched) {
            assert_eq!(world.has_files(rule), !touched, "{name}: {rule:?}");
            assert_eq!(world.statistics().contains_key(&rule.id.0), !touched, "{name}");
        }
        world.assert_holds(history.end());
    }
}

#[test]
fn lucene_indexes_that_are_new_missing_or_incomplete_are_left_to_neo4j() {
    let history = History::of_node(&[(0, text("a"))]);
    let missing = rule(3, IndexProvider::Text, &[0]);
    let new = rule(4, IndexProvider::Fulltext, &[0]);
    let half = rule(5, IndexProvider::LuceneNative, &[0]);
    let world = World::new(vec![missing, new.clone(), half.clone()]);
    world.write_lucene(&new);
    world.write_lucene(&half);
    world.write_statistics(&[3, 4, 5]);
    let [create, _] = create_and_drop(4);
    let outcome = world.recover(history.end(), &[(true, transaction(2, &[create]))]);
    let causes: Vec<_> = outcome.removed.iter().map(|removed| (removed.id.0, &removed.cause)).collect();
    assert_eq!(causes, [(3, &Cause::Missing), (4, &Cause::Created), (5, &Cause::Missing)]);
    assert!(!world.has_files(&new) && !world.has_files(&half));
    assert!(world.statistics().is_empty());
}

#[test]
fn trees_that_are_missing_incomplete_or_unusable_are_built_and_failed_ones_stay() {
    let history = History::of_node(&[(0, Value::Int(1))]);
    let rules: Vec<_> = (3..7).map(|id| rule(id, IndexProvider::NativeBtree, &[0])).collect();
    let world = World::new([rules.clone(), vec![rule(1, IndexProvider::TokenLookup, &[])]].concat());
    for rule in &rules[1..] {
        world.write_keys(rule, []);
    }
    let state = |rule: &SchemaRule, state: &[u8]| {
        let path = files::tree(&world.layout, IndexProvider::NativeBtree, rule.id).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8192 + 118..][..state.len()].copy_from_slice(state);
        std::fs::write(&path, bytes).unwrap();
    };
    state(&rules[1], &[2]);
    state(&rules[2], &[0, 0, 3, b'b', b'a', b'd']);
    state(&rules[3], &[9]);

    let outcome = world.recover(history.end(), &[]);
    let built: Vec<_> = outcome.built.iter().map(|built| built.index.id.0).collect();
    assert_eq!(built, [1, 3, 4, 6]);
    assert_eq!(outcome.built[1].cause, Cause::Missing);
    assert_eq!(outcome.built[2].cause, Cause::Populating);
    assert!(matches!(outcome.built[3].cause, Cause::Unusable(_)));
    assert_eq!(outcome.failed[0].index.id, SchemaId(5));
    for rule in [&rules[0], &rules[1], &rules[3]] {
        assert_eq!(world.keys(rule), keys_of(history.end(), rule));
    }
    assert_eq!(world.tokens(NODE), tokens_of(history.end(), NODE));
    assert_eq!(world.statistics().keys().copied().collect::<Vec<_>>(), [3, 4, 6]);
}

#[test]
fn a_unique_index_is_built_for_its_constraint_and_only_if_it_is_unique() {
    let mut graph = Graph::default();
    let mut transaction = graph.begin();
    for (id, value) in [(1, Value::Int(5)), (2, Value::Int(6)), (3, Value::Double(5.0))] {
        transaction.create((NODE, id), &[0]);
        transaction.set((NODE, id), 0, value);
        transaction.set((NODE, id), 1, Value::Long(id as i64));
    }
    transaction.commit(1);
    let unique = |id, keys: &[u32], owner: Option<u64>| {
        let mut rule = rule(id, IndexProvider::NativeBtree, keys);
        index_mut(&mut rule).unique = true;
        index_mut(&mut rule).owning_constraint = owner.map(SchemaId);
        rule
    };
    let rules = [unique(3, &[0, 1], Some(9)), unique(4, &[0], Some(9)), unique(5, &[1], None)];
    let world = World::new(rules.to_vec());
    world.write_statistics(&[3, 4, 5]);
    let outcome = world.recover(&graph, &[]);
    assert_eq!(outcome.built.iter().map(|built| built.index.id.0).collect::<Vec<_>>(), [3]);
    let causes: Vec<_> = outcome.removed.iter().map(|removed| (removed.id.0, &removed.cause)).collect();
    assert_eq!(causes, [(4, &Cause::NotUnique { first: 1, second: 3 }), (5, &Cause::NoOwner)]);
    assert!(!world.has_files(&rules[1]) && !world.has_files(&rules[2]));
    assert_eq!(world.statistics().keys().copied().collect::<Vec<_>>(), [3]);
    assert_eq!(world.keys(&rules[0]), keys_of(&graph, &rules[0]));
}

#[test]
fn an_index_that_was_not_watched_is_built_or_left_to_neo4j() {
    let history = History::of_node(&[(0, Value::Int(1))]).then(set(0, Value::Int(2)));
    let rules = vec![rule(3, IndexProvider::NativeBtree, &[0]), rule(4, IndexProvider::Text, &[0])];
    let mut world = World::new(rules);
    world.write_indexes(&history.moments[0]);
    world.watch = Some(Watch::of(&[], false));
    let outcome = world.recover(history.end(), &history.transactions);
    assert_eq!(outcome.built[0].cause, Cause::NotWatched);
    assert_eq!(outcome.removed[0].cause, Cause::NotWatched);
    assert_eq!(world.keys(&world.rules[0]), keys_of(history.end(), &world.rules[0]));
    // Watching more than there is does no harm.
    world.watch = Some(Watch::everything(true));
    world.rules.pop();
    world.write_indexes(&history.moments[0]);
    assert_eq!(world.recover(history.end(), &history.transactions).updated.len(), 1);
    world.assert_holds(history.end());
}

#[test]
fn an_index_whose_values_the_logs_do_not_carry_is_built() {
    let index = rule(3, IndexProvider::NativeBtree, &[0]);
    let omitting = |value: Value| {
        move |transaction: &mut super::graph::Transaction<'_>| {
            transaction.omit = Omit { values: 1, labels: false };
            transaction.set((NODE, 7), 0, value);
        }
    };
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(omitting(text("in no command")))
        .then(omitting(Value::Int(3)));
    let world = World::new(vec![index.clone()]);
    world.write_indexes(&history.moments[1]);
    let outcome = world.recover(history.end(), &history.transactions);
    assert_eq!(outcome.built[0].cause, Cause::ValuesNotCarried);
    world.assert_holds(history.end());

    // The last value is in the store, and what another command carries is known too.
    let history = History::of_node(&[(0, Value::Int(1))]).then(omitting(text("in the store only")));
    history.assert_recovers(std::slice::from_ref(&index));
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(omitting(text("carried by the next one")))
        .then(set(0, Value::Int(3)));
    history.assert_recovers(&[index]);
}

#[test]
fn an_entity_that_does_not_exist_is_an_error() {
    // The other property keeps the record, so that the node is in no command.
    let history = History::of_node(&[(0, Value::Int(1)), (1, Value::Int(1))]).then(set(0, Value::Int(2)));
    let world = World::new(vec![rule(3, IndexProvider::NativeBtree, &[0])]);
    world.write_indexes(&history.moments[0]);
    let error = world.try_recover(&Graph::default(), &history.transactions).unwrap_err();
    assert!(matches!(error, RecoveryError::EntityMissing { entity: NODE, id: 7 }), "{error}");
}

#[test]
fn an_entity_that_is_gone_in_the_end_need_not_be_in_the_store() {
    let history = History::from(Graph::default())
        .then(|transaction| transaction.create((NODE, 7), &[]))
        .then(set(0, Value::Int(1)))
        .then(|transaction| transaction.unset((NODE, 7), 0))
        .then(|transaction| transaction.delete((NODE, 7)));
    history.assert_recovers(&[rule(3, IndexProvider::NativeBtree, &[0])]);
}

#[test]
fn many_events_of_one_entity_need_no_more_memory() {
    let mut rules = vec![
        rule(1, IndexProvider::TokenLookup, &[]),
        rule(3, IndexProvider::NativeBtree, &[0]),
        rule(4, IndexProvider::NativeBtree, &[0, 1]),
        rule(5, IndexProvider::Range, &[0]),
    ];
    rules[3].schema.entity_tokens = vec![3];
    let mut history = History::of_node(&[(0, Value::Int(-1)), (1, Value::Int(1))]);
    for number in 0..40 {
        history.push(true, set(0, Value::Int(number)));
    }
    history = history.then(|transaction| transaction.set_tokens((NODE, 7), &[3]));
    for number in 0..40 {
        history.push(number < 20, set(0, Value::Long(number.into())));
    }
    for moment in history.moments.iter().step_by(9) {
        let mut world = World::new(rules.clone());
        world.most_events = 200;
        world.write_indexes(moment);
        let outcome = world.recover(history.end(), &history.transactions);
        // Of the two properties one is not told in the first part: nothing says what it was.
        assert_eq!(outcome.built.iter().map(|built| built.index.id.0).collect::<Vec<_>>(), [4]);
        world.assert_holds(history.end());
    }
}

#[test]
fn transactions_are_taken_apart_without_allocating() {
    let rules = [rule(1, IndexProvider::TokenLookup, &[]), rule(3, IndexProvider::NativeBtree, &[0])];
    let history = History::of_node(&[(0, Value::Int(1))])
        .then(set(0, text("a text of several records")))
        .then(|transaction| transaction.set_tokens((NODE, 7), &[1, 2, 3]))
        .then(set(5, Value::Int(2)))
        .then(|transaction| transaction.delete((NODE, 7)));
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch::open(OsDisk::shared(), &directory.path().join("scratch")).unwrap();
    let mut collector = Collector::new(&scratch, 1 << 20, 1, Watch::of(&rules, false));
    let mut take = || {
        for (replayed, transaction) in &history.transactions {
            collector.begin_transaction(*replayed);
            for command in Commands::new(transaction).unwrap() {
                collector.command(&command).unwrap();
            }
            collector.end_transaction().unwrap();
        }
    };
    take();
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| take()));
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_transaction_whose_values_exceed_the_memory_several_times_is_taken_within_it() {
    const MEMORY: usize = 256 << 10;
    const MOST_PARTS: usize = 32 << 10;
    const NODES: u64 = 2000;
    let rules = vec![rule(1, IndexProvider::TokenLookup, &[]), rule(3, IndexProvider::NativeBtree, &[0])];
    let mut graph = Graph::default();
    let mut transaction = graph.begin();
    for id in 0..NODES {
        transaction.create((NODE, id), &[0]);
        transaction.set((NODE, id), 0, text(&format!("{id:>1000}")));
    }
    let bytes = transaction.commit(1);
    assert!(bytes.len() > 8 * MEMORY);

    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch::open(OsDisk::shared(), &directory.path().join("scratch")).unwrap();
    let mut events = 0;
    let allocations = allocation_counter::measure(|| {
        let mut collector = Collector::with_parts(&scratch, MEMORY, 2, Watch::of(&rules, false), MOST_PARTS);
        collector.begin_transaction(true);
        for command in Commands::new(&bytes).unwrap() {
            collector.command(&command).unwrap();
        }
        collector.end_transaction().unwrap();
        for sorted in collector.finish().unwrap().sorted {
            let mut whole = WholeEvents::new(sorted);
            while whole.next().unwrap().is_some() {
                events += 1;
            }
        }
    });
    assert_eq!(events, NODES);
    // A sorter asks for twice the address space that it uses; a buffer for twice what is in it, and more while it grows.
    let most = (2 * MEMORY + 4 * MOST_PARTS) as u64;
    assert!(allocations.bytes_max < most, "{} bytes, {most} are allowed", allocations.bytes_max);

    let mut world = World::new(rules);
    (world.memory, world.most_parts) = (MEMORY, MOST_PARTS);
    world.write_indexes(&Graph::default());
    let outcome = world.recover(&graph, &[(true, bytes)]);
    assert!(outcome.built.is_empty() && outcome.removed.is_empty(), "{outcome:?}");
    world.assert_holds(&graph);
}
