//! A kernel's score is minus infinity if and only if det K = 0 over the integers, and right to 1e-9 elsewhere:
//! against determinants by Bareiss' elimination in integers of any length. Against PyTorch: `parity_pytorch.rs`.

use naswot::Agreement;
use num_bigint::BigInt;

/// xorshift64: the cases only have to be many and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 20) % n as u64) as usize
    }

    fn code(&mut self, bits: usize) -> Vec<bool> {
        (0..bits).map(|_| self.below(2) == 1).collect()
    }
}

/// Fraction-free elimination (Bareiss, 1968).
fn exact_determinant(kernel: &Agreement) -> BigInt {
    let n = kernel.images();
    let mut a: Vec<Vec<BigInt>> =
        kernel.as_slice().chunks(n).map(|row| row.iter().map(|&k| BigInt::from(k)).collect()).collect();
    let (mut sign, mut last) = (1, BigInt::from(1));
    for p in 0..n {
        let Some(row) = (p..n).find(|&row| a[row][p] != BigInt::ZERO) else { return BigInt::ZERO };
        if row != p {
            a.swap(row, p);
            sign = -sign;
        }
        for i in p + 1..n {
            for j in p + 1..n {
                a[i][j] = (&a[i][j] * &a[p][p] - &a[i][p] * &a[p][j]) / &last;
            }
        }
        last = a[p][p].clone();
    }
    last * sign
}

/// ln |x|, from its leading 64 bits.
fn ln(x: &BigInt) -> f64 {
    let magnitude = x.magnitude();
    let shift = magnitude.bits().saturating_sub(64);
    let leading: u64 = (magnitude >> shift).try_into().unwrap();
    (leading as f64).ln() + shift as f64 * 2f64.ln()
}

/// Checks one K; says whether it is singular.
#[track_caller]
fn check(kernel: &Agreement) -> bool {
    let determinant = exact_determinant(kernel);
    let score = kernel.log_det();
    if determinant == BigInt::ZERO {
        assert_eq!(score, f64::NEG_INFINITY, "singular: {:?}", kernel.as_slice());
        return true;
    }
    let expected = ln(&determinant);
    assert!(
        (score - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{score}, not {expected}: {:?}",
        kernel.as_slice()
    );
    false
}

/// Checks `cases` sets of codes; says how many K were singular.
fn check_codes(cases: usize, seed: u64, mut codes: impl FnMut(&mut Random) -> Vec<Vec<bool>>) -> usize {
    let mut random = Random(seed);
    (0..cases).filter(|_| check(&Agreement::from_codes(&codes(&mut random)).unwrap())).count()
}

#[test]
fn duplicate_images_are_singular() {
    let singular = check_codes(150, 1, |random| {
        let (n, bits) = (2 + random.below(23), 1 + random.below(60));
        let mut codes: Vec<_> = (0..n).map(|_| random.code(bits)).collect();
        let (from, to) = (random.below(n), random.below(n - 1));
        let from = if from == to { n - 1 } else { from };
        codes[to] = codes[from].clone();
        codes
    });
    assert_eq!(singular, 150);
}

#[test]
fn a_hidden_dependency_is_singular() {
    // a + b = c + d, column by column, somewhere among the images.
    let singular = check_codes(200, 2, |random| {
        let (n, bits) = (4 + random.below(21), 4 + random.below(60));
        let mut codes: Vec<_> = (0..n).map(|_| random.code(bits)).collect();
        let [mut a, mut b] = [codes[0].clone(), codes[1].clone()];
        for (a, b) in a.iter_mut().zip(&mut b) {
            if random.below(2) == 1 {
                std::mem::swap(a, b);
            }
        }
        (codes[2], codes[3]) = (a, b);
        for place in 0..4 {
            codes.swap(place, random.below(n));
        }
        codes
    });
    assert_eq!(singular, 200);
}

#[test]
fn fewer_bits_than_images_are_singular() {
    // The rank is at most bits + 1: the codes, and the constant that counts joint inactivity.
    let singular = check_codes(150, 3, |random| {
        let n = 3 + random.below(22);
        let bits = 1 + random.below(n - 2);
        (0..n).map(|_| random.code(bits)).collect()
    });
    assert_eq!(singular, 150);
}

#[test]
fn almost_singular_is_not_singular() {
    // About as many bits as images, and images that differ in one bit of many: a mixture of both kinds.
    let square = check_codes(250, 4, |random| {
        let n = 2 + random.below(20);
        let bits = n - 1 + random.below(4);
        (0..n).map(|_| random.code(bits)).collect()
    });
    assert!((20..230).contains(&square), "{square}");
    let neighbours = check_codes(100, 5, |random| {
        let (n, bits) = (2 + random.below(10), 2000 + random.below(3000));
        let mut codes = vec![random.code(bits)];
        while codes.len() < n {
            let mut next = codes[random.below(codes.len())].clone();
            let bit = random.below(bits);
            next[bit] = !next[bit];
            codes.push(next);
        }
        codes
    });
    assert!(neighbours < 10, "{neighbours}");
}

#[test]
fn constant_and_empty_kernels_are_singular() {
    for n in 2..=24 {
        assert!(check(&Agreement::new(n, vec![77; n * n]).unwrap()));
        assert!(check(&Agreement::new(n, vec![0; n * n]).unwrap()));
    }
    assert!(check(&Agreement::new(1, vec![0]).unwrap()));
}

#[test]
fn one_image_scores_the_logarithm_of_its_bits() {
    for activations in [1, 2, 188_416, u32::MAX] {
        let score = Agreement::new(1, vec![activations]).unwrap().log_det();
        assert!((score - f64::from(activations).ln()).abs() < 1e-14, "{activations}");
    }
}

/// Codes that are far too alike for Cholesky in f64: image i is i bits of 2^32 - 1 away from image 0.
#[test]
fn beyond_the_reach_of_double_precision() {
    for n in 2..=24_u32 {
        let distances = |power: u32| -> Vec<u32> {
            (0..n * n).map(|e| u32::MAX - (e / n).abs_diff(e % n).pow(power)).collect()
        };
        assert!(!check(&Agreement::new(n as usize, distances(1)).unwrap()));
        // Squares have rank 3. Cubes are regular but indefinite: no codes make them, a caller may.
        assert_eq!(check(&Agreement::new(n as usize, distances(2)).unwrap()), n > 3);
        check(&Agreement::new(n as usize, distances(3)).unwrap());
    }
}

#[test]
fn large_kernels() {
    // Toeplitz, a - |i - j|: det = 2^(n-2) (2 a - n + 1).
    for (n, activations) in [(300_u32, 400_u32), (128, 2_000), (64, u32::MAX)] {
        let k = (0..n * n).map(|e| activations - (e / n).abs_diff(e % n)).collect();
        let expected =
            f64::from(n - 2) * 2f64.ln() + (2.0 * f64::from(activations) - f64::from(n) + 1.0).ln();
        let score = Agreement::new(n as usize, k).unwrap().log_det();
        assert!((score - expected).abs() < 1e-9 * expected, "{score}, not {expected}");
    }
}
