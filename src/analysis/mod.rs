//! What scores are worth: how well they rank networks.

mod bootstrap;
mod correlation;
mod top;
mod weighted_tau;

pub use bootstrap::{Interval, Intervals};
pub use correlation::{Correlation, kendall_tau};
pub use top::Top;
pub use weighted_tau::weighted_tau;
