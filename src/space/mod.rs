//! Search spaces: architectures become [`Network`](crate::Network)s. The only place that knows of cells, stacks and
//! skeletons.
//!
//! A space is a folder, in which the type of its architectures implements [`Definition`](definition::Definition), and
//! a row of the table (`table.rs`).

mod architecture;
mod definition;
pub mod nasbench101;
pub mod nasbench201;
mod sample;
mod skeleton;
pub(crate) mod table;
mod text;
mod value;

pub use skeleton::SkeletonSettings;
pub use table::{Architecture, Space};
