//! The choice of an instruction set.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::portable::Portable;
use super::vector::Simd;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::{Error, Result};

/// Instruction sets, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(Portable),
}

impl Isa {
    /// Those that this machine has, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(x86::Avx512::detect().map(Isa::Avx512));
            found.extend(x86::Avx2::detect().map(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(neon::Neon::detect().map(Isa::Neon));
        found.push(Isa::Portable(Portable::NEW));
        found
    }

    /// The one that `NASWOT_SIMD` names, else the fastest for a batch of so many images.
    pub(crate) fn choose(images: usize) -> Result<Self> {
        let available = Self::available();
        let Ok(wanted) = std::env::var("NASWOT_SIMD") else { return Ok(Self::fastest(&available, images)) };
        available.iter().copied().find(|isa| isa.name() == wanted).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
            let message = format!("`{wanted}` is none of what this machine has: {}", names.join(", "));
            Error::Setting { name: "NASWOT_SIMD", message }
        })
    }

    /// The first one that a batch of so many images is not too small for.
    fn fastest(available: &[Self], images: usize) -> Self {
        let mut fitting = available.iter().copied().filter(|isa| images >= isa.least_images());
        fitting.next().unwrap_or_else(|| unreachable!("every machine runs portable code, on any batch"))
    }

    /// The smallest batch that it suits: half of each vector of AVX-512 would be empty where AVX2 fills its own, which
    /// takes two thirds of the time.
    fn least_images(self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if matches!(self, Isa::Avx512(_)) {
            return x86::Avx2::LANES + 1;
        }
        1
    }

    /// Its name in the environment and in a row's device.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => x86::Avx512::NAME,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => x86::Avx2::NAME,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => neon::Neon::NAME,
            Isa::Portable(_) => Portable::NAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::lanes::simd::WithSimd;
    use crate::backend::cpu::lanes::simd::portable::tests::Wide;

    /// A check of an instruction set: what it must make of some numbers, and of blocks of W vectors.
    struct Check<const W: usize>;

    impl<S: Simd, const W: usize> WithSimd<S> for Check<W> {
        #[inline(always)]
        fn run(self, simd: S) {
            let numbers: Vec<f32> = (0..S::LANES).map(|i| i as f32 - 1.5).collect();
            let lanes: S::Lanes = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&numbers));
            let v = simd.load(&lanes);
            let mut out = lanes;
            let mut check = |v: S::V, expected: &dyn Fn(f32) -> f32| {
                simd.store(v, &mut out);
                let got: Vec<f32> = bytemuck::cast_slice(std::slice::from_ref(&out)).to_vec();
                let expected: Vec<f32> = numbers.iter().map(|&x| expected(x)).collect();
                assert_eq!(got, expected, "{}", S::NAME);
            };
            let two = simd.splat(2.0);
            check(simd.add(v, two), &|x| x + 2.0);
            check(simd.sub(v, two), &|x| x - 2.0);
            check(simd.mul(v, two), &|x| x * 2.0);
            check(simd.mul_add(v, two, v), &|x| 3.0 * x);
            check(simd.neg_mul_add(v, two, v), &|x| -x);
            check(simd.max(v, simd.splat(0.0)), &|x| x.max(0.0));
            let above = 0xffff_fffcu32 & ((1u64 << S::LANES) - 1) as u32;
            let negative = simd.sub(simd.splat(0.0), v);
            let bits = [above, 0b11 << S::LANES];
            let expected: u32 = bits[..W].iter().sum();
            assert_eq!(
                simd.positive(std::array::from_fn::<_, W, _>(|i| [v, negative][i])).into(),
                expected,
                "{}",
                S::NAME
            );
            let entries: [S::Bits; 32] = std::array::from_fn(|k| {
                let numbers = (0..S::LANES).map(|i| if (k * k + 7 * i) % 5 < 2 { 1.0f32 } else { -1.0 });
                let lanes: Vec<f32> = numbers.collect();
                simd.positive([simd.load(&bytemuck::pod_read_unaligned(bytemuck::cast_slice(&lanes)))])
            });
            for (i, word) in simd.transpose(&entries).into_iter().enumerate() {
                let bit = |k: usize| entries[k].into() >> i & 1;
                assert_eq!(word, (0..32).fold(0, |word, k| word | bit(k) << k), "{} {i}", S::NAME);
            }
            for length in [0, 1, 7, 16, 64, 1000, 4096] {
                let word = |i: usize, k: u32| (i as u32).wrapping_mul(k) ^ (i as u32) << 7;
                let a: Vec<u32> = (0..length).map(|i| word(i, 0x9E37_79B9)).collect();
                let b: Vec<u32> = (0..length).map(|i| word(i, 0x85EB_CA6B)).collect();
                let expected: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(simd.hamming(&a, &b), expected, "{} {length}", S::NAME);
            }
        }
    }

    #[test]
    fn a_batch_of_eight_leaves_wide_vectors_to_larger_ones() {
        let available = Isa::available();
        for images in [9, 16, 128] {
            assert_eq!(Isa::fastest(&available, images), available[0]);
        }
        let narrower: Vec<Isa> = available.into_iter().filter(|isa| isa.name() != "avx512").collect();
        for images in [1, 8] {
            assert_eq!(Isa::fastest(&Isa::available(), images), narrower[0]);
        }
    }

    #[test]
    fn every_instruction_set_of_this_machine_computes_the_same() {
        for isa in Isa::available() {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512(simd) => simd.call(Check::<1>),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(simd) => simd.call(Check::<2>),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon(simd) => simd.call(Check::<2>),
                Isa::Portable(simd) => simd.call(Check::<2>),
            }
        }
        Wide::NEW.call(Check::<1>);
    }
}
