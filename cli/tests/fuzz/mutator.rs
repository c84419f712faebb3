//! Damage to inputs: a seed with a few edits, of the kinds that readers are known to fall over.

use std::ops::Range;

use fastrand::Rng;

/// Bytes of the longest input.
const LONGEST: usize = 1 << 16;
/// Numbers at which sizes, counts and depths go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    u64::MAX,
];
/// What stands in texts where a number should.
const WORDS: [&str; 16] = [
    "",
    "-1",
    "0",
    "00",
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "-inf",
    "null",
    "9007199254740993",
    "4294967296",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
];

/// Bytes that mean something in texts, and such that no text of UTF-8 has there.
const MARKS: &[u8] = b"\0\n\r\t ,;:|~/\"'\\{}[]()-+.e\x80\xc3\xff";

/// An input: bytes by chance now and then, else a seed that is edited once or a few times.
pub(crate) fn damaged(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    if seeds.is_empty() || rng.u8(..) < 8 {
        return (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
    }
    let mut input = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..1 << rng.u32(..4) {
        edit(&mut input, seeds, rng);
        input.truncate(LONGEST);
    }
    input
}

fn edit(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let Range { start: place, end } = piece(input, rng);
    match rng.u8(..12) {
        0 => input.truncate(place),
        1 => input.insert(place, rng.u8(..)),
        2 => drop(input.drain(place..end)),
        // A piece comes again, up to many times.
        3 => {
            let again = input[place..end].repeat(1 << rng.u32(..8));
            input.splice(place..place, again);
        }
        // A piece of a seed, put in or over what stands there.
        4 => {
            let other = &seeds[rng.usize(..seeds.len())];
            let end = if rng.bool() { place } else { end };
            input.splice(place..end, other[piece(other, rng)].iter().copied());
        }
        5 | 6 => overwrite(input, place, &number(rng)),
        7 => {
            let word = WORDS[rng.usize(..WORDS.len())];
            input.splice(digits(input, place), word.bytes());
        }
        8 => overwrite(input, place, &[rng.u8(..)]),
        9 => overwrite(input, place, &[MARKS[rng.usize(..MARKS.len())]]),
        _ => {
            if let Some(byte) = input.get_mut(place) {
                *byte ^= 1 << rng.u32(..8);
            }
        }
    }
}

/// A piece of some bytes, of any magnitude up to 512.
fn piece(bytes: &[u8], rng: &mut Rng) -> Range<usize> {
    let start = rng.usize(..=bytes.len());
    let most = 1 << rng.u32(..10);
    start..start + rng.usize(..=most.min(bytes.len() - start))
}

fn overwrite(input: &mut [u8], place: usize, bytes: &[u8]) {
    input[place..].iter_mut().zip(bytes).for_each(|(byte, &new)| *byte = new);
}

/// A number of 1, 2, 4 or 8 bytes in either order.
fn number(rng: &mut Rng) -> Vec<u8> {
    let number = NUMBERS[rng.usize(..NUMBERS.len())].wrapping_add(rng.u64(..3)).wrapping_sub(1);
    let mut bytes = number.to_le_bytes()[..1 << rng.u32(..4)].to_vec();
    if rng.bool() {
        bytes.reverse();
    }
    bytes
}

/// The next decimal digits behind a place, where there are any.
fn digits(input: &[u8], place: usize) -> Range<usize> {
    let start = (place..input.len()).find(|&i| input[i].is_ascii_digit()).unwrap_or(place);
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    start..start + length
}
