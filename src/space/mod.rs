//! Search spaces: cell descriptions become [`Network`](crate::Network)s. The only place that knows of cells,
//! stacks and skeletons.

mod architecture;
pub mod nasbench101;
pub mod nasbench201;

pub use architecture::{Architecture, Space};

/// A piece of input for a message: on one line, and cut where it is long.
fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
