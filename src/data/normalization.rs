//! Normalization of pixels: the mean and the deviation of each data set.

/// Mean and standard deviation of each color channel of a data set, with which its pixels are normalized.
///
/// ```
/// use naswot::Normalization;
///
/// assert_eq!(Normalization::ALL.map(|data| data.name()), ["cifar10", "cifar100", "imagenet16", "imagenet"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    name: &'static str,
    /// Of 255, as the deviation.
    pub(super) mean: [f64; 3],
    pub(super) deviation: [f64; 3],
}

impl Normalization {
    /// That of CIFAR-10.
    pub const CIFAR10: Self =
        Normalization { name: "cifar10", mean: [125.3, 123.0, 113.9], deviation: [63.0, 62.1, 66.7] };
    /// That of CIFAR-100.
    pub const CIFAR100: Self =
        Normalization { name: "cifar100", mean: [129.3, 124.1, 112.4], deviation: [68.2, 65.4, 70.4] };
    /// That of ImageNet16-120.
    pub const IMAGENET16: Self = Normalization {
        name: "imagenet16",
        mean: [122.68, 116.66, 104.01],
        deviation: [63.22, 61.26, 65.09],
    };
    /// That of ImageNet, which photographs are normalized with: 255 times torchvision's mean 0.485, 0.456, 0.406 and deviation
    /// 0.229, 0.224, 0.225.
    pub const IMAGENET: Self = Normalization {
        name: "imagenet",
        mean: [123.675, 116.28, 103.53],
        deviation: [58.395, 57.12, 57.375],
    };
    /// Those that there are.
    pub const ALL: [Self; 4] = [Self::CIFAR10, Self::CIFAR100, Self::IMAGENET16, Self::IMAGENET];

    /// The name of the data set.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The normalized values of the 256 pixel values, by channel: x / 255 - mean / 255, divided by
    /// deviation / 255, in the order and the roundings of torchvision's `ToTensor` and `Normalize`: the
    /// two constants are divided in f64 and rounded to f32, and then every step is one of f32.
    pub(super) fn tables(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let mean = (self.mean[channel] / 255.0) as f32;
            let deviation = (self.deviation[channel] / 255.0) as f32;
            std::array::from_fn(|pixel| (pixel as f32 / 255.0 - mean) / deviation)
        })
    }

    /// Appends the normalized pixels of an image of three planes of so many pixels.
    pub(super) fn apply(image: &[u8], plane: usize, tables: &[[f32; 256]; 3], data: &mut Vec<f32>) {
        for (plane, table) in image.chunks_exact(plane).zip(tables) {
            data.extend(plane.iter().map(|&pixel| table[usize::from(pixel)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_of_imagenet_is_torchvisions() {
        let (mean, deviation) = ([0.485f32, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
        for (channel, table) in Normalization::IMAGENET.tables().iter().enumerate() {
            for (pixel, value) in (0u8..=255).zip(table) {
                let pixel = f32::from(pixel) / 255.0;
                assert_eq!(value.to_bits(), ((pixel - mean[channel]) / deviation[channel]).to_bits());
            }
        }
    }

    #[test]
    fn pixels_are_normalised_as_torchvision_does() {
        // torch.tensor(x / 255, dtype=float32).sub(mean).div(std) for pixels 0, 1, 128 and 255.
        let tables = Normalization::CIFAR10.tables();
        let known = [
            [0xbffe_93e9u32, 0xbffc_8bc9, 0x3d2f_8b12, 0x4003_c23c],
            [0xbffd_86ce, 0xbffb_7723, 0x3da4_e544, 0x4008_09e4],
            [0xbfda_9426, 0xbfd8_a8df, 0x3e58_77c9, 0x4007_6368],
        ];
        for (table, known) in tables.iter().zip(known) {
            assert_eq!([0, 1, 128, 255].map(|pixel: usize| table[pixel].to_bits()), known);
        }
    }
}
