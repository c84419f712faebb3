//! What scores are worth: how well they rank networks.

mod correlation;

pub use correlation::Correlation;
