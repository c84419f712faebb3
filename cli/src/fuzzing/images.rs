//! Data sets.

use naswot::Dataset;

use super::scratch::with_file;

pub(super) fn cifar10(input: &[u8]) -> bool {
    with_file("batch", input, |path| draw(Dataset::cifar10(path), 32))
}

pub(super) fn cifar100(input: &[u8]) -> bool {
    with_file("batch", input, |path| draw(Dataset::cifar100(path), 32))
}

pub(super) fn imagenet16(input: &[u8]) -> bool {
    with_file("batch", input, |path| draw(Dataset::imagenet16(path), 16))
}

/// A folder with one image, whose first bytes and not its name say what it is.
#[cfg(feature = "images")]
pub(super) fn folder(input: &[u8]) -> bool {
    use naswot::Normalization;

    const SIDE: usize = 8;
    super::scratch::with_folder("image.png", input, |folder| {
        draw(Dataset::images(folder, SIDE, Normalization::IMAGENET), SIDE)
    })
}

/// Draws batches of all images; whether there are any.
fn draw(dataset: naswot::Result<Dataset>, side: usize) -> bool {
    let Ok(dataset) = dataset else { return false };
    let images = dataset.len();
    let batches = [dataset.first(images), dataset.sample(images, 1)];
    let drawn = batches.iter().any(Result::is_ok);
    for batch in batches.into_iter().flatten() {
        assert_eq!(batch.shape(), [images, 3, side, side]);
        assert!(batch.data().iter().all(|value| value.is_finite()));
    }
    drawn
}
