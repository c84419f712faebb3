//! Search spaces: cell descriptions become [`Network`](crate::Network)s. The only place that knows of cells,
//! stacks and skeletons.

pub mod nasbench101;
pub mod nasbench201;
