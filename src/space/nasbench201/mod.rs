//! NAS-Bench-201 (Dong and Yang, 2020), which is also the topology space of NATS-Bench: 15,625 cells of four
//! nodes and six edges.
//!
//! Node j of a [`Cell`] is the sum over i < j of an operation on node i; node 0 is the input and node 3 the
//! output. A [`Skeleton`] stacks copies of the cell to a network. A cell is written as the benchmark writes
//! it, nodes 1 to 3 in order, each with its edges in the order of their sources:
//!
//! ```
//! use naswot::nasbench201::{Cell, Op, Skeleton};
//!
//! let cell: Cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|".parse()?;
//! assert_eq!(cell.ops()[2], Op::SkipConnect);
//! assert_eq!(cell.network(&Skeleton::default())?.parameters(), 73_306 + 5 * (9 * 5_376 + 2 * 112));
//! # Ok::<(), naswot::Error>(())
//! ```

mod benchmark_index;
mod cell;
mod definition;
mod enumerate;
mod equality;
mod network;
mod notation;

pub use cell::{Cell, EDGES, Op};
pub use enumerate::{COUNT, all, sample};
pub use network::Skeleton;

use crate::Error;

/// The space's name in files and options.
const NAME: &str = "nasbench201";

/// The error of what is no cell of the space.
fn invalid(message: String) -> Error {
    Error::Cell { space: NAME, message }
}
