//! One network compiled once, for all backends.

mod reach;

pub(crate) use reach::reach;
