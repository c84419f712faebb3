//! Reading real CIFAR images. `data` is a folder with `cifar10_train_512.bin` and `cifar100_train_256.bin`,
//! the first records of a training file each.

use std::error::Error;
use std::path::Path;

use naswot::{Batch, Dataset};

pub(crate) fn reads_real_images(data: &Path) -> Result<(), Box<dyn Error>> {
    check(&Dataset::cifar10(data.join("cifar10_train_512.bin"))?, 512)?;
    check(&Dataset::cifar100(data.join("cifar100_train_256.bin"))?, 256)?;
    Ok(())
}

fn check(images: &Dataset, count: usize) -> Result<(), Box<dyn Error>> {
    assert_eq!(images.len(), count);
    let all = images.first(count)?;
    assert_eq!(all.shape(), [count, 3, 32, 32]);
    assert!(all.data().iter().all(|value| value.is_finite()));
    assert!(images.first(count + 1).is_err());
    for channel in 0..3 {
        let (mean, deviation) = moments(&all, channel);
        let label = all.label();
        assert!(mean.abs() < 0.3, "{label}: channel {channel} has a mean of {mean}");
        assert!((deviation - 1.0).abs() < 0.3, "{label}: channel {channel} has a deviation of {deviation}");
    }

    let first = images.first(64)?;
    assert!(first.data().starts_with(images.first(32)?.data()));
    assert_eq!(first.sha256(), all.first(64)?.sha256());

    let drawn = images.sample(64, 5)?;
    assert_eq!(drawn.sha256(), images.sample(64, 5)?.sha256());
    assert_eq!(drawn.sha256(), all.sample(64, 5)?.sha256());
    assert_ne!(drawn.sha256(), images.sample(64, 6)?.sha256());
    assert!(drawn.data().starts_with(images.sample(32, 5)?.data()));
    // No image of these files occurs twice.
    let mut distinct: Vec<Vec<u32>> = drawn.data().chunks(3072).map(bits).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 64);
    Ok(())
}

fn moments(batch: &Batch, channel: usize) -> (f64, f64) {
    let planes = batch.data().chunks(1024).skip(channel).step_by(3);
    let values: Vec<f64> = planes.flatten().map(|&value| f64::from(value)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

fn bits(image: &[f32]) -> Vec<u32> {
    image.iter().map(|value| value.to_bits()).collect()
}
