//! The analysis of scores: how well they rank networks, and what a search finds with them.

mod bootstrap;
mod correlation;
#[cfg(feature = "drawing")]
#[cfg_attr(docsrs, doc(cfg(feature = "drawing")))]
pub mod drawing;
mod histogram;
mod log_ranks;
mod search;
mod summary;
mod top;
mod trend;
mod weighted_tau;

pub use bootstrap::{Interval, Intervals};
pub use correlation::{Correlation, kendall_tau, stratified_tau};
pub use histogram::Histogram;
pub use log_ranks::log_rank_sums;
pub use search::{Candidates, Found, SearchSpace, Searcher};
pub use summary::Summary;
pub use top::{Top, TopNetwork};
pub use trend::Trend;
pub use weighted_tau::weighted_tau;
