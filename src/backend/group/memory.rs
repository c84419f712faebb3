//! The register of device memory: all that the kernels of a group read and write. Sizes, host copies, allocations,
//! bindings and addresses are maps over it.
//!
//! | kind | who writes it | whose it is |
//! |---|---|---|
//! | [`Shared`] | the host, and the kernel that makes weights | a session's, for all of its groups |
//! | [`Table`] | the host | a group's |
//! | [`Buffer`] | kernels | a group's |
//!
//! A shader binds memory by a variable of its name in snake case (build.rs reads the bindings out of the shaders); a CUDA
//! kernel finds its address in a member of that name of `Arguments` (`kernels/common.cuh`).

use std::ops::{Add, AddAssign};

use crate::plan::jobs::UNIT;

/// Declares an enum whose variants are known in order, a map that has a value for each of them, and, where they are
/// given, constants of each.
macro_rules! register {
    (
        $(#[$about:meta])* enum $item:ident;
        $(#[$about_map:meta])* map $map:ident;
        $($(#[$doc:meta])* $variant:ident,)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $item {
            $($(#[$doc])* $variant,)+
        }

        impl $item {
            /// All of them, in order.
            pub(crate) const ALL: [$item; [$($item::$variant),+].len()] = [$($item::$variant),+];
        }

        $(#[$about_map])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $map<T>([T; $item::ALL.len()]);

        #[allow(dead_code, reason = "not every map is walked, nor made by every backend")]
        impl<T> $map<T> {
            pub(crate) fn from_fn(value: impl FnMut($item) -> T) -> Self {
                $map($item::ALL.map(value))
            }

            pub(crate) fn iter(&self) -> impl Iterator<Item = ($item, &T)> {
                $item::ALL.into_iter().zip(&self.0)
            }
        }

        impl<T> std::ops::Index<$item> for $map<T> {
            type Output = T;

            fn index(&self, item: $item) -> &T {
                &self.0[item as usize]
            }
        }

        impl<T> std::ops::IndexMut<$item> for $map<T> {
            fn index_mut(&mut self, item: $item) -> &mut T {
                &mut self.0[item as usize]
            }
        }
    };
    (
        $(#[$about:meta])* enum $item:ident: $facts:ty;
        $(#[$about_map:meta])* map $map:ident;
        $($(#[$doc:meta])* $variant:ident = $fact:expr,)+
    ) => {
        register! {
            $(#[$about])* enum $item;
            $(#[$about_map])* map $map;
            $($(#[$doc])* $variant,)+
        }

        impl $item {
            fn facts(self) -> $facts {
                match self {
                    $($item::$variant => $fact,)+
                }
            }
        }
    };
}

pub(super) use register;

register! {
    /// Memory that all groups of a session share.
    enum Shared;
    /// A value for each kind of shared memory.
    map PerShared;
    /// The quantiles of both distributions, bf16, the normal one's first.
    Quantiles,
    /// Rows of weights, and gammas and betas, by octet; [`super::DeviceWeightCache`] knows what is where.
    WeightPool,
}

register! {
    /// A table of records: see [`super::records`].
    enum Table;
    /// A value for each table.
    map PerTable;
    /// Terms of all combines, one job's after the other's.
    Terms,
    Combines,
    Convs,
    /// Places in the pool of each octet of weight rows that a convolution reads, one job's after the other's.
    Rows,
    /// Batch norms.
    NormJobs,
    Agreements,
    Choleskys,
    Swaps,
    /// Weights to make.
    WeightsJobs,
}

register! {
    /// A buffer that kernels fill. That of a group holds what belongs to its networks, one after the other.
    enum Buffer: (Measure, Read);
    /// A value for each buffer.
    map PerBuffer;
    /// The batch, then the tensors of each network.
    Arena = (Measure::Units(1), Read::Never),
    /// Batch norms: of four channels the scales, then the shifts.
    Norms = (Measure::Units(2), Read::Never),
    /// Partial statistics: of four channels the sums, then the M2.
    Partials = (Measure::Units(2), Read::Never),
    /// Code words.
    Codes = (Measure::Word, Read::OnRequest),
    /// K, N x N.
    AgreementMatrices = (Measure::Word, Read::Always),
    /// The N pivots of K / N_A.
    Pivots = (Measure::Factor, Read::Always),
    /// The first node where a number was not finite, else NONE.
    Statuses = (Measure::Word, Read::Always),
    /// A bit for each activation pattern.
    Maps = (Measure::Word, Read::Never),
    /// Distinct patterns that are not zero, and units that have one.
    Patterns = (Measure::Word, Read::Always),
}

/// What a buffer's size and places in it are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// So many numbers for each of the four channels of a unit.
    Units(usize),
    /// A number of Cholesky's factor.
    Factor,
    /// A u32.
    Word,
}

impl Measure {
    /// Numbers or words of one of them.
    pub(crate) fn count(self) -> usize {
        match self {
            Measure::Units(numbers) => numbers * UNIT,
            Measure::Factor | Measure::Word => 1,
        }
    }
}

/// The occasion on which the host reads a buffer of a group that has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Never,
    OnRequest,
    Always,
}

impl Buffer {
    pub(crate) fn measure(self) -> Measure {
        self.facts().0
    }

    /// Whether the host reads it after each group, or after one whose codes somebody wants.
    pub(crate) fn is_read(self, keeps_codes: bool) -> bool {
        match self.facts().1 {
            Read::Never => false,
            Read::OnRequest => keeps_codes,
            Read::Always => true,
        }
    }
}

/// Sizes of buffers, or places in them, in their measures.
pub(crate) type Sizes = PerBuffer<usize>;

impl Add for Sizes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        PerBuffer::from_fn(|buffer| self[buffer] + other[buffer])
    }
}

impl AddAssign for Sizes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<T> PerBuffer<T> {
    /// Several of the values, to be changed at once.
    pub(crate) fn split<const N: usize>(&mut self, buffers: [Buffer; N]) -> [&mut T; N] {
        match self.0.get_disjoint_mut(buffers.map(|buffer| buffer as usize)) {
            Ok(values) => values,
            Err(error) => unreachable!("{buffers:?}: {error}"),
        }
    }
}

/// Any memory that a kernel can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Memory {
    Shared(Shared),
    Table(Table),
    Buffer(Buffer),
}

impl Memory {
    /// All memory, in the order of the register.
    pub(crate) fn all() -> impl Iterator<Item = Memory> {
        let shared = Shared::ALL.map(Memory::Shared).into_iter();
        let tables = Table::ALL.map(Memory::Table).into_iter();
        shared.chain(tables).chain(Buffer::ALL.map(Memory::Buffer))
    }
}

impl Shared {
    pub(crate) const fn memory(self) -> Memory {
        Memory::Shared(self)
    }
}

impl Table {
    pub(crate) const fn memory(self) -> Memory {
        Memory::Table(self)
    }
}

impl Buffer {
    pub(crate) const fn memory(self) -> Memory {
        Memory::Buffer(self)
    }
}
