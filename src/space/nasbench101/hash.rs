//! The benchmark's identity of a cell: a Weisfeiler-Lehman hash with MD5, one value for all isomorphic cells.

use md5::{Digest, Md5};

use super::Cell;
use super::cell::MAX_VERTICES;

/// An MD5 digest in lower-case hexadecimal: the benchmark joins and sorts the text, not the bytes.
type Hex = [u8; 32];

impl Cell {
    /// The benchmark's hash (`unique_hash`): 32 lower-case hexadecimal digits, equal for isomorphic cells and
    /// for no others of the space.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "0100/".parse()?;
    /// assert_eq!(cell.hash(), "043721b9c7fe8c5fad811d47d83132ec");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn hash(&self) -> String {
        let vertices = self.vertices();
        let mut hashes = [[0; 32]; MAX_VERTICES];
        for (v, hash) in hashes[..vertices].iter_mut().enumerate() {
            *hash = md5(self.signature(v).as_bytes());
        }
        for _ in 0..vertices {
            let before = hashes;
            for (v, hash) in hashes[..vertices].iter_mut().enumerate() {
                let predecessors = joined((0..v).filter(|&u| self.has_edge(u, v)).map(|u| before[u]));
                let successors =
                    joined((v + 1..vertices).filter(|&u| self.has_edge(v, u)).map(|u| before[u]));
                *hash = md5(&[&predecessors[..], b"|", &successors, b"|", &before[v]].concat());
            }
        }
        hashes[..vertices].sort_unstable();
        // The text of a Python list of strings.
        let listed: Vec<String> = hashes[..vertices].iter().map(|hash| format!("'{}'", text(hash))).collect();
        text(&md5(format!("[{}]", listed.join(", ")).as_bytes()))
    }

    /// The signature that a vertex's hash starts from, as Python prints the tuple: out-degree, in-degree, label.
    fn signature(&self, vertex: usize) -> String {
        let last = self.vertices() - 1;
        let out_degree = (vertex + 1..=last).filter(|&to| self.has_edge(vertex, to)).count();
        let in_degree = (0..vertex).filter(|&from| self.has_edge(from, vertex)).count();
        let label = match vertex {
            0 => -1,
            v if v == last => -2,
            v => self.ops[v - 1] as i32,
        };
        format!("({out_degree}, {in_degree}, {label})")
    }
}

/// The hashes in ascending order, one after the other.
fn joined(hashes: impl Iterator<Item = Hex>) -> Vec<u8> {
    let mut hashes: Vec<Hex> = hashes.collect();
    hashes.sort_unstable();
    hashes.concat()
}

fn md5(bytes: &[u8]) -> Hex {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Md5::digest(bytes)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

fn text(hex: &Hex) -> String {
    hex.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_benchmark() {
        for (arch, hash) in [
            ("0100/", "043721b9c7fe8c5fad811d47d83132ec"),
            ("0110000100010000/22", "08677281806ea9c8ea2451ce3093e9c3"),
            ("0100110001000000010010000010000001000000010000000/02001", "00005c142e6f48ac74fdcf73e3439874"),
        ] {
            assert_eq!(arch.parse::<Cell>().unwrap().hash(), hash);
        }
    }
}
