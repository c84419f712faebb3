//! The register of CUDA kernels: the files that NVRTC compiles, and what each kernel in them is for. Another form of a
//! kernel, for the GPUs from some architecture on, is one more entry.

use std::fmt;

use crate::backend::group::{Launch, LaunchKind};
use crate::probe::Stage;

/// A file of `kernels/`.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! source {
    ($file:literal) => {
        Source { file: $file, text: include_str!(concat!("../../../kernels/", $file)) }
    };
}

/// A kernel, for one kind of launch.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The function's name, which no other kernel has.
    pub name: &'static str,
    /// Where it is.
    pub source: Source,
    pub(crate) kind: LaunchKind,
    /// The launches of that kind that it takes.
    pub(crate) form: Form,
    /// The oldest architecture that takes it. Of several kernels that it could take for a kind of launch, a GPU takes the newest.
    pub from: ComputeCapability,
    /// The first architecture that does not take it any more.
    pub before: Option<ComputeCapability>,
    /// Threads of a block.
    pub threads: u32,
    /// Dynamic shared memory of a block.
    pub shared: DynamicShared,
    /// Blocks that shall run at once on a multiprocessor, as far as registers go.
    pub blocks: u32,
    /// Instructions without which its machine code is not what was meant.
    pub instructions: &'static [&'static str],
}

/// Dynamic shared memory of a kernel's blocks, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicShared {
    /// None.
    None,
    /// What its K needs, up to all that a block can have (`cholesky.rs`).
    OfK,
    /// That of the largest tile of a launch of convolutions, which their sources assert.
    OfTiles {
        /// Where tiles have up to 256 pixels.
        of_256: u32,
        /// Where they have up to 128.
        of_128: u32,
        /// Where a job has stride 2; none of a kernel that takes no such jobs.
        strided: Option<u32>,
    },
}

impl DynamicShared {
    /// The most that a launch asks for.
    pub(super) fn most(self, capability: ComputeCapability) -> u32 {
        match self {
            DynamicShared::None => 0,
            DynamicShared::OfK => capability.shared_memory(),
            DynamicShared::OfTiles { of_256, strided, .. } => strided.unwrap_or(0).max(of_256),
        }
    }

    /// What a launch asks for that has no K.
    pub(super) fn of(self, launch: &Launch, capability: ComputeCapability) -> u32 {
        match self {
            DynamicShared::None => 0,
            DynamicShared::OfK => unreachable!("{launch:?} has no K"),
            DynamicShared::OfTiles { of_256, of_128, strided } => {
                match (launch.has_strides, strided, capability.tensor_pixels()) {
                    (true, Some(strided), _) => strided,
                    (false, _, Some(256)) => of_256,
                    (false, _, Some(128)) => of_128,
                    _ => unreachable!("no tiles for {launch:?} on compute capability {capability}"),
                }
            }
        }
    }
}

/// What a kernel asks of a launch of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form {
    /// Height and width of the images that tiles cover.
    side: Option<usize>,
    /// Whether any job has a window.
    windows: Option<bool>,
}

impl Form {
    const ANY: Self = Form { side: None, windows: None };

    fn takes(self, launch: &Launch) -> bool {
        self.side.is_none_or(|side| launch.tiled == [side; 2])
            && self.windows.is_none_or(|windows| windows == launch.has_windows)
    }
}

/// A form of `combine` for square images.
const fn combine(name: &'static str, side: usize, windows: bool) -> Kernel {
    Kernel {
        name,
        source: source!("combine.cu"),
        kind: LaunchKind::Combine,
        form: Form { side: Some(side), windows: Some(windows) },
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 128,
        shared: DynamicShared::None,
        blocks: 8,
        instructions: &["LDG.E.128", "STG.E.128", "VOTE"],
    }
}

/// A form of the convolution on tensor cores, for square outputs.
const fn conv(name: &'static str, side: usize, source: Source, shared: DynamicShared) -> Kernel {
    Kernel {
        name,
        source,
        kind: LaunchKind::ConvTensor,
        form: Form { side: Some(side), windows: None },
        from: ComputeCapability { major: 8, minor: 0 },
        before: None,
        threads: 128,
        shared,
        blocks: 4,
        instructions: &["HMMA.16816.F32.BF16", "LDSM", "STS.128", "LDG.E.128"],
    }
}

/// A kernel of Cholesky: by the size of K a launch takes one of three (`cholesky.rs`).
const fn cholesky(name: &'static str, source: Source, threads: u32, shared: DynamicShared) -> Kernel {
    Kernel {
        name,
        source,
        kind: LaunchKind::Cholesky,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads,
        shared,
        // A launch has few blocks, so each may take what it likes.
        blocks: 1,
        instructions: &["DFMA", "LDS.128"],
    }
}

/// K of up to a panel.
pub(super) const CHOLESKY_WARP: Kernel =
    cholesky("cholesky_warp", source!("cholesky_warp.cu"), 32, DynamicShared::None);
/// K in shared memory.
pub(super) const CHOLESKY_SHARED: Kernel =
    cholesky("cholesky_shared", source!("cholesky_shared.cu"), 256, DynamicShared::OfK);
/// A panel of any K.
pub(super) const CHOLESKY_PANELS: Kernel =
    cholesky("cholesky", source!("cholesky.cu"), 256, DynamicShared::None);

/// All kernels.
pub const KERNELS: &[Kernel] = &[
    Kernel {
        name: "weights",
        source: source!("weights.cu"),
        kind: LaunchKind::Weights,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 4,
        // 32-bit products in halves.
        instructions: &["IMAD.WIDE", "STG.E.128"],
    },
    Kernel {
        name: "start",
        source: source!("agreement.cu"),
        kind: LaunchKind::Start,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 8,
        instructions: &[],
    },
    combine("combine_32", 32, false),
    combine("combine_16", 16, false),
    combine("combine_8", 8, false),
    combine("windows_32", 32, true),
    combine("windows_16", 16, true),
    combine("windows_8", 8, true),
    Kernel {
        name: "combine_any",
        source: source!("combine_any.cu"),
        kind: LaunchKind::CombineAny,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 128,
        shared: DynamicShared::None,
        blocks: 4,
        instructions: &["LDG.E.128", "STG.E.128", "VOTE"],
    },
    conv(
        "conv_32",
        32,
        source!("conv_32.cu"),
        DynamicShared::OfTiles { of_256: 31_776, of_128: 19_104, strided: None },
    ),
    conv(
        "conv_16",
        16,
        source!("conv_16.cu"),
        DynamicShared::OfTiles { of_256: 29_472, of_128: 19_680, strided: Some(34_560) },
    ),
    conv(
        "conv_8",
        8,
        source!("conv_8.cu"),
        DynamicShared::OfTiles { of_256: 32_064, of_128: 16_512, strided: Some(39_168) },
    ),
    Kernel {
        name: "conv_any",
        source: source!("conv_any.cu"),
        kind: LaunchKind::ConvAny,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 2,
        instructions: &["FFMA", "LDS.128", "STS.128", "LDG.E.128"],
    },
    Kernel {
        name: "agreement",
        source: source!("agreement.cu"),
        kind: LaunchKind::Agreement,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 4,
        instructions: &["POPC", "E.ADD.STRONG.GPU"],
    },
    Kernel {
        name: "agreement_b1",
        source: source!("agreement_b1.cu"),
        kind: LaunchKind::Agreement,
        form: Form::ANY,
        from: ComputeCapability { major: 8, minor: 0 },
        // From there on the instruction is emulated, slowly.
        before: Some(ComputeCapability { major: 10, minor: 0 }),
        threads: 128,
        shared: DynamicShared::None,
        blocks: 5,
        instructions: &["BMMA.168256.AND.POPC", "LDG.E.NA.128", "E.ADD.STRONG.GPU"],
    },
    CHOLESKY_WARP,
    CHOLESKY_SHARED,
    CHOLESKY_PANELS,
    Kernel {
        name: "clear_patterns",
        source: source!("swap.cu"),
        kind: LaunchKind::ClearPatterns,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 8,
        instructions: &[],
    },
    Kernel {
        name: "swap",
        source: source!("swap.cu"),
        kind: LaunchKind::Swap,
        form: Form::ANY,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: DynamicShared::None,
        blocks: 8,
        instructions: &["ATOMS.OR", "POPC", "E.OR.STRONG.GPU"],
    },
];

/// Files that sources include.
pub const HEADERS: [Source; 11] = [
    source!("batch_norm.cuh"),
    source!("cholesky.cuh"),
    source!("common.cuh"),
    source!("conv.cuh"),
    source!("conv_tile.cuh"),
    source!("mma.cuh"),
    source!("pieces.cuh"),
    source!("planar.cuh"),
    source!("stored_batch_norm.cuh"),
    source!("unit.cuh"),
    source!("windows.cuh"),
];

/// NVIDIA's number for an architecture: 9.0 is Hopper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComputeCapability {
    /// The number of the architecture.
    pub major: u32,
    /// The number of its form.
    pub minor: u32,
}

impl ComputeCapability {
    /// The oldest one that the kernels run on: atomics, fences and shuffles as they use them.
    pub const OLDEST: Self = ComputeCapability { major: 7, minor: 0 };

    /// Its name in NVRTC's options; Hopper's with the instructions that are Hopper's alone.
    pub fn architecture(self) -> String {
        let ComputeCapability { major, minor } = self;
        let suffix = if (major, minor) == (9, 0) { "a" } else { "" };
        format!("sm_{major}{minor}{suffix}")
    }

    /// Bytes of shared memory that a block can have, by the table of compute capabilities in NVIDIA's programming guide;
    /// of architectures that it does not have yet, as much as all have.
    pub fn shared_memory(self) -> u32 {
        let kilobytes = match (self.major, self.minor) {
            (7, 5) => 64,
            (7, _) => 96,
            (8, 0 | 7) => 163,
            (8, _) | (12, _) => 99,
            (9..=11, _) => 227,
            _ => 48,
        };
        kilobytes << 10
    }

    /// Whether a GPU of this architecture could take a kernel.
    fn fits(self, kernel: &Kernel) -> bool {
        kernel.from <= self && kernel.before.is_none_or(|before| self < before)
    }

    /// The kernels that a GPU of this architecture takes.
    pub fn kernels(self) -> impl Iterator<Item = &'static Kernel> {
        let is_newest = move |kernel: &Kernel| {
            let same = |other: &&Kernel| (other.kind, other.form) == (kernel.kind, kernel.form);
            KERNELS.iter().filter(same).all(|other| !self.fits(other) || other.from <= kernel.from)
        };
        KERNELS.iter().filter(move |kernel| self.fits(kernel) && is_newest(kernel))
    }

    /// The sources of these, each once.
    pub fn sources(self) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        for Kernel { source, .. } in self.kernels() {
            if sources.iter().all(|other| other.file != source.file) {
                sources.push(*source);
            }
        }
        sources
    }

    /// The kernel for a launch, the only one but for Cholesky; none for batch norms, which the last block of a convolution or
    /// combine makes.
    pub(super) fn kernel(self, launch: &Launch) -> Option<&'static Kernel> {
        let takes =
            |kernel: &&Kernel| kernel.kind == launch.kind && kernel.form.takes(launch) && self.fits(kernel);
        KERNELS.iter().filter(takes).max_by_key(|kernel| kernel.from)
    }

    /// Pixels of a tile of convolutions on tensor cores at most, so that four blocks find room on a multiprocessor; none
    /// where there are no tensor cores that take bf16.
    pub(super) fn tensor_pixels(self) -> Option<usize> {
        let pixels = if self.shared_memory() >= 163 << 10 { 256 } else { 128 };
        (self.major >= 8).then_some(pixels)
    }

    /// The architectures from which on some kind of launch has another kernel, the oldest one first: on them all kernels
    /// can be seen.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> =
            KERNELS.iter().flat_map(|kernel| [Some(kernel.from), kernel.before]).flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Kernel {
    /// The stage that it is a form of.
    pub fn stage(&self) -> Stage {
        self.kind.stage()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::backend::group::LaunchRecord;

    #[test]
    fn every_launch_of_a_group_has_one_kernel_on_every_architecture() {
        for capability in ComputeCapability::all() {
            for kind in LaunchKind::ALL {
                for (tiled, has_windows) in [[32, 32], [16, 16], [8, 8], [8, 16]]
                    .into_iter()
                    .flat_map(|tiled| [(tiled, false), (tiled, true)])
                {
                    let record = LaunchRecord::default();
                    let launch = Launch { tiled, has_windows, ..Launch::new(kind, record) };
                    let takes = |kernel: &&Kernel| kernel.kind == kind && kernel.form.takes(&launch);
                    let expected = match kind {
                        // Batch norms are the last block's, classes of tiles WGSL's.
                        LaunchKind::BatchNorm | LaunchKind::StoredBatchNorm => 0,
                        LaunchKind::ConvNarrow | LaunchKind::ConvWide => 0,
                        LaunchKind::ConvTensor if capability.tensor_pixels().is_none() => 0,
                        // Of which a launch takes one by the size of K.
                        LaunchKind::Cholesky => 3,
                        LaunchKind::Combine | LaunchKind::ConvTensor if tiled == [8, 16] => 0,
                        _ => 1,
                    };
                    assert_eq!(
                        capability.kernels().filter(takes).count(),
                        expected,
                        "{capability}: {launch:?}"
                    );
                }
            }
        }
        assert_eq!(ComputeCapability::all()[0], ComputeCapability::OLDEST);
        assert_eq!(KERNELS.iter().map(|kernel| kernel.name).collect::<HashSet<_>>().len(), KERNELS.len());
    }

    #[test]
    fn bits_are_counted_by_tensor_cores_where_they_can() {
        for (major, minor, expected) in [
            (7, 0, "agreement"),
            (7, 5, "agreement"),
            (8, 0, "agreement_b1"),
            (8, 6, "agreement_b1"),
            (8, 9, "agreement_b1"),
            (9, 0, "agreement_b1"),
            (10, 0, "agreement"),
            (12, 0, "agreement"),
        ] {
            let record = LaunchRecord::default();
            let kind = LaunchKind::Agreement;
            let launch = Launch::new(kind, record);
            let kernel = ComputeCapability { major, minor }.kernel(&launch).unwrap();
            assert_eq!(kernel.name, expected, "{major}.{minor}");
        }
    }

    /// A source's text with the headers that it includes, each once.
    fn with_headers(source: Source) -> String {
        let mut all = vec![source];
        let mut next = 0;
        while next < all.len() {
            for header in HEADERS {
                let is_included = all[next].text.contains(&format!("#include \"{}\"", header.file));
                if is_included && all.iter().all(|other| other.file != header.file) {
                    all.push(header);
                }
            }
            next += 1;
        }
        all.iter().map(|source| source.text).collect()
    }

    #[test]
    fn the_sources_say_the_same() {
        for Kernel { name, source, threads, blocks, shared, .. } in KERNELS {
            let (text, whole) = (source.text, with_headers(*source));
            let threads = format!("constexpr u32 THREADS = {threads};");
            assert!(whole.contains(&threads), "{name}: no {threads}");
            assert_eq!(whole.matches("u32 THREADS =").count(), 1, "{name}");
            let bounds = [String::new(), format!(", {blocks}")]
                .map(|blocks| format!("__launch_bounds__(THREADS{blocks}) {name}(const Arguments a)"));
            assert!(bounds.iter().any(|bounds| text.contains(bounds)), "{name}: no {bounds:?}");
            assert_eq!(
                text.contains("DYNAMIC_SHARED("),
                KERNELS
                    .iter()
                    .any(|other| other.source.file == source.file && other.shared != DynamicShared::None),
                "{name}"
            );
            if let DynamicShared::OfTiles { of_256, of_128, strided } = shared {
                let mut expected = vec![format!(" SHARED = TENSOR_PIXELS == 256 ? {of_256} : {of_128};")];
                expected.extend(strided.map(|bytes| format!(" STRIDED_SHARED = {bytes};")));
                for expected in expected {
                    assert!(text.contains(&expected), "{name}: no {expected}");
                }
            }
        }
    }

    /// Shared memory of a multiprocessor, by the table of compute capabilities in NVIDIA's programming guide; the system
    /// takes 1 KB a block, moments of statistics and a flag as much.
    #[test]
    fn four_blocks_of_convolutions_find_room() {
        let launch = |has_strides| Launch {
            tiled: [16, 16],
            has_strides,
            ..Launch::new(LaunchKind::ConvTensor, LaunchRecord::default())
        };
        for (major, minor, kilobytes, strided_fits) in [
            (8, 0, 164, true),
            (8, 6, 100, false),
            (8, 9, 100, false),
            (9, 0, 228, true),
            (12, 0, 100, false),
        ] {
            let capability = ComputeCapability { major, minor };
            let fits = |shared: DynamicShared, has_strides| {
                let bytes = shared.of(&launch(has_strides), capability);
                assert!(bytes <= shared.most(capability));
                4 * (bytes + 1024 + 1040) <= kilobytes << 10
            };
            for Kernel { name, shared, .. } in KERNELS {
                if let DynamicShared::OfTiles { strided, .. } = *shared {
                    assert!(fits(*shared, false), "{name}, {capability}");
                    assert!(strided.is_none() || fits(*shared, true) == strided_fits, "{name}, {capability}");
                }
            }
        }
    }
}
