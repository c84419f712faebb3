//! The images that every network of a run sees.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use half::f16;

use super::formats::CHANNELS;
use super::layout::{Layout, sizes};
use super::{Normalization, draw, npy, room, synthetic, too_few};
use crate::digest::sha256_hex;
use crate::random::{Domain, RandomStream, quantiles};
use crate::{Distribution, Error, Result};

/// Normalized images, N x C x H x W in f32. Cheap to clone.
///
/// ```
/// use naswot::Batch;
///
/// let batch = Batch::new([2, 1, 1, 3], vec![0.0, 0.5, -1.0, 0.25, 1.5, 0.0])?;
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.first(1)?.data(), [0.0, 0.5, -1.0]);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone)]
pub struct Batch(Arc<Images>);

/// The type of pixels in NumPy's files.
const PIXELS: &str = "'|u1'";

struct Images {
    shape: [usize; 4],
    data: Vec<f32>,
    label: &'static str,
    noise: f64,
    /// What was converted when they were read.
    conversion: Option<String>,
    sha256: OnceLock<String>,
}

impl Images {
    /// Checks sizes and values; the error says what is wrong.
    fn new(label: &'static str, shape: [usize; 4], data: Vec<f32>) -> Result<Self, String> {
        let [n, channels, height, width] = shape;
        if shape.contains(&0) {
            return Err(format!("{n}x{channels}x{height}x{width} images have a size of zero"));
        }
        let needed = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if needed != Some(data.len()) {
            let needed = needed.map_or("too many".to_owned(), |needed| needed.to_string());
            let found = data.len();
            return Err(format!(
                "{n}x{channels}x{height}x{width} images are {needed} numbers, and there are {found}"
            ));
        }
        if let Some(position) = data.iter().position(|value| !value.is_finite()) {
            let (row, column) = (position / width % height, position % width);
            let (image, channel) =
                (position / width / height / channels, position / width / height % channels);
            let value = data[position];
            return Err(format!(
                "image {image} holds {value} at channel {channel}, row {row}, column {column} (from 0)"
            ));
        }
        Ok(Images { shape, data, label, noise: 0.0, conversion: None, sha256: OnceLock::new() })
    }
}

impl Batch {
    /// Takes images that are already normalized, in the order N, C, H, W. Their label is `custom`.
    ///
    /// ```
    /// assert!(naswot::Batch::new([1, 3, 2, 2], vec![0.0; 12]).is_ok());
    /// let error = naswot::Batch::new([1, 3, 2, 2], vec![0.0; 11]).unwrap_err();
    /// assert_eq!(error.to_string(), "batch: 1x3x2x2 images are 12 numbers, and there are 11");
    /// ```
    ///
    /// # Errors
    /// A size of zero, another number of values than the sizes say, or a value that is NaN or infinite
    /// (the first one is named).
    pub fn new(shape: [usize; 4], data: Vec<f32>) -> Result<Self> {
        Self::labeled("custom", shape, data).map_err(|message| Error::Batch { message })
    }

    /// As [`Batch::new`], with a label; the error says what is wrong.
    pub(super) fn labeled(label: &'static str, shape: [usize; 4], data: Vec<f32>) -> Result<Self, String> {
        Self::converted(label, shape, data, None)
    }

    /// As [`labeled`](Self::labeled), of images of which something was converted.
    pub(super) fn converted(
        label: &'static str,
        shape: [usize; 4],
        data: Vec<f32>,
        conversion: Option<String>,
    ) -> Result<Self, String> {
        let images = Images::new(label, shape, data)?;
        Ok(Batch(Arc::new(Images { conversion, ..images })))
    }

    /// Images made from a seed, 3x32x32 and normalized as CIFAR-10: occluding shapes with the 1/f amplitude
    /// spectrum, the edges and the correlated colors of natural images. Every platform makes the same bits.
    /// Image i depends on the seed and i alone, so a larger batch begins with the smaller ones.
    ///
    /// ```
    /// let batch = naswot::Batch::synthetic(4, 0)?;
    /// assert_eq!(batch.shape(), [4, 3, 32, 32]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// No images, or more than there is memory for.
    pub fn synthetic(n: usize, seed: u64) -> Result<Self> {
        let shape = [n, 3, synthetic::SIDE, synthetic::SIDE];
        synthetic::images(n, seed)
            .and_then(|data| Self::labeled("synthetic", shape, data))
            .map_err(|message| Error::Batch { message })
    }

    /// Reads a NumPy file of normalized images: N x C x H x W, float32, or float64 or float16, which are converted
    /// ([`conversion`](Batch::conversion) says so, as of Fortran's order). They are taken as they are.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("batch.npy");
    /// # let mut file = b"\x93NUMPY\x01\x00\x40\x00".to_vec();
    /// # let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 1, 3)}";
    /// # file.extend(format!("{header:<63}\n").bytes());
    /// # file.extend([0.0f32; 6].iter().flat_map(|x| x.to_le_bytes()));
    /// # std::fs::write(&path, file).unwrap();
    /// // numpy.save("batch.npy", numpy.zeros((2, 1, 1, 3), numpy.float32))
    /// let batch = naswot::Batch::npy(&path)?;
    /// assert_eq!(batch.shape(), [2, 1, 1, 3]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be opened; [`Error::Data`] for one that is no such array, is cut
    /// off, or holds NaN or infinity.
    pub fn npy(path: impl AsRef<Path>) -> Result<Self> {
        npy::read(path.as_ref(), Self::from_array)
    }

    /// As [`Batch::npy`], color images alone: N x 3 x H x W. With a normalization they are pixels, uint8, and are
    /// normalized as those of its data set.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("pixels.npy");
    /// # let mut file = b"\x93NUMPY\x01\x00\x40\x00".to_vec();
    /// # let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, 1, 1)}";
    /// # file.extend(format!("{header:<63}\n").bytes());
    /// # file.extend([125, 123, 114]);
    /// # std::fs::write(&path, file).unwrap();
    /// // numpy.save("pixels.npy", numpy.array([125, 123, 114], numpy.uint8).reshape(1, 3, 1, 1))
    /// let batch = naswot::Batch::npy_color(&path, Some(naswot::Normalization::CIFAR10))?;
    /// assert!(batch.data().iter().all(|value| value.abs() < 0.01));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Batch::npy`]; images of other than three channels, or with the channels last; pixels without a normalization,
    /// and other numbers with one.
    pub fn npy_color(path: impl AsRef<Path>, normalization: Option<Normalization>) -> Result<Self> {
        npy::read(path.as_ref(), |array| Self::color(array, normalization))
    }

    /// The batch of color images that an array holds; the error says what is wrong with it.
    pub(super) fn color(
        array: npy::Array<impl Read>,
        normalization: Option<Normalization>,
    ) -> Result<Self, String> {
        let (dtype, shape) = (array.dtype(), sizes(array.shape()));
        let is_pixels = dtype == PIXELS;
        if normalization.is_some() && !is_pixels {
            return Err(format!(
                "holds numbers of type {dtype} and shape {shape}; pixels to normalize are uint8, 0 to 255: convert \
                 them with astype, or take the images as normalized"
            ));
        }
        let (layout, sizes) = layout(&array)?;
        match sizes {
            [_, CHANNELS, _, _] => {}
            [_, _, _, CHANNELS] => {
                return Err(format!(
                    "has shape {shape}, which is N x H x W x C; networks read N x C x H x W: save \
                     numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))"
                ));
            }
            [_, channels, _, _] => {
                return Err(format!(
                    "has shape {shape}, images of {channels} channels; networks read {CHANNELS}: \
                     N x {CHANNELS} x H x W"
                ));
            }
        }
        let Some(normalization) = normalization else { return Self::from_array(array) };
        let pixels = layout.in_c_order(array.numbers::<u8>()?)?;
        let ([_, _, height, width], mut data) = (sizes, room(pixels.len())?);
        let (tables, plane) = (normalization.tables(), height * width);
        // Images of no pixels are no batch, which is said below.
        for image in pixels.chunks_exact(CHANNELS * plane.max(1)) {
            Normalization::apply(image, plane, &tables, &mut data);
        }
        Self::labeled("npy", sizes, data)
    }

    /// The batch that an array holds; the error says what is wrong with it.
    pub(super) fn from_array(array: npy::Array<impl Read>) -> Result<Self, String> {
        let (dtype, found) = (array.dtype(), sizes(array.shape()));
        if dtype == PIXELS {
            let names = Normalization::ALL.map(|data| data.name()).join(", ");
            return Err(format!(
                "holds pixels (type {dtype}, shape {found}), which are not normalized: take them with the \
                 normalization of a data set (--normalize in the command: {names}), or save them normalized, as float32"
            ));
        }
        let convert: fn(npy::Array<_>) -> Result<Vec<f32>, String>;
        let from = match dtype.as_str() {
            "'<f4'" | "'>f4'" => {
                convert = |array| array.numbers();
                None
            }
            "'<f8'" | "'>f8'" => {
                convert = |array| array.converted(|value: f64| value as f32);
                Some("float64")
            }
            "'<f2'" | "'>f2'" => {
                convert = |array| array.converted(f16::to_f32);
                Some("float16")
            }
            _ => {
                return Err(format!(
                    "holds numbers of type {dtype} and shape {found}; a batch is normalized numbers of type float32, \
                     float64 or float16: convert them with astype"
                ));
            }
        };
        let (layout, shape) = layout(&array)?;
        let conversion = match (from, array.is_fortran()) {
            (None, false) => None,
            (None, true) => Some("Fortran's order converted to C's".to_owned()),
            (Some(from), false) => Some(format!("{from} converted to float32")),
            (Some(from), true) => Some(format!("{from} converted to float32, Fortran's order to C's")),
        };
        let data = layout.in_c_order(convert(array)?)?;
        Self::converted("npy", shape, data, conversion).map_err(|message| match from {
            Some("float64") => format!("{message}, as float32"),
            _ => message,
        })
    }

    /// What was converted when the images were read from a file, for users to be told; none where they were taken as they
    /// are.
    ///
    /// ```
    /// assert_eq!(naswot::Batch::synthetic(1, 0)?.conversion(), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn conversion(&self) -> Option<&str> {
        self.0.conversion.as_deref()
    }

    /// Images, channels, height and width.
    ///
    /// ```
    /// let batch = naswot::Batch::new([1, 3, 2, 2], vec![0.0; 12])?;
    /// assert_eq!(batch.shape(), [1, 3, 2, 2]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn shape(&self) -> [usize; 4] {
        self.0.shape
    }

    /// Number of images, at least 1.
    ///
    /// ```
    /// assert_eq!(naswot::Batch::synthetic(3, 0)?.len(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    #[expect(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.0.shape[0]
    }

    /// The values, in the order N, C, H, W.
    ///
    /// ```
    /// let batch = naswot::Batch::new([1, 1, 1, 2], vec![0.5, -0.5])?;
    /// assert_eq!(batch.data(), [0.5, -0.5]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn data(&self) -> &[f32] {
        &self.0.data
    }

    /// What reports call the images: `synthetic`, `cifar10`, `cifar100`, `imagenet16`, `images`, `npy`, or `custom` for those of
    /// [`Batch::new`].
    ///
    /// ```
    /// assert_eq!(naswot::Batch::synthetic(1, 0)?.label(), "synthetic");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn label(&self) -> &'static str {
        self.0.label
    }

    /// The same images with Gaussian noise on every value, of standard deviation `sigma` in the units of the
    /// normalized images. Every platform makes the same bits, and the noise of a larger batch begins with that of a
    /// smaller one.
    ///
    /// ```
    /// let batch = naswot::Batch::new([1, 1, 1, 2], vec![0.5, -0.5])?;
    /// let noisy = batch.with_noise(0.1, 0)?;
    /// assert_eq!(noisy.noise(), 0.1);
    /// assert_ne!(noisy.sha256(), batch.sha256());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// A `sigma` that is negative or not finite; images that have noise already, or have too much with it for f32.
    pub fn with_noise(&self, sigma: f64, seed: u64) -> Result<Self> {
        let wrong = |message| Error::Setting { name: "noise", message };
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(wrong(format!("{sigma} is no standard deviation")));
        }
        if self.0.noise != 0.0 {
            return Err(wrong("the images have noise already".to_owned()));
        }
        let (table, stream) =
            (quantiles::table(Distribution::Normal), RandomStream::new(seed, Domain::Noise, "images"));
        if sigma == 0.0 {
            return Ok(self.clone());
        }
        let mut data = room(self.0.data.len()).map_err(wrong)?;
        data.extend_from_slice(&self.0.data);
        for (values, block) in data.chunks_mut(8).zip(0..) {
            for (value, noise) in values.iter_mut().zip(quantiles::pick(table, stream.block(block))) {
                *value += (sigma * f64::from(noise)) as f32;
            }
        }
        let images = Images::new(self.0.label, self.0.shape, data).map_err(wrong)?;
        let conversion = self.0.conversion.clone();
        Ok(Batch(Arc::new(Images { noise: sigma, conversion, ..images })))
    }

    /// Standard deviation of the noise that was added, 0 where none was.
    ///
    /// ```
    /// assert_eq!(naswot::Batch::synthetic(1, 0)?.noise(), 0.0);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn noise(&self) -> f64 {
        self.0.noise
    }

    /// SHA-256 of the values as little-endian bytes in the order N, C, H, W, in lowercase hex. It does not
    /// cover the shape.
    ///
    /// ```
    /// let batch = naswot::Batch::new([1, 1, 1, 1], vec![0.0])?;
    /// assert!(batch.sha256().starts_with("df3f6198"));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn sha256(&self) -> &str {
        self.0.sha256.get_or_init(|| {
            sha256_hex(self.0.data.chunks(1 << 10).map(|chunk| {
                let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
                bytes
            }))
        })
    }

    /// The first n images.
    ///
    /// ```
    /// let batch = naswot::Batch::synthetic(8, 0)?;
    /// assert_eq!(batch.first(3)?.data(), naswot::Batch::synthetic(3, 0)?.data());
    /// assert!(batch.first(9).is_err());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// No images, or more than there are.
    pub fn first(&self, n: usize) -> Result<Self> {
        self.check(n)?;
        Ok(if n == self.len() { self.clone() } else { self.pick(0..n) })
    }

    /// Images drawn without replacement, in the order drawn.
    ///
    /// ```
    /// let batch = naswot::Batch::synthetic(8, 0)?;
    /// assert_eq!(batch.sample(3, 1)?.data(), batch.sample(3, 1)?.data());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// No images, or more than there are.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Self> {
        self.check(n)?;
        let total = u32::try_from(self.len())
            .map_err(|_| Error::Batch { message: "2^32 images or more cannot be drawn from".to_owned() })?;
        Ok(self.pick(draw(total, n, seed)))
    }

    /// The first two images that are equal, by position; none where all differ. Every score of a batch with equal images is
    /// minus infinity: they have one code in any network.
    ///
    /// ```
    /// let batch = naswot::Batch::new([3, 1, 1, 1], vec![0.5, 1.0, 0.5])?;
    /// assert_eq!(batch.equal_images(), Some([0, 2]));
    /// assert_eq!(batch.first(2)?.equal_images(), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn equal_images(&self) -> Option<[usize; 2]> {
        let [_, channels, height, width] = self.0.shape;
        let bits: &[u32] = bytemuck::cast_slice(&self.0.data);
        let mut first = HashMap::with_capacity(self.len());
        bits.chunks_exact(channels * height * width).enumerate().find_map(|(position, image)| {
            let before = *first.entry(image).or_insert(position);
            (before != position).then_some([before, position])
        })
    }

    fn check(&self, n: usize) -> Result<()> {
        too_few(self.len(), n).map_or(Ok(()), |message| Err(Error::Batch { message }))
    }

    fn pick(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let [_, channels, height, width] = self.0.shape;
        let size = channels * height * width;
        let mut data = Vec::new();
        for position in positions {
            data.extend_from_slice(&self.0.data[position * size..][..size]);
        }
        let shape = [data.len() / size, channels, height, width];
        Batch(Arc::new(Images {
            shape,
            data,
            label: self.0.label,
            noise: self.0.noise,
            conversion: self.0.conversion.clone(),
            sha256: OnceLock::new(),
        }))
    }
}

/// The layout and the sizes of an array of four axes; the error says that it has others.
fn layout<R: Read>(array: &npy::Array<R>) -> Result<(Layout, [usize; 4]), String> {
    let &[n, channels, height, width] = array.shape() else {
        let (axes, shape) = (array.shape().len(), sizes(array.shape()));
        return Err(format!("has {axes} axes ({shape}); a batch has four: N x C x H x W"));
    };
    let shape = [n, channels, height, width].map(|size| size as usize);
    Ok((Layout::new(shape.to_vec(), array.is_fortran()), shape))
}

impl fmt::Debug for Batch {
    /// Shape and label, without the images.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("shape", &self.0.shape)
            .field("label", &self.0.label)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(shape: [usize; 4], data: Vec<f32>) -> String {
        Batch::new(shape, data).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert_eq!(message([0, 3, 32, 32], vec![]), "batch: 0x3x32x32 images have a size of zero");
        let [huge, n] = [usize::MAX, 2];
        assert_eq!(
            message([n, huge, 1, 1], vec![0.0]),
            format!("batch: 2x{huge}x1x1 images are too many numbers, and there are 1")
        );
        let mut data = vec![0.0; 2 * 3 * 4 * 5];
        data[((3 + 2) * 4 + 3) * 5 + 1] = f32::NAN;
        assert_eq!(
            message([2, 3, 4, 5], data),
            "batch: image 1 holds NaN at channel 2, row 3, column 1 (from 0)"
        );
        assert!(message([1, 1, 1, 1], vec![f32::NEG_INFINITY]).contains("holds -inf"));
    }

    #[test]
    fn noise_has_its_deviation_and_begins_that_of_larger_batches() {
        let batch = Batch::new([4, 3, 32, 32], vec![1.0; 4 * 3072]).unwrap();
        let noisy = batch.with_noise(0.25, 3).unwrap();
        let moment = |k| noisy.data().iter().map(|x| (f64::from(*x) - 1.0).powi(k)).sum::<f64>() / 12_288.0;
        // Within four standard errors.
        assert!(moment(1).abs() < 4.0 * 0.25 / 12_288f64.sqrt());
        assert!((moment(2).sqrt() - 0.25).abs() < 4.0 * 0.25 / (2.0 * 12_288f64).sqrt());
        assert_eq!(batch.first(1).unwrap().with_noise(0.25, 3).unwrap().data(), &noisy.data()[..3072]);
        assert_ne!(batch.with_noise(0.25, 4).unwrap().data(), noisy.data());
        assert_eq!(batch.with_noise(0.0, 3).unwrap().sha256(), batch.sha256());
        assert_eq!(noisy.first(2).unwrap().noise(), 0.25);
        for (batch, sigma, message) in [
            (&batch, -1.0, "noise: -1 is no standard deviation"),
            (&batch, f64::NAN, "noise: NaN is no standard deviation"),
            (&batch, 1e300, "noise: image 0 holds"),
            (&noisy, 1.0, "noise: the images have noise already"),
        ] {
            let error = batch.with_noise(sigma, 0).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn images_are_taken_in_order_or_drawn() {
        let batch = Batch::new([5, 2, 1, 1], (0..10u8).map(f32::from).collect()).unwrap();
        assert_eq!(batch.first(2).unwrap().data(), [0.0, 1.0, 2.0, 3.0]);
        let drawn = batch.sample(5, 9).unwrap();
        let mut images: Vec<f32> = drawn.data().chunks(2).map(|image| image[0]).collect();
        images.sort_unstable_by(f32::total_cmp);
        assert_eq!(images, [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(batch.first(0).unwrap_err().to_string(), "batch: no images were asked for");
        let error = batch.sample(6, 0).unwrap_err().to_string();
        assert_eq!(error, "batch: 6 images were asked for, and there are 5");
    }

    #[test]
    fn the_digest_is_that_of_little_endian_bytes() {
        let values: Vec<f32> = (0..3000u16).map(f32::from).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let batch = Batch::new([3, 10, 10, 10], values).unwrap();
        assert_eq!(batch.sha256(), sha256_hex([bytes]));
        assert_eq!(batch.clone().sha256(), batch.sha256());
    }
}
