//! The commands beside `backup`, as an operator runs them.

mod check_consistency;
mod documents;
mod inspect;
mod restore;
mod store_info;
mod verify;
