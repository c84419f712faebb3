//! The register of CUDA kernels: the files that NVRTC compiles, and what each kernel in them is for. Another form of a
//! kernel, for the GPUs from some architecture on, is one more entry.

use std::fmt;

use super::cholesky;
use crate::backend::group::LaunchKind;
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
pub(super) use source;

/// A kernel, for one kind of launch.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The function's name, which no other kernel has.
    pub name: &'static str,
    /// Where it is.
    pub source: Source,
    pub(crate) kind: LaunchKind,
    /// The oldest architecture that takes it. Of several kernels that it could take for a kind of launch, a GPU takes the newest.
    pub from: ComputeCapability,
    /// The first architecture that does not take it any more.
    pub before: Option<ComputeCapability>,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block, at most what a GPU has; of Cholesky a launch takes what its K needs.
    pub shared: u32,
    /// Blocks that shall run at once on a multiprocessor, as far as registers go.
    pub blocks: u32,
    /// Instructions without which its machine code is not what was meant.
    pub instructions: &'static [&'static str],
}

/// All kernels.
pub const KERNELS: &[Kernel] = &[
    Kernel {
        name: "weights",
        source: source!("weights.cu"),
        kind: LaunchKind::Weights,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 4,
        // 32-bit products in halves.
        instructions: &["IMAD.WIDE", "STG.E.128"],
    },
    Kernel {
        name: "start",
        source: source!("agreement.cu"),
        kind: LaunchKind::Start,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 8,
        instructions: &[],
    },
    Kernel {
        name: "combine",
        source: source!("combine.cu"),
        kind: LaunchKind::Combine,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 128,
        shared: 0,
        blocks: 4,
        instructions: &["LDG.E.128", "STG.E.128", "SHFL.BFLY"],
    },
    Kernel {
        name: "conv_narrow",
        source: source!("conv.cu"),
        kind: LaunchKind::ConvNarrow,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 2,
        instructions: &["FFMA", "LDS.128", "STS.128", "LDG.E.128.CONSTANT", "MEMBAR"],
    },
    Kernel {
        name: "conv_wide",
        source: source!("conv.cu"),
        kind: LaunchKind::ConvWide,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 2,
        instructions: &["FFMA", "LDS.128", "STS.128", "LDG.E.128.CONSTANT", "MEMBAR"],
    },
    Kernel {
        name: "agreement",
        source: source!("agreement.cu"),
        kind: LaunchKind::Agreement,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 4,
        instructions: &["POPC", "E.ADD.STRONG.GPU"],
    },
    Kernel {
        name: "agreement_b1",
        source: source!("agreement_b1.cu"),
        kind: LaunchKind::Agreement,
        from: ComputeCapability { major: 8, minor: 0 },
        // From there on the instruction is emulated, slowly.
        before: Some(ComputeCapability { major: 10, minor: 0 }),
        threads: 128,
        shared: 0,
        blocks: 5,
        instructions: &["BMMA.168256.AND.POPC", "LDG.E.NA.128", "E.ADD.STRONG.GPU"],
    },
    cholesky::WARP,
    cholesky::SHARED,
    cholesky::PANELS,
    Kernel {
        name: "clear_patterns",
        source: source!("swap.cu"),
        kind: LaunchKind::ClearPatterns,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 8,
        instructions: &[],
    },
    Kernel {
        name: "swap",
        source: source!("swap.cu"),
        kind: LaunchKind::Swap,
        from: ComputeCapability::OLDEST,
        before: None,
        threads: 256,
        shared: 0,
        blocks: 8,
        instructions: &["ATOMS.OR", "POPC", "E.OR.STRONG.GPU"],
    },
];

/// Files that sources include.
pub const HEADERS: [Source; 5] = [
    source!("batch_norm.cuh"),
    source!("cholesky.cuh"),
    source!("common.cuh"),
    source!("mma.cuh"),
    source!("stored_batch_norm.cuh"),
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

    /// The kernels that a GPU of this architecture takes.
    pub fn kernels(self) -> impl Iterator<Item = &'static Kernel> {
        let fits =
            move |kernel: &Kernel| kernel.from <= self && kernel.before.is_none_or(|before| self < before);
        let is_newest = move |kernel: &Kernel| {
            let mut others = KERNELS.iter().filter(|other| other.kind == kernel.kind && fits(other));
            others.all(|other| other.from <= kernel.from)
        };
        KERNELS.iter().filter(move |kernel| fits(kernel) && is_newest(kernel))
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

    /// The kernel for a kind of launch, the only one but for Cholesky; none of batch norms, which the last block of a
    /// convolution or combine makes.
    pub(super) fn kernel(self, kind: LaunchKind) -> Option<&'static Kernel> {
        self.kernels().find(|kernel| kernel.kind == kind)
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

    #[test]
    fn every_step_but_batch_norms_has_one_kernel_on_every_architecture() {
        for capability in ComputeCapability::all() {
            let mut kinds: Vec<LaunchKind> = capability.kernels().map(|kernel| kernel.kind).collect();
            // But Cholesky, of whose three a launch takes one by the size of K.
            assert_eq!(kinds.iter().filter(|kind| **kind == LaunchKind::Cholesky).count(), 3);
            kinds.dedup_by(|a, b| a == b && *a == LaunchKind::Cholesky);
            let by_last_block = [LaunchKind::BatchNorm, LaunchKind::StoredBatchNorm];
            let expected = LaunchKind::ALL.into_iter().filter(|kind| !by_last_block.contains(kind));
            assert_eq!(kinds, expected.collect::<Vec<_>>(), "{capability}");
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
            let kernel = ComputeCapability { major, minor }.kernel(LaunchKind::Agreement).unwrap();
            assert_eq!(kernel.name, expected, "{major}.{minor}");
        }
    }

    #[test]
    fn the_sources_say_the_same() {
        for Kernel { name, source, threads, blocks, .. } in KERNELS {
            let text = source.text;
            let threads = format!("constexpr u32 THREADS = {threads};");
            assert!(text.contains(&threads), "{name}: no {threads}");
            let bounds = [String::new(), format!(", {blocks}")]
                .map(|blocks| format!("__launch_bounds__(THREADS{blocks}) {name}(const Arguments a)"));
            assert!(bounds.iter().any(|bounds| text.contains(bounds)), "{name}: no {bounds:?}");
            assert_eq!(
                text.contains("DYNAMIC_SHARED("),
                KERNELS.iter().any(|other| { other.source.file == source.file && other.shared > 0 }),
                "{name}"
            );
        }
    }
}
