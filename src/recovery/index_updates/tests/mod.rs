//! A test for each rule of the specification, and random histories against a model.

mod graph;
mod random;
mod rules;
mod world;
