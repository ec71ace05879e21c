//! Recovery of databases whose logs go on behind the last checkpoint.

mod real_stores;
