//! Recovery of databases whose logs go on behind the last checkpoint.

mod damage;
mod real_stores;
mod stopped;
