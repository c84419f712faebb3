//! Work on all threads of rayon's pool of the process, or on the caller's where the system starts none.

use std::error::Error;
use std::sync::OnceLock;

use rayon::prelude::*;

/// The results of a function of each item, in order.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, function: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    if has_threads() {
        items.into_par_iter().map(function).collect()
    } else {
        items.into_iter().map(function).collect()
    }
}

/// Whether the pool of the process has threads. It is started, as its first use would start it, but that would panic.
fn has_threads() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    // An error without a source says that there is a pool already.
    *STARTED.get_or_init(|| match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        Err(error) => error.source().is_none(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_are_in_order() {
        let squares = super::map((0..1000).collect(), |i| i * i);
        assert!((0..1000).eq(squares.iter().map(|&square: &u64| square.isqrt())));
    }
}
