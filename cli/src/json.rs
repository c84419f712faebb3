//! JSON as Python writes it too: with `NaN`, `Infinity` and `-Infinity`, which the standard does not have.

use serde::de::DeserializeOwned;

/// Parses JSON. `NaN` is null, the infinities are texts.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| {
        // Lines of numbers that the standard has are not gone through twice.
        standard(bytes).map_or(Err(error), |bytes| serde_json::from_slice(&bytes))
    })
}

/// The same in standard JSON; none where nothing differs.
fn standard(bytes: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [(&[u8], &[u8]); 3] =
        [(b"NaN", b"null"), (b"-Infinity", b"\"-inf\""), (b"Infinity", b"\"inf\"")];
    let mut written = Vec::with_capacity(bytes.len());
    let (mut place, mut quoted, mut differs) = (0, false, false);
    while let Some(&byte) = bytes.get(place) {
        let word = WORDS.iter().find(|(word, _)| !quoted && bytes[place..].starts_with(word));
        if let Some((word, standard)) = word {
            written.extend_from_slice(standard);
            place += word.len();
            differs = true;
            continue;
        }
        quoted ^= byte == b'"';
        let length = if byte == b'\\' { 2 } else { 1 };
        let end = bytes.len().min(place + length);
        written.extend_from_slice(&bytes[place..end]);
        place = end;
    }
    differs.then_some(written)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse;

    #[test]
    fn numbers_of_python_are_read_outside_of_texts() {
        let read = |text: &str| parse::<Value>(text.as_bytes());
        assert_eq!(
            read(r#"{"a": NaN, "b": [-Infinity, Infinity], "c\"NaN": "-Infinity \\"}"#).unwrap(),
            json!({"a": null, "b": ["-inf", "inf"], "c\"NaN": "-Infinity \\"})
        );
        assert_eq!(read(r#"{"a": 1e-7}"#).unwrap(), json!({"a": 1e-7}));
        let error = read(r#"{"a": nan}"#).unwrap_err().to_string();
        assert!(error.contains("line 1 column"), "{error}");
    }
}
