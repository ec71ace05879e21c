//! What was not checkpointed never was.

use super::{Model, SHAPES, assert_holds};
use crate::support::random::{Random, rounds};
use crate::support::volatile::VolatileFile;

const CRASHES: &str = "NEO4J_ADMIN_TREE_CRASHES";

#[test]
fn a_power_loss_leaves_the_last_checkpoint() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let mut random = Random(seed as u64);
        let mut model = Model::new();
        for _ in 0..600 {
            model.insert(shape.key(&mut random, 2000), shape.value(&mut random));
        }
        let mut file = VolatileFile::new(Vec::new());
        shape.create(&file, &model, &[0]);
        let mut header = 0;
        for crash in 0..rounds(CRASHES, 10) {
            let what = format!("{shape:?} seed {seed} crash {crash}");
            let mut tree = shape.open(&file).unwrap();
            assert_holds(&tree, &model, &what);
            assert_eq!(tree.header(), [header], "{what}");
            let mut now = model.clone();
            for _ in 0..random.within(1..800) {
                let key = shape.key(&mut random, 2000);
                if random.once_in(2) {
                    let value = shape.value(&mut random);
                    tree.put(&key, &value).unwrap();
                    now.insert(key, value);
                } else {
                    tree.remove(&key).unwrap();
                    now.remove(&key);
                }
                if random.once_in(400) {
                    header += 1;
                    tree.checkpoint(Some(&[header])).unwrap();
                    model = now.clone();
                }
            }
            assert_holds(&tree, &now, &what);
            drop(tree);
            file = VolatileFile::new(file.after_power_loss(&mut random));
            // Reading does not need the clean-up, and the clean-up may be cut short by another loss.
            assert_holds_before_clean_up(shape, &file, &model, &what);
            if random.once_in(2) {
                let mut tree = shape.open(&file).unwrap();
                tree.remove(b"begins to write").unwrap();
                tree.remove(model.keys().next().unwrap()).unwrap();
                drop(tree);
                file = VolatileFile::new(file.after_power_loss(&mut random));
            }
            let tree = shape.open(&file).unwrap();
            assert!(!tree.was_clean(), "{what}");
            tree.finish(None).unwrap();
            assert!(shape.open(&file).unwrap().was_clean(), "{what}");
        }
    }
}

fn assert_holds_before_clean_up(shape: &super::Bytes, file: &VolatileFile, model: &Model, what: &str) {
    let tree = shape.open(file).unwrap();
    assert!(super::content(&tree).unwrap() == *model, "{what}: other entries before the clean-up");
    for (key, value) in model.iter().step_by(7) {
        assert_eq!(tree.get(key, <[u8]>::to_vec).unwrap().as_ref(), Some(value), "{what}");
    }
}

#[test]
fn a_tree_that_is_only_read_stays_as_it_is() {
    for shape in SHAPES {
        let mut random = Random(1);
        let model: Model =
            (0..300).map(|_| (shape.key(&mut random, 900), shape.value(&mut random))).collect();
        let file = VolatileFile::new(Vec::new());
        shape.create(&file, &model, b"h");
        let before = file.bytes();
        let mut tree = shape.open(&file).unwrap();
        assert_holds(&tree, &model, "read");
        assert!(!tree.remove(b"not there").unwrap());
        assert!(!tree.insert(model.keys().next().unwrap(), b"").unwrap());
        tree.finish(Some(b"h")).unwrap();
        assert!(file.bytes() == before);
    }
}
