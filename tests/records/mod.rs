//! Records and values of real stores.

mod fuzz;
mod kernel;
mod real_stores;
