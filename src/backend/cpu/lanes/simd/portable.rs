//! Portable code, which needs no instruction set in particular.

use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::{BitOr, Shl};

use bytemuck::Pod;

use super::vector::{Simd, WithSimd};

/// Arrays of four, which every compiler turns into whatever vectors the target has at least.
pub(crate) type Portable = Arrays<4, 12, u8>;

/// Arrays of N numbers, and so many of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrays<const N: usize, const SUMS: usize, Bits>(PhantomData<Bits>);

impl<const N: usize, const SUMS: usize, Bits> Arrays<N, SUMS, Bits> {
    pub(super) const NEW: Self = Arrays(PhantomData);
}

impl<const N: usize, const SUMS: usize, Bits> Simd for Arrays<N, SUMS, Bits>
where
    [f32; N]: Pod,
    Bits: Pod + Into<u32> + Send + Sync + From<bool> + BitOr<Output = Bits> + Shl<usize, Output = Bits>,
{
    type Lanes = [f32; N];
    type V = [f32; N];
    type Bits = Bits;
    const NAME: &'static str = "portable";
    const LANES: usize = N;
    const SUMS: usize = SUMS;

    #[inline(always)]
    fn call<T: WithSimd<Self>>(self, work: T) {
        work.run(self);
    }

    #[inline(always)]
    fn load(self, from: &[f32; N]) -> [f32; N] {
        *from
    }

    #[inline(always)]
    fn store(self, v: [f32; N], to: &mut [f32; N]) {
        *to = v;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; N] {
        [x; N]
    }

    #[inline(always)]
    fn add(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn max(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn positive<const W: usize>(self, v: [[f32; N]; W]) -> Bits {
        (0..W * N).fold(Bits::zeroed(), |bits, i| bits | Bits::from(v[i / N][i % N] > 0.0) << i)
    }

    #[inline(always)]
    fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
        crate::score::agreement::hamming(a, b)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::backend::cpu::lanes::Lanes;
    use crate::backend::cpu::{open, open_path};
    use crate::backend::queue::{Queue, Request};
    use crate::backend::{Executor, Outcome, Setup};
    use crate::{
        Batch, Convention, Network, Precision, ScoreKind, Scores, Weights, nasbench101, nasbench201,
    };

    /// Vectors, blocks and tiles of AVX-512, on any machine.
    pub(in super::super) type Wide = Arrays<16, 28, u16>;

    fn outcomes(executor: &dyn Executor, networks: &[Network]) -> Vec<Outcome> {
        let (sender, delivered) = channel();
        let queue = Queue::new(move |index, outcome| sender.send((index, outcome.unwrap())).unwrap());
        let networks = networks.iter().cloned().enumerate();
        networks.for_each(|(index, network)| queue.push(Request { index, network }));
        queue.close();
        executor.run(&queue).unwrap();
        let mut outcomes: Vec<(usize, Outcome)> = delivered.try_iter().collect();
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    #[test]
    fn vectors_of_sixteen_agree_with_double_precision() {
        let mut networks: Vec<Network> = Vec::new();
        let skeleton = nasbench101::Skeleton::default();
        networks
            .extend(nasbench101::sample(4, 0).unwrap().iter().map(|cell| cell.network(&skeleton).unwrap()));
        networks.extend(
            nasbench201::sample(4, 0)
                .unwrap()
                .iter()
                .map(|cell| cell.network(&nasbench201::Skeleton::default()).unwrap()),
        );
        // A vector that is not full, one that is, and more of them.
        for images in [5, 16, 17, 37] {
            let batch = Batch::synthetic(images, 0).unwrap();
            let mut setup = Setup::new(batch, Weights::Seeded { seed: 0 }, Convention::Relu);
            (setup.threads, setup.keep_kernels, setup.scores) = (2, true, Scores::all());
            let lanes = Lanes::<_, 1>::new(Wide::NEW, &setup).unwrap();
            let wide = open_path(lanes, setup.clone(), String::new()).unwrap();
            setup.precision = Precision::F64;
            let scores = outcomes(&*wide, &networks);
            let expected = outcomes(&*open(setup).unwrap(), &networks);
            let (mut apart, mut of) = (0, 0);
            for (score, expected) in scores.iter().zip(&expected) {
                let [k, expected_k] =
                    [score, expected].map(|outcome| outcome.agreement.as_ref().unwrap().as_slice());
                apart += k.iter().zip(expected_k).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
                of += k.len() as u64 * u64::from(expected.activations);
                let log_dets = (score.log_det, expected.log_det);
                let features = [ScoreKind::Meco, ScoreKind::Expressivity, ScoreKind::Progressivity];
                let features = features
                    .map(|kind| (score.scores.get(kind).unwrap(), expected.scores.get(kind).unwrap()));
                for (score, expected) in features.into_iter().chain([log_dets]) {
                    assert!(
                        score == expected || (score - expected).abs() <= 1e-3,
                        "{images}: {score}, not {expected}"
                    );
                }
            }
            assert!(apart as f64 <= 1e-5 * of as f64, "{images}: |dK| is {apart} of {of}");
            // One network at a time, its images shared by the threads.
            let alone = outcomes(&*wide, &networks[..1]).remove(0);
            assert_eq!((alone.log_det, &alone.agreement), (scores[0].log_det, &scores[0].agreement));
        }
    }
}
