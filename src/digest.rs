//! SHA-256 as reports print it.

use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, given in pieces, as lowercase hex.
pub(crate) fn sha256_hex<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::sha256_hex;

    #[test]
    fn sha256_gives_its_published_value() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(["abc"]), abc);
        assert_eq!(sha256_hex(["a", "", "bc"]), abc);
    }
}
