//! The agreement matrix K of a batch, which the paper calls the kernel matrix, and its log-determinant.
//!
//! ```text
//! K_ij = bits in which the codes of images i and j agree        score = ln |det K|
//! ```
//!
//! K is an integer matrix, symmetric and positive semidefinite, with N_A, the number of bits, everywhere on
//! its diagonal.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use npyz::WriterBuilder;

use super::agreement::{Section, agreement};
use super::cholesky::{Pivots, SAFE_PIVOT, cholesky};
use super::determinant;
use crate::data::npy;
use crate::{Error, Result};

/// The agreement matrix K of N images (the paper's kernel matrix): how many ReLU bits each pair has in common. N x N,
/// row by row, in bits.
///
/// Every image agrees with itself in all N_A bits, so the diagonal is constant and nothing beside it is larger.
/// Clones share the matrix.
///
/// ```
/// use naswot::Agreement;
///
/// let kernel = Agreement::new(3, vec![3, 2, 2, 2, 3, 1, 2, 1, 3])?;
/// assert_eq!(kernel.get(1, 2), Some(1));
/// assert!((kernel.log_det() - 8f64.ln()).abs() < 1e-12);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Agreement {
    images: usize,
    agreements: Arc<[u32]>,
}

impl Agreement {
    /// A K from its entries, row by row.
    ///
    /// # Errors
    ///
    /// [`Error::Agreement`] names the first place where K is no agreement matrix: there are no images or not
    /// `images` x `images` entries, the diagonal is not constant, an entry is above the diagonal's, or K is
    /// not symmetric. A matrix that is not positive semidefinite, as no codes could have made it, is taken.
    ///
    /// ```
    /// use naswot::Agreement;
    ///
    /// assert!(Agreement::new(2, vec![5, 3, 3, 5]).is_ok());
    /// let error = Agreement::new(2, vec![5, 3, 4, 5]).unwrap_err();
    /// assert_eq!(error.to_string(), "agreement matrix: row 1, column 0 is 4, but row 0, column 1 is 3");
    /// ```
    pub fn new(images: usize, agreements: Vec<u32>) -> Result<Self> {
        let wrong = |message| Err(Error::Agreement { message });
        if images == 0 {
            return wrong("there are no images".to_owned());
        }
        if images.checked_mul(images) != Some(agreements.len()) {
            return wrong(format!("{images} x {images} entries are needed, not {}", agreements.len()));
        }
        let activations = agreements[0];
        for (i, row) in agreements.chunks_exact(images).enumerate() {
            if row[i] != activations {
                return wrong(format!(
                    "row {i}, column {i} is {}, but row 0, column 0 is {activations}",
                    row[i]
                ));
            }
            for (j, &k_ij) in row[..i].iter().enumerate() {
                let k_ji = agreements[j * images + i];
                if k_ij != k_ji {
                    return wrong(format!(
                        "row {i}, column {j} is {k_ij}, but row {j}, column {i} is {k_ji}"
                    ));
                }
                if k_ij > activations {
                    return wrong(format!(
                        "row {i}, column {j} is {k_ij}, above the diagonal's {activations}"
                    ));
                }
            }
        }
        Ok(Agreement { images, agreements: agreements.into() })
    }

    /// The K of one binary code for each image, all of one length; `true` is an active ReLU.
    ///
    /// # Errors
    ///
    /// [`Error::Agreement`] when there are no codes, when one has another length than the first, or when they
    /// have 2^32 bits or more.
    ///
    /// ```
    /// use naswot::Agreement;
    ///
    /// // 101, 001 and 100: the worked example of the paper's authors.
    /// let kernel = Agreement::from_codes(&[[true, false, true], [false, false, true], [true, false, false]])?;
    /// assert_eq!(kernel.as_slice(), [3, 2, 2, 2, 3, 1, 2, 1, 3]);
    /// // 3 (3·3 - 1·1) - 2 (2·3 - 1·2) + 2 (2·1 - 3·2) = 8
    /// assert!((kernel.log_det() - 8f64.ln()).abs() < 1e-12);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn from_codes<C: AsRef<[bool]>>(codes: &[C]) -> Result<Self> {
        let wrong = |message| Error::Agreement { message };
        let bits = codes.first().map_or(0, |code| code.as_ref().len());
        let activations =
            u32::try_from(bits).map_err(|_| wrong(format!("codes of {bits} bits are too long")))?;
        let mut words = Vec::new();
        for (image, code) in codes.iter().map(AsRef::as_ref).enumerate() {
            if code.len() != bits {
                return Err(wrong(format!("code {image} has {} bits, but code 0 has {bits}", code.len())));
            }
            words.extend(code.chunks(32).map(pack));
        }
        let (images, words_per_image) = (codes.len(), bits.div_ceil(32));
        let mut k = vec![activations; images * images];
        let section = Section { codes: &words, words_per_image, first: 0, words: words_per_image, weight: 1 };
        agreement(&section, &mut k, images);
        Agreement::new(images, k)
    }

    /// The number of images, N; never 0.
    ///
    /// ```
    /// assert_eq!(naswot::Agreement::new(2, vec![5, 3, 3, 5])?.images(), 2);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn images(&self) -> usize {
        self.images
    }

    /// The number of bits of each image's code, N_A: the diagonal.
    ///
    /// ```
    /// assert_eq!(naswot::Agreement::new(2, vec![5, 3, 3, 5])?.activations(), 5);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn activations(&self) -> u32 {
        self.agreements[0]
    }

    /// The number of bits in which images i and j agree; `None` where there is no such image.
    ///
    /// ```
    /// let kernel = naswot::Agreement::new(2, vec![5, 3, 3, 5])?;
    /// assert_eq!(kernel.get(0, 1), Some(3));
    /// assert_eq!(kernel.get(0, 2), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn get(&self, i: usize, j: usize) -> Option<u32> {
        (i < self.images && j < self.images).then(|| self.agreements[i * self.images + j])
    }

    /// All N x N entries, row by row.
    ///
    /// ```
    /// assert_eq!(naswot::Agreement::new(2, vec![5, 3, 3, 5])?.as_slice(), [5, 3, 3, 5]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn as_slice(&self) -> &[u32] {
        &self.agreements
    }

    /// The first two images that have one code, by position; none where all codes differ. K is singular where there are some, but
    /// may be without, too.
    ///
    /// ```
    /// use naswot::Agreement;
    ///
    /// assert_eq!(Agreement::new(3, vec![5, 3, 5, 3, 5, 3, 5, 3, 5])?.equal_codes(), Some([0, 2]));
    /// assert_eq!(Agreement::new(2, vec![5, 3, 3, 5])?.equal_codes(), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn equal_codes(&self) -> Option<[usize; 2]> {
        let mut rows = self.agreements.chunks_exact(self.images).enumerate();
        rows.find_map(|(i, row)| {
            let equal = row[i + 1..].iter().position(|&agreement| agreement == self.activations())?;
            Some([i, i + 1 + equal])
        })
    }

    /// The NASWOT score ln |det K|: minus infinity if and only if K is singular over the integers, else within
    /// 1e-9 of the value (relative, or absolute where the value is below 1).
    ///
    /// Cholesky in f64 answers for all but nearly singular matrices: 0.1 ms for 128 images, 40 ms for 1024.
    /// Where a pivot is below N_A / 1000, exact arithmetic decides whether K is singular.
    ///
    /// ```
    /// use naswot::Agreement;
    ///
    /// assert_eq!(Agreement::new(1, vec![7])?.log_det(), 7f64.ln());
    /// // Two images with one code.
    /// assert_eq!(Agreement::new(2, vec![5, 5, 5, 5])?.log_det(), f64::NEG_INFINITY);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn log_det(&self) -> f64 {
        self.judge(cholesky::<f64>(&self.agreements, self.images, self.activations()))
    }

    /// The score from what a backend's Cholesky says of this K.
    pub(crate) fn judge(&self, pivots: Pivots) -> f64 {
        // NaN, from a pivot that was not positive, compares false as well.
        if pivots.smallest_pivot >= SAFE_PIVOT {
            pivots.log_det
        } else {
            determinant::ln_abs_det(&self.agreements, self.images, self.activations())
        }
    }

    /// Reads K from a file that [`Agreement::write_npy`], `naswot score --kernels` or NumPy has written: uint32, N x N.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Data`] where it holds no agreement matrix.
    ///
    /// ```
    /// use naswot::Agreement;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("0.npy");
    /// let kernel = Agreement::new(2, vec![5, 3, 3, 5])?;
    /// kernel.write_npy(std::fs::File::create(&path)?)?;
    /// assert_eq!(Agreement::read_npy(&path)?, kernel);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_npy(path: impl AsRef<Path>) -> Result<Self> {
        npy::read(path.as_ref(), Self::from_array)
    }

    /// The matrix that an array holds; the error says what is wrong with it. K is symmetric, so the order of its entries
    /// makes no difference.
    pub(crate) fn from_array(array: npy::Array<impl io::Read>) -> Result<Self, String> {
        let dtype = array.dtype();
        if !["'<u4'", "'>u4'"].contains(&dtype.as_str()) {
            return Err(format!("holds numbers of type {dtype}, not uint32 as an agreement matrix does"));
        }
        let &[images, columns] = array.shape() else {
            return Err(format!("has {} axes; an agreement matrix has two: N x N", array.shape().len()));
        };
        if images != columns {
            return Err(format!("is {images} x {columns}; an agreement matrix is N x N"));
        }
        Self::new(images as usize, array.numbers()?).map_err(|error| error.to_string())
    }

    /// Writes K in NumPy's format: uint32, N x N, in C order.
    ///
    /// # Errors
    ///
    /// What the writer says.
    ///
    /// ```
    /// let mut file = Vec::new();
    /// naswot::Agreement::new(2, vec![5, 3, 3, 5])?.write_npy(&mut file)?;
    /// assert_eq!(npyz::NpyFile::new(&file[..])?.into_vec::<u32>()?, [5, 3, 3, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_npy(&self, writer: impl io::Write) -> io::Result<()> {
        let shape = [self.images as u64; 2];
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(writer).begin_nd()?;
        npy.extend(self.agreements.iter())?;
        npy.finish()
    }
}

/// Its rows.
impl serde::Serialize for Agreement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.agreements.chunks_exact(self.images))
    }
}

impl fmt::Debug for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agreement")
            .field("images", &self.images)
            .field("activations", &self.activations())
            .finish_non_exhaustive()
    }
}

/// At most 32 bits as one word, the first one lowest.
fn pack(bits: &[bool]) -> u32 {
    bits.iter().rev().fold(0, |word, &bit| word << 1 | u32::from(bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, Rng};

    #[test]
    fn what_is_no_agreement_matrix_is_refused_with_its_place() {
        for (images, entries, message) in [
            (0, vec![], "there are no images"),
            (2, vec![5, 3, 3], "2 x 2 entries are needed, not 3"),
            (usize::MAX, vec![], "18446744073709551615 x 18446744073709551615 entries are needed, not 0"),
            (2, vec![5, 3, 3, 6], "row 1, column 1 is 6, but row 0, column 0 is 5"),
            (2, vec![5, 6, 6, 5], "row 1, column 0 is 6, above the diagonal's 5"),
            (3, vec![5, 1, 2, 1, 5, 3, 2, 4, 5], "row 2, column 1 is 4, but row 1, column 2 is 3"),
        ] {
            let error = Agreement::new(images, entries).unwrap_err();
            assert_eq!(error.to_string(), format!("agreement matrix: {message}"));
        }
    }

    #[test]
    fn codes_must_have_one_length() {
        let error = Agreement::from_codes(&[vec![true; 3], vec![true; 3], vec![true; 2]]).unwrap_err();
        assert_eq!(error.to_string(), "agreement matrix: code 2 has 2 bits, but code 0 has 3");
        assert_eq!(
            Agreement::from_codes::<[bool; 0]>(&[]).unwrap_err().to_string(),
            "agreement matrix: there are no images"
        );
        // Codes without bits agree in all of them.
        assert_eq!(Agreement::from_codes(&[[]; 2]).unwrap().as_slice(), [0; 4]);
    }

    #[test]
    fn codes_longer_than_a_word() {
        let codes: Vec<Vec<bool>> =
            (2..8).map(|step| (0..100).map(|bit| bit % step == 0).collect()).collect();
        let kernel = Agreement::from_codes(&codes).unwrap();
        for (i, a) in codes.iter().enumerate() {
            for (j, b) in codes.iter().enumerate() {
                let agreements = a.iter().zip(b).filter(|(a, b)| a == b).count();
                assert_eq!(kernel.get(i, j), Some(agreements as u32));
            }
        }
    }

    /// As a backend without f64 reports it.
    #[test]
    fn pivots_in_single_precision_judge_alike() {
        let (mut singular, cases) = (0, 200);
        for seed in 0..cases {
            let mut rng = Rng::new(seed, Domain::Sampling, "codes");
            let n = 4 + rng.below(12) as usize;
            let codes: Vec<Vec<bool>> = (0..n).map(|_| (0..n).map(|_| rng.below(2) == 1).collect()).collect();
            let kernel = Agreement::from_codes(&codes).unwrap();
            let double = kernel.log_det();
            let single = kernel.judge(cholesky::<f32>(kernel.as_slice(), n, kernel.activations()));
            assert!(single == double || (single - double).abs() < 1e-3, "{single}, {double}");
            singular += u64::from(double == f64::NEG_INFINITY);
        }
        assert!((1..cases).contains(&singular));
    }
}
