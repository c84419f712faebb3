//! Batches of images, and where they come from.

mod batch;
mod dataset;
mod formats;
#[cfg(feature = "images")]
mod image_folder;
mod layout;
mod normalization;
pub(crate) mod npy;
mod pickles;
#[cfg(feature = "images")]
mod resample;
mod synthetic;

pub use batch::Batch;
pub use dataset::Dataset;
pub use normalization::Normalization;
pub use npy::NumpyArray;

use crate::random;

/// Draws n of so many images, in the order drawn, so that a smaller draw is the beginning of a larger one.
fn draw(total: u32, n: usize, seed: u64) -> Vec<usize> {
    random::draw(total, n, seed, "images")
}

/// Room for so many values, whose number a file or an option says; the error is that of memory which there is not.
fn room<T>(values: usize) -> Result<Vec<T>, String> {
    let mut room = Vec::new();
    match room.try_reserve_exact(values) {
        Ok(()) => Ok(room),
        Err(_) => {
            let bytes = values.saturating_mul(size_of::<T>());
            Err(format!("takes {bytes} bytes, which this machine does not have free"))
        }
    }
}

/// The message for an impossible number of images; none for a possible one.
fn too_few(total: usize, n: usize) -> Option<String> {
    match n {
        0 => Some("no images were asked for".to_owned()),
        n if n > total => Some(format!("{n} images were asked for, and there are {total}")),
        _ => None,
    }
}
