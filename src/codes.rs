//! The binary codes that a network gives to the images of a batch.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use npyz::WriterBuilder;
use serde::Serialize;

use crate::plan::Plan;
use crate::plan::jobs::{UNIT, channel_bit, pixel_bit};

/// The codes of all images: a bit for each unit, which is one channel of a counted ReLU at one pixel. The bit is one where
/// the ReLU's input is positive.
///
/// Bits are packed into 32-bit words, N rows of equally many, the first bit of a word lowest. A table of regions says which
/// unit has which bit; all other bits are zero. Clones share the words.
///
/// ```
/// use naswot::nasbench201::{Cell, Skeleton};
/// use naswot::{Batch, Scorer};
///
/// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).keep_codes(true).build()?;
/// let cell: Cell = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|nor_conv_1x1~2|".parse()?;
/// let score = scorer.score(&cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
/// let codes = score.codes.expect("they were asked for");
/// // Every unit as often as K counts it.
/// let units: u64 = codes.regions().iter().map(|region| region.multiplicity as u64 * region.units() as u64).sum();
/// assert_eq!(units + u64::from(codes.constant_bits()), score.activations);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    images: usize,
    words: Arc<[u32]>,
    regions: Arc<[CodeRegion]>,
    activations: u32,
    constant_bits: u32,
}

/// Code bits that stand together: those of some channels at all pixels of one size.
///
/// A word holds 32 pixels of one channel, counted row by row, and words of four neighboring channels stand side by side:
/// [channels by four][pixels by 32][channel of the four]. See [`CodeRegion::bit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CodeRegion {
    /// Channels that have units, as ranges of first channel and end, in rising order; serialized as pairs. The bits of
    /// other channels are padding.
    #[serde(serialize_with = "pairs")]
    pub channels: Vec<Range<usize>>,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// How often K counts each bit: ReLUs that read one tensor share their bits.
    pub multiplicity: u32,
    /// First word in the codes of an image.
    pub word: usize,
    /// The channel that the first word is of: a multiple of four.
    pub first_channel: usize,
}

impl CodeRegion {
    /// Units of one image.
    pub fn units(&self) -> usize {
        self.height * self.width * self.channels.iter().map(Range::len).sum::<usize>()
    }

    /// Number of the bit of a channel at a pixel among all bits of an image's words: with c = channel - `first_channel`,
    /// pixel q = row * `width` + column and W = ceil(`height` * `width` / 32), bit q mod 32 of word
    /// `word` + 4 * (floor(c / 4) * W + floor(q / 32)) + c mod 4.
    ///
    /// ```
    /// # use naswot::{Batch, Graph, Network, Scorer};
    /// # let mut g = Graph::builder(3)?;
    /// # let relu = g.relu(g.input())?;
    /// # let network = Network::from_graph("relu", g.output(relu)?);
    /// let batch = Batch::new([1, 3, 1, 2], vec![1.0, -1.0, -1.0, 1.0, 1.0, 1.0])?;
    /// let score = Scorer::builder(batch).keep_codes(true).build()?.score(&network)?;
    /// let codes = score.codes.expect("they were asked for");
    /// let bit = codes.regions()[0].bit(1, 0, 1);
    /// assert_eq!(codes.image(0)[bit / 32] >> (bit % 32) & 1, 1);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn bit(&self, channel: usize, row: usize, column: usize) -> usize {
        let channel = channel_bit(channel - self.first_channel, self.height * self.width);
        self.word * u32::BITS as usize + channel + pixel_bit(row * self.width + column)
    }
}

impl Codes {
    /// Codes from the words that a plan's jobs have left. What a device has between sections, which nobody writes, is left out.
    pub(crate) fn new(plan: &Plan, left: &[u32]) -> Self {
        assert_eq!(left.len(), plan.images() * plan.words_per_image, "words of all images");
        let mut words = vec![0; left.len()];
        for start in (0..left.len()).step_by(plan.words_per_image.max(1)) {
            for section in plan.sections() {
                let section = start + section.start..start + section.end;
                words[section.clone()].copy_from_slice(&left[section]);
            }
        }
        let region = |region: &crate::plan::jobs::Region| CodeRegion {
            channels: region.channels.clone(),
            height: region.size[0],
            width: region.size[1],
            multiplicity: region.weight,
            word: region.word,
            first_channel: UNIT * region.first_unit,
        };
        Codes {
            images: plan.images(),
            words: words.into(),
            regions: plan.regions.iter().map(region).collect(),
            activations: plan.activations(),
            constant_bits: plan.constant_bits(),
        }
    }

    /// N, how many images have a code.
    pub fn images(&self) -> usize {
        self.images
    }

    /// N_A, bits of one image as K counts them: those of the regions, each as often as its multiplicity, and the constant
    /// ones.
    pub fn activations(&self) -> u32 {
        self.activations
    }

    /// N N_A, the bits of all images as K counts them.
    pub fn bits(&self) -> u64 {
        self.images as u64 * u64::from(self.activations)
    }

    /// All words, image by image.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The words of an image.
    ///
    /// # Panics
    /// There is no such image.
    pub fn image(&self, image: usize) -> &[u32] {
        let words = self.words.len() / self.images;
        &self.words[image * words..][..words]
    }

    /// Where the bits of which units are.
    pub fn regions(&self) -> &[CodeRegion] {
        &self.regions
    }

    /// How many bits K counts beside those of the regions: of ReLUs that read nothing but zeros, whatever the image is. They
    /// are zero, and all images agree in them.
    pub fn constant_bits(&self) -> u32 {
        self.constant_bits
    }

    /// In how many bits, each as often as K counts it, codes differ from those of the same network made elsewhere, over
    /// all images.
    ///
    /// # Panics
    /// They are codes of another network or of more or fewer images.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Skeleton};
    /// use naswot::{Batch, Precision, Scorer};
    ///
    /// let cell: Cell = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|none~2|".parse()?;
    /// let network = cell.network(&Skeleton { stem: 4, cells: 1 })?;
    /// let codes = |precision| -> naswot::Result<naswot::Codes> {
    ///     let builder = Scorer::builder(Batch::synthetic(4, 0)?).precision(precision);
    ///     Ok(builder.keep_codes(true).build()?.score(&network)?.codes.expect("they were asked for"))
    /// };
    /// let (single, double) = (codes(Precision::F32)?, codes(Precision::F64)?);
    /// assert!(single.differences(&double) < 10);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn differences(&self, other: &Codes) -> u64 {
        assert_eq!((&self.regions, self.images), (&other.regions, other.images), "codes of one network");
        let in_region = |image: usize, region: &CodeRegion| {
            let words = region.word..region.word + region.words();
            let pairs = self.image(image)[words.clone()].iter().zip(&other.image(image)[words]);
            u64::from(region.multiplicity) * pairs.map(|(a, b)| u64::from((a ^ b).count_ones())).sum::<u64>()
        };
        let in_image = |image| self.regions.iter().map(|region| in_region(image, region)).sum::<u64>();
        (0..self.images).map(in_image).sum()
    }

    /// How many units have a bit that differs in one of the first images. (Bits of one place, ReLUs that read one tensor
    /// being one unit.)
    #[doc(hidden)]
    pub fn flipped_units(&self, other: &Codes, images: usize) -> u64 {
        let words = self.words.len() / self.images;
        let flipped = |word: usize| {
            let differences = (0..images).map(|image| self.image(image)[word] ^ other.image(image)[word]);
            differences.fold(0, |all, differences| all | differences).count_ones()
        };
        (0..words).map(|word| u64::from(flipped(word))).sum()
    }

    /// Writes the words in NumPy's format: uint32, N x words of an image, in C order.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_npy(&self, writer: impl io::Write) -> io::Result<()> {
        let shape = [self.images, self.words.len() / self.images].map(|length| length as u64);
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(writer).begin_nd()?;
        npy.extend(self.words.iter())?;
        npy.finish()
    }
}

impl CodeRegion {
    /// Its words in the codes of an image.
    fn words(&self) -> usize {
        let end = self.channels.last().map_or(self.first_channel, |last| last.end.next_multiple_of(UNIT));
        channel_bit(end - self.first_channel, self.height * self.width) / u32::BITS as usize
    }
}

/// All but the words, which are many: where the bits are.
impl Serialize for Codes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table<'a> {
            images: usize,
            words_per_image: usize,
            activations: u32,
            constant_bits: u32,
            regions: &'a [CodeRegion],
        }
        let Codes { images, words, regions, activations, constant_bits } = self;
        let words_per_image = words.len() / images;
        let (images, activations, constant_bits) = (*images, *activations, *constant_bits);
        Table { images, words_per_image, activations, constant_bits, regions }.serialize(serializer)
    }
}

fn pairs<S: serde::Serializer>(ranges: &[Range<usize>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ranges.iter().map(|range| [range.start, range.end]))
}
