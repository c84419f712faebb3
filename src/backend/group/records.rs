//! Records that kernels and shaders read: one a job, one a term. Every field is a u32, an f32 or a pair of u32, so
//! that WGSL and CUDA read the same bytes; `shaders/common.wgsl` and `kernels/common.cuh` declare the same structs.
//!
//! Places are absolute in their buffer, in its units ([`super::memory`]); those in the weight pool are octets, 8 f32. A
//! place of gammas and betas there is of two octets for each octet of channels: 8 gammas, 8 betas. Two sizes that share a
//! word are `low | high << 16`; of heights and widths, the height is the low one.

use bytemuck::{Pod, Zeroable};

/// The place of what has none.
pub(crate) const NONE: u32 = u32::MAX;

/// Words of what is counted of a network's activation patterns: distinct ones, active units.
pub(super) const COUNTS: usize = 2;

/// Rows of weights to make from the seed, some blocks of eight: block b is Philox4x32-10 of (b, name, 0) under the key,
/// and its eight lanes are looked up in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct WeightsRecord {
    /// Halves of the seed.
    pub(crate) key: [u32; 2],
    /// Halves of the parameter name's hash.
    pub(crate) name: [u32; 2],
    /// The first block, and how many.
    pub(crate) first: u32,
    pub(crate) blocks: u32,
    /// 0 for the normal distribution, 1 for the uniform one.
    pub(crate) table: u32,
    /// Where the first row goes.
    pub(crate) place: u32,
    /// Octets of input channels and taps of a row, of which a block is eight weights of one channel under one tap.
    pub(crate) in_octets: u32,
    pub(crate) taps: u32,
    pub(crate) unused: [u32; 6],
}

/// One way of reading a tensor: see [`crate::plan::jobs::Term`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TermRecord {
    /// Unit of the first channel read, of the first pixel of image 0.
    pub(crate) source: u32,
    /// Height and width of the tensor.
    pub(crate) size: u32,
    /// Output channel that the first one goes to.
    pub(crate) to: u32,
    pub(crate) channels: u32,
    /// Unit of the first channel's batch norm, or NONE.
    pub(crate) norm: u32,
    /// RELU.
    pub(crate) flags: u32,
    /// Where the signs go: the word, within an image's codes, that unit 0 of the output would have, or NONE. It wraps where
    /// the region begins with a later unit.
    pub(crate) code: u32,
    pub(crate) unused: u32,
}

impl TermRecord {
    pub(crate) const RELU: u32 = 1;
}

/// A convolution of one whole plain tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ConvRecord {
    pub(crate) input: u32,
    /// First unit that the job writes, of the first pixel of image 0.
    pub(crate) output: u32,
    /// Height and width of the input.
    pub(crate) size: u32,
    /// Height and width of the kernel, then stride, padding and dilation, down and across.
    pub(crate) kernel: u32,
    pub(crate) stride: u32,
    pub(crate) padding: u32,
    pub(crate) dilation: u32,
    /// Units of the input, all of which are read (low), and units that the job writes (high).
    pub(crate) units: u32,
    /// First entry of `rows`: for each octet that the job writes, the place of its weights in the pool.
    pub(crate) rows: u32,
    /// The factor of outputs.
    pub(crate) alpha: f32,
    /// Partial statistics, [block][unit that the job writes], or NONE.
    pub(crate) partials: u32,
    /// Its batch norms, by position among all of the group.
    pub(crate) first_norm: u32,
    pub(crate) norms: u32,
    /// ReLU on load when 1.
    pub(crate) relu: u32,
    /// Pixels of a block of partial statistics, counted over all images.
    pub(crate) tile: u32,
    /// Position of the network in the group.
    pub(crate) network: u32,
}

/// A sum of terms, pooled and stored where wanted, and its code bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct CombineRecord {
    pub(crate) first_term: u32,
    /// How many (low), and how many of them, the first ones, are under the window; the others are added to what it gives
    /// (high).
    pub(crate) terms: u32,
    /// First unit of the output, or NONE where only bits are wanted.
    pub(crate) output: u32,
    pub(crate) channels: u32,
    /// Height and width of what the terms read.
    pub(crate) size: u32,
    /// NO_POOL, MAX_POOL or AVERAGE_POOL (low); CHECKS or 0 (high).
    pub(crate) pool: u32,
    /// Window, its stride and padding, down and across.
    pub(crate) window: u32,
    pub(crate) stride: u32,
    pub(crate) padding: u32,
    /// First word of the network's codes, and words from one image to the next.
    pub(crate) codes: u32,
    pub(crate) words_per_image: u32,
    /// Where the sum's own signs go, as of a term.
    pub(crate) code: u32,
    /// Partial statistics of the sum, [block][unit], or NONE.
    pub(crate) partials: u32,
    pub(crate) first_norm: u32,
    pub(crate) norms: u32,
    /// Position of the network in the group (low), and what its status becomes when a number is not finite (high).
    pub(crate) status: u32,
}

impl CombineRecord {
    pub(crate) const NO_POOL: u32 = 0;
    pub(crate) const MAX_POOL: u32 = 1;
    pub(crate) const AVERAGE_POOL: u32 = 2;
    /// Numbers that are not finite are to be reported, since no batch norm would.
    pub(crate) const CHECKS: u32 = 1;
}

/// A batch norm of some channels, made from partial statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct NormRecord {
    /// First unit of the producer's partial statistics, of the first of these channels in block 0.
    pub(crate) partials: u32,
    /// Units from one block to the next.
    pub(crate) pitch: u32,
    pub(crate) channels: u32,
    /// First unit of the batch norm.
    pub(crate) norm: u32,
    /// eps / scale^2, where `scale` was left out of the producer's output.
    pub(crate) eps: f32,
    /// Gamma and beta in the weight pool, or NONE for 1 and 0.
    pub(crate) affine: u32,
    /// As in [`CombineRecord`].
    pub(crate) status: u32,
    pub(crate) unused: [u32; 9],
}

/// A section of code words, whose weight * Hamming distance is taken off K.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct AgreementRecord {
    /// The job's first word in the codes of image 0, and words from one image to the next.
    pub(crate) codes: u32,
    pub(crate) words_per_image: u32,
    /// At most 4096.
    pub(crate) words: u32,
    pub(crate) weight: u32,
    /// Position of the network in the group.
    pub(crate) network: u32,
    pub(crate) unused: [u32; 11],
}

/// A network's K, from its start to the pivots of K / N_A. Of K, pivots and statuses all networks of a group have as
/// much: position and N say where a network's are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct CholeskyRecord {
    /// Position of the network in the group.
    pub(crate) network: u32,
    /// N_A.
    pub(crate) activations: u32,
    /// First octet of the arena that is free by then, for N x N numbers.
    pub(crate) scratch: u32,
    pub(crate) unused: [u32; 13],
}

/// A section of a network's codes, whose activation patterns are counted. Of maps and counts all networks of a group
/// have as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SwapRecord {
    /// First word of the section in the first image's code, and words from one image to the next.
    pub(crate) codes: u32,
    pub(crate) words_per_image: u32,
    /// Words of the section: what stands between sections is no code.
    pub(crate) words: u32,
    /// First images of the batch that are looked at.
    pub(crate) images: u32,
    /// Position of the network in the group.
    pub(crate) network: u32,
    pub(crate) unused: [u32; 11],
}

/// A launch: what all its jobs share. It is a kernel's own argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct LaunchRecord {
    /// Position of the first job among those of its kind, and how many.
    pub(crate) first: u32,
    pub(crate) jobs: u32,
    pub(crate) images: u32,
    /// Size of the outputs.
    pub(crate) height: u32,
    pub(crate) width: u32,
    /// Pixels of one block of partial statistics, counted over all images, and how many blocks there are; of Cholesky in
    /// CUDA, which has a kernel a panel of a large K, the panel's first row.
    pub(crate) block: u32,
    pub(crate) blocks: u32,
    /// Pieces of work of each job, by pixels and by channels: the grid is (tiles, jobs, slices).
    pub(crate) tiles: u32,
    pub(crate) slices: u32,
    /// Units of a combine's output that a slice has.
    pub(crate) units: u32,
    /// Numbers whose sum a weight is, of as many rows, one behind the other.
    pub(crate) planes: u32,
    pub(crate) unused: u32,
}

/// Two sizes in one word; callers have checked that they fit.
pub(super) fn pair(low: usize, high: usize) -> u32 {
    low as u32 | (high as u32) << 16
}

const _: () = {
    assert!(size_of::<TermRecord>() == 32 && size_of::<LaunchRecord>() == 48);
    assert!(size_of::<WeightsRecord>() == 64 && size_of::<ConvRecord>() == 64);
    assert!(size_of::<CombineRecord>() == 64 && size_of::<NormRecord>() == 64);
    assert!(size_of::<AgreementRecord>() == 64 && size_of::<CholeskyRecord>() == 64);
    assert!(size_of::<SwapRecord>() == 64);
};

#[cfg(test)]
mod tests {
    /// A record's name, and its fields in order: name, kind of number, and how many.
    type Record = (String, Vec<(String, String, usize)>);

    /// The structs of a text that have these first words, without comments and attributes.
    fn structs<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = (String, Vec<String>)> + 'a {
        text.split(start).skip(1).filter_map(|rest| {
            let (name, rest) = rest.split_once('{')?;
            let (body, _) = rest.split_once("\n}")?;
            let lines =
                body.lines().map(|line| line.split("//").next().unwrap_or_default().trim().to_owned());
            Some((name.trim().to_owned(), lines.filter(|line| !line.is_empty()).collect()))
        })
    }

    /// The records of this file.
    fn rust() -> Vec<Record> {
        let field = |line: String| {
            let (name, kind) = line.strip_prefix("pub(crate) ")?.strip_suffix(',')?.split_once(": ")?;
            Some(match kind.trim_matches(['[', ']']).split_once("; ") {
                Some((kind, count)) => (name.to_owned(), kind.to_owned(), count.parse().ok()?),
                None => (name.to_owned(), kind.to_owned(), 1),
            })
        };
        let all = structs(include_str!("records.rs"), "\npub(crate) struct ");
        all.map(|(name, lines)| {
            let name = name.strip_suffix("Record").unwrap().to_owned();
            (name, lines.into_iter().map(|line| field(line).unwrap()).collect())
        })
        .collect()
    }

    /// Those of the shaders.
    fn wgsl() -> Vec<Record> {
        let field = |line: String| {
            let (name, kind) = line.strip_suffix(',')?.split_once(": ")?;
            let (kind, count) = match kind.strip_prefix("array<").and_then(|kind| kind.strip_suffix('>')) {
                Some(array) => array.split_once(", ").map(|(kind, count)| (kind, count.parse().ok()))?,
                None if kind == "vec2<u32>" => ("u32", Some(2)),
                None => (kind, Some(1)),
            };
            Some((name.to_owned(), kind.to_owned(), count?))
        };
        let all = structs(include_str!("../../../shaders/common.wgsl"), "\nstruct ");
        all.filter(|(name, _)| name != "Octet")
            .map(|(name, lines)| (name, lines.into_iter().map(|line| field(line).unwrap()).collect()))
            .collect()
    }

    /// Those of the CUDA kernels.
    fn cuda() -> Vec<Record> {
        let fields = |line: &String| {
            let (kind, names) = line.strip_suffix(';').unwrap().split_once(' ').unwrap();
            let kind = if kind == "float" { "f32" } else { kind };
            let field = |name: &str| match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
                Some((name, count)) => (name.to_owned(), kind.to_owned(), count.parse().unwrap()),
                None => (name.to_owned(), kind.to_owned(), 1),
            };
            names.split(", ").map(field).collect::<Vec<_>>()
        };
        let text = include_str!("../../../kernels/common.cuh").replace("};", "}");
        let all = structs(&text, "\nstruct alignas(16) ");
        all.map(|(name, lines)| (name, lines.iter().flat_map(fields).collect())).collect()
    }

    #[test]
    fn the_fields_of_records_stand_in_one_order_in_rust_wgsl_and_cuda() {
        let [mut rust, mut wgsl, mut cuda] = [rust(), wgsl(), cuda()];
        rust.sort();
        wgsl.sort();
        cuda.sort();
        assert!(rust.len() >= 8 && rust.iter().all(|(_, fields)| fields.len() >= 4), "{rust:?}");
        assert_eq!(rust, wgsl);
        assert_eq!(rust, cuda);
    }

    #[test]
    fn constants_are_the_same_in_rust_wgsl_and_cuda() {
        let wgsl = include_str!("../../../shaders/common.wgsl");
        let cuda = include_str!("../../../kernels/common.cuh").replace("constexpr u32", ",");
        for (name, value) in [
            ("NONE", super::NONE),
            ("RELU", super::TermRecord::RELU),
            ("NO_POOL", super::CombineRecord::NO_POOL),
            ("MAX_POOL", super::CombineRecord::MAX_POOL),
            ("AVERAGE_POOL", super::CombineRecord::AVERAGE_POOL),
            ("CHECKS", super::CombineRecord::CHECKS),
        ] {
            let value = if value == super::NONE { "0xffffffff".to_owned() } else { value.to_string() };
            assert!(wgsl.contains(&format!("const {name}: u32 = {value}u;")), "{name}");
            let is_value = |end| cuda.contains(&format!(", {name} = {value}{end}"));
            assert!([";", ",", "u;"].into_iter().any(is_value), "{name}");
        }
    }
}
