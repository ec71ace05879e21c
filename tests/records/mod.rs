//! Records and values of real stores.

mod kernel;
mod real_stores;
